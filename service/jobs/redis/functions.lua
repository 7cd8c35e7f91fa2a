-- Functions of all scripts. KEYS[1] is the prefix of a cell's keys, which contains its hash tag:
--
--   job:ID       hash     the record; its fields are those of `documents.job_of`, and of this server's
--                         clock: queued_ms, began_ms (the first claim), claimed (the last)
--   request:ID   list     the request, in pieces; likewise result:ID, curve:ID and checkpoint:ID
--   history:ID   stream   an entry for each slice, its id the slice's last epoch
--   gone:ID      string   the tombstone: owner, number, reason
--   staged:TOKEN list     the pieces of a document that is being written
--   key:OWNER:KEY string  an idempotency key: fingerprint and id
--   turns        list     the queue keys that have waiting jobs, the next one first
--   turn:KEY     list     the waiting jobs of a queue key
--   waiting      zset     the waiting jobs by the time they were queued first, in ms of this server's clock
--   leases       zset     the running jobs by the end of their lease
--   heard        string   the time of the last sign of life of any node
--   ended, ended:OWNER zset  the finished jobs by the time of their end
--   all, of:OWNER zset    the jobs by number
--   sizes        hash     of each job: bytes, number, owner, idempotency key, status
--   count        hash     jobs by status
--   jobs, unfinished, bytes, ended_bytes  hash  by owner
--   totals       hash     number (of the last job), bytes, ended_bytes
local P = KEYS[1]
local C = redis.call

local function n(value) return tonumber(value or 0) or 0 end

local function now()
  local t = C('TIME')
  return t[1] * 1000 + math.floor(t[2] / 1000)
end

local function record(id) return P .. 'job:' .. id end

local function tell(id, version) return C('PUBLISH', P .. 'changed:' .. id, version) end

local function add(hash, field, amount)
  if C('HINCRBY', P .. hash, field, amount) <= 0 then C('HDEL', P .. hash, field) end
end

local function grow(owner, amount)
  if amount == 0 then return end
  C('HINCRBY', P .. 'totals', 'bytes', amount)
  add('bytes', owner, amount)
end

local function remember(id, size) C('HSET', P .. 'sizes', id, cjson.encode(size)) end

-- nil where there is none that can be read.
local function size_of(id)
  local found = C('HGET', P .. 'sizes', id)
  if not found then return nil end
  local is_read, size = pcall(cjson.decode, found)
  return is_read and size or nil
end

-- The field of a record; nil where there is none that can be read.
local function field_of(id, name)
  local found = redis.pcall('HGET', record(id), name)
  return type(found) == 'string' and found or nil
end

-- The status of a record that a change can be made to; else nil.
local function status_of(id)
  for _, name in ipairs({'attempts', 'version'}) do
    if not tonumber(field_of(id, name)) then return nil end
  end
  return field_of(id, 'status')
end

-- Redis lets a script that has written go on where its memory is full: for what needs no more of it.
local function although_full() C('ZREM', P .. 'waiting', '') end

