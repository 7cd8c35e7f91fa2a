"""HTTP, and nothing else: routers by noun, how bodies are read, how errors are told.

`reading` is the one place that turns a request's bytes into a schema (JSON by `parsing`; large ones
in a process apart: `parser`), `error_handlers` the one table of error -> status, `views` what turns
records into answers, `streaming` what turns a job's life into events. An endpoint does HTTP, then
makes one call.
"""
