-- Stop a job: every scan without an outcome becomes cancelled.
--
-- → 1 if it was running

if state ~= 'running' then return 0 end
local bytes = math.ceil(total / 8)
redis.call('BITOP', 'OR', cancelled, scored, failed, rejected)
redis.call('SETRANGE', cancelled, bytes, '\0')
redis.call('BITOP', 'NOT', cancelled, cancelled)
for bit = total, bytes * 8 + 7 do redis.call('SETBIT', cancelled, bit, 0) end
redis.call('HSET', meta, 'state', 'cancelled', 'summarised', '0', 'finished', now)
return 1
