"""Every fit is a job: its record, where jobs are stored, and who runs them.

`job` is the record and its legal transitions, `history` its recorded rows, `store` the protocol of
what keeps both (`memory_store`, with `store_quota` and `tombstones`), `executor` the protocol of
what runs them: `local_executor` with its `fair_queue` and `worker_slots`, or `inline_executor` for
cheap jobs, as `scheduling` decides. `processes` and `forkserver` start worker processes, `messages`
and `frames` are what passes over their sockets, `run_job` and `worker_loop` what a worker does, and
`service` is what the API calls. Only `worker` imports torch."""
