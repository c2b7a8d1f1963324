-- Keep the leases of an owner.
--
-- ARGV[1]  owner
-- ARGV[2]  lease in ms
-- ARGV[3…] chunks
-- → the chunks that somebody else holds by now

local lost = {}
for argument = 3, #ARGV do
  if redis.call('HGET', owners, ARGV[argument]) == ARGV[1] then
    redis.call('ZADD', leases, now + tonumber(ARGV[2]), ARGV[argument])
  else lost[#lost + 1] = tonumber(ARGV[argument]) end
end
return lost
