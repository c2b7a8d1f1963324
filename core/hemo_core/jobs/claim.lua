-- Take a chunk under a lease, or find out why not.
--
-- ARGV[1]  owner
-- ARGV[2]  chunk; -1 for any
-- ARGV[3]  lease in ms
-- ARGV[4]  deaths alone that make a scan poison
-- → {verdict, chunk, 1 if taken over, missing rows, suspect rows, poison rows}

local me, chunk, lease, cap = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local function answer(verdict) return {verdict, -1, 0, {}, {}, {}} end
local function abandoned(chunk, owner)
  if worker(owner) == worker(me) then return owner ~= me end
  return tonumber(redis.call('ZSCORE', leases, chunk) or '0') <= now
end
if not state then return answer('unknown') end
local unsummarised = redis.call('HGET', meta, 'summarised') ~= '1'
if open_rows() == 0 and unsummarised then return answer('finish') end
if state ~= 'running' then return answer('stop') end
if chunk < 0 then
  local held = redis.call('HGETALL', owners)
  for entry = 1, #held, 2 do
    if abandoned(held[entry], held[entry + 1]) then chunk = tonumber(held[entry]) break end
  end
  if chunk < 0 then chunk = redis.call('BITPOS', free, 1) end
  if chunk < 0 then return answer('none') end
end
local owner = redis.call('HGET', owners, chunk)
if owner and owner ~= me and not abandoned(chunk, owner) then return answer('busy') end
local missing, suspects, poison = {}, {}, {}
local first, last = bounds(chunk)
for row = first, last - 1 do
  if not finished(row) then
    local begun = redis.call('HGET', inflight, row)
    if begun == 'alone' then redis.call('HINCRBY', crashes, row, 1) end
    if begun then redis.call('HSET', inflight, row, 'suspect') end
    local deaths = tonumber(redis.call('HGET', crashes, row) or '0')
    if deaths >= cap then poison[#poison + 1] = row
    elseif begun or deaths > 0 then suspects[#suspects + 1] = row
    else missing[#missing + 1] = row end
  end
end
redis.call('SETBIT', free, chunk, 0)
if #missing + #suspects + #poison == 0 then
  redis.call('ZREM', leases, chunk)
  redis.call('HDEL', owners, chunk)
  return {'empty', chunk, 0, {}, {}, {}}
end
redis.call('HSET', owners, chunk, me)
redis.call('ZADD', leases, now + lease, chunk)
redis.call('HSETNX', meta, 'started', now)
return {'run', chunk, owner and 1 or 0, missing, suspects, poison}
