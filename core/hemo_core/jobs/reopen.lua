-- Open what has not ended, and perhaps what failed.
--
-- ARGV[1]  bytes of a bitmap with every chunk free
-- ARGV[2]  1 to open the failed rows again
-- → rows open now; -1 if there is no such job

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
