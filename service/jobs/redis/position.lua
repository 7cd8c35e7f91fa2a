-- ARGV: id
-- Answers the jobs before it, the nodes that are alive, and the mean seconds of recent jobs.
local id = ARGV[1]
if not C('ZSCORE', P .. 'waiting', id) then return nil end
local own = C('HGET', record(id), 'queue_key')
local ahead = C('LPOS', P .. 'turn:' .. own, id)
if not ahead then return nil end
local total, passed = ahead, false
for _, turn in ipairs(C('LRANGE', P .. 'turns', 0, -1)) do
  if turn == own then
    passed = true
  else
    total = total + math.min(C('LLEN', P .. 'turn:' .. turn), ahead + (passed and 0 or 1))
  end
end
return {total, alive(), mean_s()}
