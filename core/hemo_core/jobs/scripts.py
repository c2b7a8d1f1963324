"""The Lua scripts that keep a job's state consistent. They all take the same keys and read the broker's clock.

Bitmaps say how each scan ended (row number = bit). A chunk is worked on under a lease; the rows begun and not yet
marked are in ``inflight``: ``group`` (with others), ``alone``, or ``suspect`` (its process died; it must run alone).
"""

from __future__ import annotations

KEY_NAMES = (
    "",
    ":scored",
    ":failed",
    ":rejected",
    ":cancelled",
    ":free",
    ":inflight",
    ":crashes",
    ":leases",
    ":owners",
    ":counts",
)

_PRELUDE = """
local meta, scored, failed, rejected, cancelled, free, inflight, crashes, leases, owners, counts = unpack(KEYS)
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HGET', meta, 'state')
local total = tonumber(redis.call('HGET', meta, 'total') or '0')
local size = tonumber(redis.call('HGET', meta, 'chunk_size') or '1')
local function finished(row)
  return redis.call('GETBIT', scored, row) == 1 or redis.call('GETBIT', failed, row) == 1
    or redis.call('GETBIT', rejected, row) == 1
end
local function open_rows()
  return total - redis.call('BITCOUNT', scored) - redis.call('BITCOUNT', failed)
    - redis.call('BITCOUNT', rejected) - redis.call('BITCOUNT', cancelled)
end
local function bounds(chunk)
  return chunk * size, math.min(chunk * size + size, total)
end
local function worker(owner)
  return string.match(owner, '^[^/]*')
end
"""

# ARGV: owner, chunk (-1: any), lease in ms, deaths alone that make poison
# → {verdict, chunk, 1 if taken over, missing rows, suspect rows, poison rows}
CLAIM = (
    _PRELUDE
    + """
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
"""
)

# ARGV: number of the bitmap's key, row, slices, what to count → {state, open rows, 1 if it was new}
MARK = (
    _PRELUDE
    + """
local bitmap, row, slices, tag = KEYS[tonumber(ARGV[1])], ARGV[2], ARGV[3], ARGV[4]
redis.call('HDEL', inflight, row)
redis.call('HDEL', crashes, row)
if not state then return {'unknown', 0, 0} end
local new = 0
if not finished(row) then
  new = 1
  redis.call('SETBIT', cancelled, row, 0)
  redis.call('SETBIT', bitmap, row, 1)
  redis.call('HINCRBY', meta, 'slices', slices)
  redis.call('HINCRBY', counts, tag, 1)
end
return {state, open_rows(), new}
"""
)

# ARGV: owner, lease in ms, chunks… → the chunks that somebody else holds by now
RENEW = (
    _PRELUDE
    + """
local lost = {}
for argument = 3, #ARGV do
  if redis.call('HGET', owners, ARGV[argument]) == ARGV[1] then
    redis.call('ZADD', leases, now + tonumber(ARGV[2]), ARGV[argument])
  else lost[#lost + 1] = tonumber(ARGV[argument]) end
end
return lost
"""
)

# ARGV: owner, chunk → rows still open in it (0 also if somebody else holds it)
RELEASE = (
    _PRELUDE
    + """
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
"""
)

# → 1 if it was running; every scan without an outcome becomes cancelled
CANCEL = (
    _PRELUDE
    + """
if state ~= 'running' then return 0 end
local bytes = math.ceil(total / 8)
redis.call('BITOP', 'OR', cancelled, scored, failed, rejected)
redis.call('SETRANGE', cancelled, bytes, '\\0')
redis.call('BITOP', 'NOT', cancelled, cancelled)
for bit = total, bytes * 8 + 7 do redis.call('SETBIT', cancelled, bit, 0) end
redis.call('HSET', meta, 'state', 'cancelled', 'summarised', '0', 'finished', now)
return 1
"""
)

# ARGV: bytes of a bitmap with every chunk free, 1 to open the failed rows again → rows now open
REOPEN = (
    _PRELUDE
    + """
if not state then return -1 end
redis.call('DEL', cancelled)
if ARGV[2] == '1' then
  redis.call('DEL', failed, crashes)
  for _, tag in ipairs(redis.call('HKEYS', counts)) do
    if string.sub(tag, 1, 7) == 'failed:' then redis.call('HDEL', counts, tag) end
  end
end
local missing = open_rows()
if missing == 0 then return 0 end
redis.call('SET', free, ARGV[1])
for _, chunk in ipairs(redis.call('ZRANGEBYSCORE', leases, now, '+inf')) do redis.call('SETBIT', free, chunk, 0) end
redis.call('HSET', meta, 'state', 'running', 'summarised', '0')
redis.call('HDEL', meta, 'finished')
for _, key in ipairs(KEYS) do redis.call('PERSIST', key) end
return missing
"""
)

# ARGV: seconds to keep the keys → state; done once every row has ended
FINISH = (
    _PRELUDE
    + """
if not state or open_rows() > 0 then return state end
if state == 'running' then
  state = 'done'
  redis.call('HSET', meta, 'state', state, 'finished', now)
end
redis.call('HSET', meta, 'summarised', '1')
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
return state
"""
)
