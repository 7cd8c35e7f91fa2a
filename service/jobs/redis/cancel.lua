-- ARGV: id
-- Marks a running job; says which step ends a queued one.
local id = ARGV[1]
local status, version = unpack(C('HMGET', record(id), 'status', 'version'))
if not status then return {'unknown'} end
although_full()
if status == 'running' then
  C('HSET', record(id), 'cancelling', '1')
  C('PUBLISH', P .. 'cancel', id)
elseif status == 'queued' and not C('ZSCORE', P .. 'waiting', id) then
  C('HSET', record(id), 'cancelling', '1')
  C('PUBLISH', P .. 'cancel', id)
  return {'done', C('HGETALL', record(id))}
end
return {status, C('HGETALL', record(id))}
