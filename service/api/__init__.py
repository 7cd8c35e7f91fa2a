"""The HTTP layer: routers by resource, middleware, reading of bodies, answers and errors.

`head` reads the head of a request once, `bodies` its body into a schema; a function of `routes`
makes one call with them; `writing` writes the answer in one of the `forms`. `error_handlers` turns
each error into a problem, `views` a job into its answer; `render_process` draws pictures and writes
long tables in a process of their own.
"""
