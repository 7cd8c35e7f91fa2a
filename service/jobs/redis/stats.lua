-- ARGV: ms that finished jobs are kept
expire(n(ARGV[1]))
local oldest = C('ZRANGE', P .. 'waiting', 0, 0, 'WITHSCORES')[2]
local waited = oldest and math.max(now() - oldest, 0) or 0
return {C('HGETALL', P .. 'count'), n(C('HGET', P .. 'totals', 'bytes')), C('ZCARD', P .. 'waiting'),
  waited, alive(), mean_s()}
