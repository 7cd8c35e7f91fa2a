"""Jobs: the life of a fit from request to answer, in this order of reading.

`job` is the record and its legal transitions, `history` what it recorded, `store` where both are
kept (`memory_store`), `executor` who carries them out (`local_executor`: `fair_queue`, `estimates`,
`worker_process`, which come from `processes` and its `zygote`; their end is seen to by `parentage`),
`messages` and `frames` what goes over a worker's socket, `run_job` and `worker_loop` what happens at its far end,
`worker` where torch comes in, and `service` what the API calls. Nothing here but `worker` knows
torch, and nothing knows HTTP.
"""
