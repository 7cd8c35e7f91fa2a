-- ARGV: time of the start, ms of the lease, name of the node, ms that finished jobs are kept
-- The job whose lease has run out, else the one whose turn it is. Where no node has been heard of for
-- a while, this server was away, and the owners of lapsed leases are given time: see beat.lua.
local lease, time = n(ARGV[2]), now()
local function taken(id, status)
  if status == 'queued' then
    add('count', 'queued', -1)
    C('HINCRBY', P .. 'count', 'running', 1)
  end
  C('HSET', record(id), 'status', 'running', 'node', ARGV[3], 'claimed', time)
  C('HINCRBY', record(id), 'attempts', 1)
  C('HINCRBY', record(id), 'version', 1)
  C('HSETNX', record(id), 'started', ARGV[1])
  C('HSETNX', record(id), 'began_ms', time)
  C('ZADD', P .. 'leases', time + lease, id)
  tell(id, C('HGET', record(id), 'version'))
  return {id, C('HGETALL', record(id))}
end
while time - n(C('GET', P .. 'heard')) <= lease / 2 do
  local lapsed = C('ZRANGEBYSCORE', P .. 'leases', '-inf', time, 'LIMIT', 0, 1)[1]
  if not lapsed then break end
  local status = status_of(lapsed)  -- queued where its node died between two attempts
  if status == 'running' or status == 'queued' then return taken(lapsed, status) end
  lose(lapsed, 'running', ARGV[4])
end
while true do
  local turn = C('LPOP', P .. 'turns')
  if not turn then return nil end
  local id = C('LPOP', P .. 'turn:' .. turn)
  if C('EXISTS', P .. 'turn:' .. turn) == 1 then C('RPUSH', P .. 'turns', turn) end
  if id then
    C('ZREM', P .. 'waiting', id)
    if status_of(id) == 'queued' then return taken(id, 'queued') end
    lose(id, 'queued', ARGV[4])
  end
end
