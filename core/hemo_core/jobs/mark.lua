-- Record how a scan ended, once.
--
-- ARGV[1]  scored, failed or rejected
-- ARGV[2]  row
-- ARGV[3]  slices scored
-- ARGV[4]  label or code, to be counted
-- → {state, open rows, 1 if it had not ended before}

local ending, row, slices, what = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local bitmaps = {scored = scored, failed = failed, rejected = rejected}
redis.call('HDEL', inflight, row)
redis.call('HDEL', crashes, row)
if not state then return {'unknown', 0, 0} end
local new = 0
if not finished(row) then
  new = 1
  redis.call('SETBIT', cancelled, row, 0)
  redis.call('SETBIT', bitmaps[ending], row, 1)
  redis.call('HINCRBY', meta, 'slices', slices)
  redis.call('HINCRBY', counts, ending .. ':' .. what, 1)
end
return {state, open_rows(), new}
