"""Jobs: the record of a fit, the store of jobs, and the executors that run them.

`job` is the record and its legal transitions, `history` its recorded rows, `store` the protocol of
stores, which own the queue (`memory_store`, with `memory_entries`, `fair_queue` and
`eviction`), `executor` the
protocol of executors (`local_executor` with its `worker_pool` and
`worker_slots`). Cheap jobs are run by `inline`, as
`scheduling` decides. `processes` and `forkserver` start worker processes, `messages` and `frames`
define what passes over their sockets, `run_job` and `worker_loop` what a worker does; the API calls
`service`. Only `worker` imports torch."""
