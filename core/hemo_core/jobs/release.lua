-- Give a chunk back.
--
-- ARGV[1]  owner
-- ARGV[2]  chunk
-- → rows still open in it; 0 also if somebody else holds it

local chunk = tonumber(ARGV[2])
if redis.call('HGET', owners, chunk) ~= ARGV[1] then return 0 end
redis.call('ZREM', leases, chunk)
redis.call('HDEL', owners, chunk)
local missing = 0
local first, last = bounds(chunk)
for row = first, last - 1 do
  if not finished(row) then
    missing = missing + 1
    if redis.call('HGET', inflight, row) ~= 'suspect' then redis.call('HDEL', inflight, row) end
  end
end
if missing > 0 then redis.call('SETBIT', free, chunk, 1) end
return missing
