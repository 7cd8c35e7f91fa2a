-- ARGV: name of the node, its slots, ms of the lease, ms that finished jobs are kept, then id and
-- attempt of each of its jobs
-- Renews the leases of a node's jobs; removes what has expired. Answers how many jobs wait or have
-- lost their node, and which of the given jobs are no longer the node's.
local lease, time, lost = n(ARGV[3]), now(), {}
C('ZADD', P .. 'nodes', time + lease, ARGV[1] .. ':' .. ARGV[2])
C('ZREMRANGEBYSCORE', P .. 'nodes', '-inf', time - lease)
for i = 5, #ARGV, 2 do
  local id, attempt = ARGV[i], ARGV[i + 1]
  local latest, status = unpack(C('HMGET', record(id), 'attempts', 'status'))
  if latest == attempt and (status == 'running' or status == 'queued') then
    C('ZADD', P .. 'leases', time + lease, id)
  else
    lost[#lost + 1] = id
  end
end
expire(n(ARGV[4]))
return {C('ZCARD', P .. 'waiting') + C('ZCOUNT', P .. 'leases', '-inf', time), lost}
