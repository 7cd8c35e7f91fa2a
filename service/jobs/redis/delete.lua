-- ARGV: id, owner or '', whether the owner matters, ms that finished jobs are kept
local id = ARGV[1]
local status, owner = unpack(C('HMGET', record(id), 'status', 'owner'))
if not status or (ARGV[3] == '1' and owner ~= ARGV[2]) then return 'unknown' end
if status == 'queued' or status == 'running' then return 'unfinished' end
forget(id, 'deleted', ARGV[4])
return 'deleted'