-- Removes a finished job. `of` is its owner where that may not be known otherwise.
local function forget(id, why, age, of)
  C('UNLINK', record(id), P .. 'request:' .. id, P .. 'result:' .. id, P .. 'curve:' .. id,
    P .. 'checkpoint:' .. id, P .. 'history:' .. id)
  local size = size_of(id)
  local owner = size and size[3] or of or ''
  C('HDEL', P .. 'sizes', id)
  for _, set in ipairs({'all', 'of:' .. owner, 'ended', 'ended:' .. owner}) do
    C('ZREM', P .. set, id)
  end
  if not size then return end
  local bytes, number, _, key, status = unpack(size)
  if key ~= '' then
    local named = C('GET', P .. 'key:' .. owner .. ':' .. key)
    if named and named:sub(-#id) == id then C('DEL', P .. 'key:' .. owner .. ':' .. key) end
  end
  grow(owner, -bytes)
  C('HINCRBY', P .. 'totals', 'ended_bytes', -bytes)
  add('ended_bytes', owner, -bytes)
  add('jobs', owner, -1)
  add('count', status, -1)
  redis.pcall('SET', P .. 'gone:' .. id, cjson.encode({owner, number, why}), 'PX', age)
  tell(id, 0)
end

-- Removes finished jobs that are too old, a bounded number of them.
local function expire(age)
  for _, id in ipairs(C('ZRANGEBYSCORE', P .. 'ended', '-inf', now() - age, 'LIMIT', 0, 50)) do
    forget(id, 'expired', age)
  end
end

local function fits(jobs, bytes, most_jobs, most_bytes)
  return C('HLEN', P .. 'sizes') + jobs <= most_jobs
    and n(C('HGET', P .. 'totals', 'bytes')) + bytes <= most_bytes
end

-- Removes finished jobs, the oldest of the owner who uses the most, until there is room for a job of
-- `owner`; owners who use less are spared. Without `spare`, nothing is removed if that is not enough.
local function make_room(owner, jobs, bytes, most_jobs, most_bytes, age, spare)
  expire(age)
  if fits(jobs, bytes, most_jobs, most_bytes) then return true end
  local function weight(name)
    return math.max(n(C('HGET', P .. 'jobs', name)) / most_jobs,
      n(C('HGET', P .. 'bytes', name)) / most_bytes)
  end
  if not spare then
    -- What may go: the finished jobs of those who use more than the owner.
    local freed_jobs, freed_bytes = 0, 0
    for _, name in ipairs(C('HKEYS', P .. 'ended_bytes')) do
      if weight(name) >= weight(owner) then
        freed_jobs = freed_jobs + C('ZCARD', P .. 'ended:' .. name)
        freed_bytes = freed_bytes + n(C('HGET', P .. 'ended_bytes', name))
      end
    end
    if not fits(jobs - freed_jobs, bytes - freed_bytes, most_jobs, most_bytes) then return false end
  end
  while not fits(jobs, bytes, most_jobs, most_bytes) do
    local most, most_name, oldest = weight(owner), owner, nil
    for _, name in ipairs(C('HKEYS', P .. 'ended_bytes')) do
      local first = C('ZRANGE', P .. 'ended:' .. name, 0, 1)
      local candidate = first[1]
      if candidate == spare then candidate = first[2] end
      if candidate and weight(name) >= most then
        most, most_name, oldest = weight(name), name, candidate
      end
    end
    if not oldest then return false end
    forget(oldest, 'expired', age, most_name)
  end
  return true
end

-- Removes an unfinished job whose record is gone or cannot be read.
local function lose(id, status, age)
  C('ZREM', P .. 'leases', id)
  C('ZREM', P .. 'waiting', id)
  local size = size_of(id)
  if size then
    size[5] = status
    remember(id, size)
    add('unfinished', size[3], -1)
    C('HINCRBY', P .. 'totals', 'ended_bytes', size[1])
    C('HINCRBY', P .. 'ended_bytes', size[3], size[1])
  end
  forget(id, 'damaged', age)
end

-- The waiting jobs of a queue key, and the turns.
local function push(turn, id, time)
  if C('RPUSH', P .. 'turn:' .. turn, id) == 1 then C('RPUSH', P .. 'turns', turn) end
  C('ZADD', P .. 'waiting', time, id)
end

local function unqueue(turn, id)
  if C('ZREM', P .. 'waiting', id) == 0 then return end
  C('LREM', P .. 'turn:' .. turn, 1, id)
  if C('EXISTS', P .. 'turn:' .. turn) == 0 then C('LREM', P .. 'turns', 1, turn) end
end

-- Puts the pieces of a document in place: all but the last are staged under a token.
local function place(name, staged, last)
  if staged ~= '' then C('RENAME', P .. 'staged:' .. staged, P .. name) end
  if last ~= '' then C('RPUSH', P .. name, last) end
  if staged ~= '' then C('PERSIST', P .. name) end
end

-- The nodes that are alive, and the mean seconds of recent jobs.
local function alive() return C('ZRANGEBYSCORE', P .. 'nodes', now(), '+inf') end
local function mean_s() return C('HGET', P .. 'totals', 'mean_s') or '0.1' end

-- Whether all pieces that are staged under these tokens are still there, as many as each token begins
-- with. They expire after a while, and are looked for before anything is written: what a script that fails has written stays.
local function are_staged(...)
  for _, token in ipairs({...}) do
    local pieces = n(token:match('^%d+'))
    if C('LLEN', P .. 'staged:' .. token) ~= pieces then return false end
  end
  return true
end

local DOCUMENTS = {'job:', 'request:', 'result:', 'curve:', 'history:'}

-- Makes a job that has ended one that expires and may be evicted.
local function ended(id, status, age)
  local size = size_of(id)
  if not size then return end
  local bytes, number, owner, key = size[1], size[2], size[3], size[4]
  size[5] = status
  remember(id, size)
  C('ZADD', P .. 'ended', now(), id)
  C('ZADD', P .. 'ended:' .. owner, now(), id)
  C('HINCRBY', P .. 'totals', 'ended_bytes', bytes)
  C('HINCRBY', P .. 'ended_bytes', owner, bytes)
  C('SET', P .. 'gone:' .. id, cjson.encode({owner, number, 'expired'}), 'PX', 2 * age)
  C('UNLINK', P .. 'checkpoint:' .. id)
  for _, name in ipairs(DOCUMENTS) do C('PEXPIRE', P .. name .. id, age) end
  if key ~= '' then C('PEXPIRE', P .. 'key:' .. owner .. ':' .. key, age) end
end

-- The job of an idempotency key, as the answer of a script; nil where there is none.
local function keyed(owner, key, fingerprint)
  local found = key ~= '' and C('GET', P .. 'key:' .. owner .. ':' .. key)
  if not found then return nil end
  local used, id = found:match('^(.-)\n(.*)$')
  if C('EXISTS', record(id)) == 0 then return nil end
  if used ~= fingerprint then return {'conflict'} end
  return {'found', C('HGETALL', record(id)), id}
end

-- Adds the record and the request of a job; returns why not, or nil.
local function admit(id, owner, key, fingerprint, bytes, limits)
  if C('EXISTS', record(id)) == 1 then return {'exists'} end
  local unfinished, busy = n(C('HGET', P .. 'unfinished', owner)), C('HLEN', P .. 'unfinished')
  local held = n(C('HGET', P .. 'bytes', owner)) - n(C('HGET', P .. 'ended_bytes', owner))
  if owner ~= '' and unfinished > 0 and (held + bytes) * (busy + 1) > limits.bytes then
    return {'share'}
  end
  if not make_room(owner, 1, bytes, limits.jobs, limits.bytes, limits.age) then return {'store'} end
  local number = C('HINCRBY', P .. 'totals', 'number', 1)
  remember(id, {bytes, number, owner, key, 'queued'})
  grow(owner, bytes)
  C('HINCRBY', P .. 'jobs', owner, 1)
  C('ZADD', P .. 'all', number, id)
  C('ZADD', P .. 'of:' .. owner, number, id)
  if key ~= '' then C('SET', P .. 'key:' .. owner .. ':' .. key, fingerprint .. '\n' .. id) end
  return nil
end
