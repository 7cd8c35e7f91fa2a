"""The HTTP layer: routers by resource, reading of bodies, answering of errors.


`reading` converts a request's bytes to a schema (JSON by `parsing`; large bodies by `parser`),
`error_handlers` has the table of error -> status, `views` converts records to answers, `streaming`
a job's updates to events. An endpoint does HTTP and makes one call.
"""
