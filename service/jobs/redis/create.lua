-- ARGV: id, owner, queue key, bytes, idempotency key, fingerprint, limits, staged request, its
-- last piece, the record's fields and values
local id, owner, turn, bytes, key, fingerprint = unpack(ARGV, 1, 6)
local limits, time = cjson.decode(ARGV[7]), now()
local found = keyed(owner, key, fingerprint)
if found then return found end
if not are_staged(ARGV[8]) then return {'staged'} end
local unfinished = n(C('HGET', P .. 'unfinished', owner))
if owner ~= '' and unfinished >= limits.unfinished then return {'unfinished', unfinished} end
local free = limits.queued - C('ZCARD', P .. 'waiting')
if free <= 0 or C('LLEN', P .. 'turn:' .. turn) >= limits.share * free then return {'queue'} end
local refused = admit(id, owner, key, fingerprint, n(bytes), limits)
if refused then return refused end
C('HSET', record(id), 'queued_ms', time, unpack(ARGV, 10))
place('request:' .. id, ARGV[8], ARGV[9])
C('HINCRBY', P .. 'unfinished', owner, 1)
C('HINCRBY', P .. 'count', 'queued', 1)
push(turn, id, time)
return {'created'}
