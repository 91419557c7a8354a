-- Note that an API key was used; by the minute, so that a busy key costs no write per request.
--
-- @arg key str
-- @reply touched | already | gone
-- @include lib/clock_ms
-- @include lib/int
local role, last = unpack(redis.call('HMGET', keys.api_key(key), 'role', 'last_used_at'))
if not role then return { 'gone' } end
if last and now - tonumber(last) < 60000 then return { 'already' } end
redis.call('HSET', keys.api_key(key), 'last_used_at', int(now))
return { 'touched' }
