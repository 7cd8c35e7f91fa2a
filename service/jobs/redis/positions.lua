-- ARGV: ids
-- Answers how many jobs are before each of them, false where it does not wait; the nodes that are
-- alive; and the mean seconds of recent jobs.
local turns = C('LRANGE', P .. 'turns', 0, -1)
local rank, length = {}, {}
for i, turn in ipairs(turns) do rank[turn], length[i] = i, C('LLEN', P .. 'turn:' .. turn) end

local indices = {}
-- The jobs of its turn that are before a job.
local function ahead_of(id, turn)
  if #ARGV == 1 then return C('LPOS', P .. 'turn:' .. turn, id) end
  if not indices[turn] then
    indices[turn] = {}
    for i, each in ipairs(C('LRANGE', P .. 'turn:' .. turn, 0, -1)) do indices[turn][each] = i - 1 end
  end
  return indices[turn][id]
end

local rounds = {}
-- The jobs of all turns before round `ahead`, counted from 0, and the jobs of the round before that
-- of each turn.
local function round(ahead)
  if not rounds[ahead] then
    local served, before, reached = 0, {}, 0
    for i, jobs in ipairs(length) do
      served, before[i] = served + math.min(jobs, ahead), reached
      if jobs > ahead then reached = reached + 1 end
    end
    rounds[ahead] = {served, before}
  end
  return unpack(rounds[ahead])
end

local positions = {}
for i, id in ipairs(ARGV) do
  local turn = C('ZSCORE', P .. 'waiting', id) and field_of(id, 'queue_key')
  local ahead = turn and rank[turn] and ahead_of(id, turn)
  positions[i] = false
  if ahead then
    local served, before = round(ahead)
    positions[i] = served + before[rank[turn]]
  end
end
return {positions, alive(), mean_s()}
