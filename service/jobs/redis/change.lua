-- ARGV: id, attempt or '', new status or '' for an append, options, last epoch, rows, staged result,
-- its last piece, staged curve, its last piece, staged checkpoint, its last piece, fields and values
local id, attempt, to = unpack(ARGV, 1, 3)
local o = cjson.decode(ARGV[4])
local status, latest, owner, turn, version, rows =
  unpack(C('HMGET', record(id), 'status', 'attempts', 'owner', 'queue_key', 'version', 'rows'))
if not status then return {'unknown'} end
if attempt ~= '' and attempt ~= latest then return {'stale', latest} end
local ALLOWED = {queued = {running = 1, cancelled = 1, failed = 1},
  running = {succeeded = 1, failed = 1, cancelled = 1, queued = 1, [''] = 1}}
if not (ALLOWED[status] and ALLOWED[status][to]) then return {'illegal', status} end
if not are_staged(ARGV[7], ARGV[9], ARGV[11]) then return {'staged'} end
if o.waiting and not C('ZSCORE', P .. 'waiting', id) then return {'illegal', status} end
local final = to == 'succeeded' or to == 'failed' or to == 'cancelled'
local kept, history = n(rows), P .. 'history:' .. id
-- An append that must be thinned or repeats epochs is merged by the caller, who writes the whole.
if o.rows > 0 and not o.whole then
  local last = C('XREVRANGE', history, '+', '-', 'COUNT', 1)[1]
  if kept + o.rows > o.most_rows or (last and n(last[1]:match('^%d+')) >= o.first) then
    return {'merge'}
  end
end
if o.waiting then although_full() end  -- a job is cancelled
C('HSET', record(id), 'version', n(version) + 1)
local grown = o.bytes
if o.whole then
  C('UNLINK', history)
  grown, kept = grown - kept * o.row_bytes, 0
end
if o.rows > 0 then
  C('XADD', history, ARGV[5] .. '-1', 'rows', ARGV[6])
  kept, grown = kept + o.rows, grown + o.rows * o.row_bytes
end
if o.rows > 0 or o.whole then C('HSET', record(id), 'rows', kept) end
if grown ~= 0 then
  grow(owner, grown)
  local size = size_of(id)
  if size then
    size[1] = size[1] + grown
    remember(id, size)
  end
end
if o.bytes ~= 0 then C('HINCRBY', record(id), 'nbytes', o.bytes) end
place('result:' .. id, ARGV[7], ARGV[8])
place('curve:' .. id, ARGV[9], ARGV[10])
if ARGV[11] ~= '' or ARGV[12] ~= '' then
  C('UNLINK', P .. 'checkpoint:' .. id)
  place('checkpoint:' .. id, ARGV[11], ARGV[12])
end
if #ARGV > 12 then C('HSET', record(id), unpack(ARGV, 13)) end
if to ~= '' then
  C('HSET', record(id), 'status', to)
  add('count', status, -1)
  C('HINCRBY', P .. 'count', to, 1)
end
if to == 'running' then
  unqueue(turn, id)
  C('HINCRBY', record(id), 'attempts', 1)
  C('HSETNX', record(id), 'started', o.at)
  C('HSETNX', record(id), 'began_ms', now())
end
if final or o.release then
  C('ZREM', P .. 'leases', id)
else  -- also between two attempts of one node, which may die there
  C('ZADD', P .. 'leases', now() + o.lease, id)
end
if o.release then
  -- Handed back: first in its turn, and this attempt does not count.
  C('HINCRBY', record(id), 'attempts', -1)
  if C('LPUSH', P .. 'turn:' .. turn, id) == 1 then C('LPUSH', P .. 'turns', turn) end
  C('ZADD', P .. 'waiting', C('HGET', record(id), 'queued_ms') or now(), id)
end
if final then
  local since = C('HGET', record(id), 'claimed')
  if since then
    local took = (now() - since) / 1000
    C('HSET', P .. 'totals', 'mean_s', 0.9 * n(C('HGET', P .. 'totals', 'mean_s')) + 0.1 * took)
  end
  unqueue(turn, id)
  add('unfinished', owner, -1)
end
local fields = C('HGETALL', record(id))  -- before the job is one that expires
if final then
  ended(id, to, o.limits.age)
  make_room(owner, 0, 0, o.limits.jobs, o.limits.bytes, o.limits.age, id)
end
local listeners = tell(id, n(version) + 1)
return {'done', fields, listeners, now()}
