-- What comes before each script of a job: its keys by name, the broker's clock, and what is asked of a job.
--
-- KEYS[1]  meta        hash: header, state, total, chunk_size, created, started, finished, slices, summarised
-- KEYS[2]  scored      bitmaps of how a scan ended; the bit is the row's number
-- KEYS[3]  failed
-- KEYS[4]  rejected
-- KEYS[5]  cancelled
-- KEYS[6]  free        bitmap of the chunks that nobody has claimed
-- KEYS[7]  inflight    hash, row begun and not yet marked: 'group' (with others), 'alone', or 'suspect' (its process
--                      died; it must run alone)
-- KEYS[8]  crashes     hash, row: how often it killed its process while it ran alone
-- KEYS[9]  leases      sorted set, chunk: until when, in ms
-- KEYS[10] owners      hash, chunk: <worker>/<process>
-- KEYS[11] counts      hash, <ending>:<label or code>: scans
--
-- now is in ms since 1970 by the broker's clock.

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
