-- ARGV: id, owner, status, bytes, idempotency key, fingerprint, limits, staged request, its last
-- piece, staged result, its last piece, staged curve, its last piece, the last epoch, the rows, the
-- record's fields and values
local id, owner, status, bytes, key, fingerprint = unpack(ARGV, 1, 6)
local limits = cjson.decode(ARGV[7])
local found = keyed(owner, key, fingerprint)
if found then return found end
if not are_staged(ARGV[8], ARGV[10], ARGV[12]) then return {'staged'} end
local refused = admit(id, owner, key, fingerprint, n(bytes), limits)
if refused then return refused end
C('HSET', record(id), unpack(ARGV, 16))
place('request:' .. id, ARGV[8], ARGV[9])
place('result:' .. id, ARGV[10], ARGV[11])
place('curve:' .. id, ARGV[12], ARGV[13])
if ARGV[14] ~= '' then C('XADD', P .. 'history:' .. id, ARGV[14] .. '-1', 'rows', ARGV[15]) end
C('HINCRBY', P .. 'count', status, 1)
ended(id, status, limits.age)
return {'created'}
