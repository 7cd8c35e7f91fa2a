"""HTTP, and nothing else: routers by noun, how bodies are read, how errors are told.

`bodies` is the one place that turns a request's bytes into a schema, `error_handlers` the one table
of error -> status, `views` what turns records into answers. An endpoint does HTTP, then makes one
call.
"""
