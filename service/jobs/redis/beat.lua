-- ARGV: name of the node, its slots, ms of the lease, ms that finished jobs are kept, then id and
-- attempt of each of its jobs
-- Renews the leases of a node's jobs; removes what has expired. Answers how many jobs wait or have
-- lost their node, and which of the given jobs are no longer the node's.
local lease, time, lost = n(ARGV[3]), now(), {}
although_full()
C('ZREMRANGEBYSCORE', P .. 'nodes', '-inf', time - lease)
C('ZADD', P .. 'nodes', time + lease, ARGV[1] .. ':' .. ARGV[2])
-- Where nobody was heard for long, nobody could be: live nodes must not lose their jobs for that.
if time - n(C('GET', P .. 'heard')) > lease / 2 then
  for _, id in ipairs(C('ZRANGEBYSCORE', P .. 'leases', '-inf', time + lease)) do
    C('ZADD', P .. 'leases', time + lease, id)
  end
end
C('SET', P .. 'heard', time)
for i = 5, #ARGV, 2 do
  local id, attempt = ARGV[i], ARGV[i + 1]
  local latest, status = field_of(id, 'attempts'), field_of(id, 'status')
  if latest == attempt and (status == 'running' or status == 'queued') then
    C('ZADD', P .. 'leases', time + lease, id)
  elseif latest and latest ~= attempt then
    lost[#lost + 1] = id
  end
end
expire(n(ARGV[4]))
return {C('ZCARD', P .. 'waiting') + C('ZCOUNT', P .. 'leases', '-inf', time), lost}
