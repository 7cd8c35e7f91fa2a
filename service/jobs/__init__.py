"""Jobs: the record of a fit, the store of jobs, and the executors that run them.

`job` is the record and its legal transitions, `history` its recorded rows, `store` the protocol of
stores (`memory_store`, with `store_quota` and `tombstones`), `executor` the protocol of executors:
`local_executor` with its `fair_queue` and `worker_slots`, or `inline_executor` for cheap jobs, as
`scheduling` decides. `processes` and `forkserver` start worker processes, `messages` and `frames`
define what passes over their sockets, `run_job` and `worker_loop` what a worker does; the API calls
`service`. Only `worker` imports torch."""
