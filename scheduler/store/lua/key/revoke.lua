-- Take an API key back, for ever. Its record stays, so that logs which name it can be read.
--
-- @arg key str
-- @reply revoked | already | gone
-- @include lib/although_full
-- @include lib/clock_ms
-- @include lib/int
local role, revoked = unpack(redis.call('HMGET', keys.api_key(key), 'role', 'revoked_at'))
if not role then return { 'gone' } end
if revoked then return { 'already' } end
redis.call('HSET', keys.api_key(key), 'revoked_at', int(now))
return { 'revoked' }
