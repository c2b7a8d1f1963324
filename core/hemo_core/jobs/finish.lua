-- Record that the summary is written; a running job without open rows is done.
--
-- ARGV[1]  seconds to keep the keys
-- → state

if not state or open_rows() > 0 then return state end
if state == 'running' then
  state = 'done'
  redis.call('HSET', meta, 'state', state, 'finished', now)
end
redis.call('HSET', meta, 'summarised', '1')
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, ARGV[1]) end
return state
