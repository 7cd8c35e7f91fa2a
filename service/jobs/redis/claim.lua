-- ARGV: time of the start, ms of the lease, name of the node
-- The job whose lease has run out, else the one whose turn it is.
local function taken(id)
  C('HSET', record(id), 'status', 'running', 'node', ARGV[3], 'claimed', now())
  C('HINCRBY', record(id), 'attempts', 1)
  C('HINCRBY', record(id), 'version', 1)
  C('HSETNX', record(id), 'started', ARGV[1])
  C('ZADD', P .. 'leases', now() + ARGV[2], id)
  tell(id, C('HGET', record(id), 'version'))
  return {id, C('HGETALL', record(id))}
end
local lapsed = C('ZRANGEBYSCORE', P .. 'leases', '-inf', now(), 'LIMIT', 0, 1)[1]
if lapsed then
  if C('HGET', record(lapsed), 'status') == 'queued' then  -- it died between two attempts
    add('count', 'queued', -1)
    C('HINCRBY', P .. 'count', 'running', 1)
  end
  return taken(lapsed)
end
local turn = C('LPOP', P .. 'turns')
if not turn then return nil end
local id = C('LPOP', P .. 'turn:' .. turn)
if C('EXISTS', P .. 'turn:' .. turn) == 1 then C('RPUSH', P .. 'turns', turn) end
C('ZREM', P .. 'waiting', id)
add('count', 'queued', -1)
C('HINCRBY', P .. 'count', 'running', 1)
return taken(id)
