"""Jobs: the life of a fit from request to answer, in this order of reading.

`job` is the record and its legal transitions, `history` what it recorded, `store` where both are
kept (`memory_store`), `executor` who carries them out (`local_executor`: `fair_queue`, `estimates`,
`worker_process`), `processes` and `zygote` where a worker comes from and `parentage` when it goes,
`messages` and `frames` what passes over its socket, `run_job` and `worker_loop` what happens at the
far end, `worker` where torch comes in, and `service` what the API calls. Nothing here but `worker`
knows torch, and nothing knows HTTP.
"""
