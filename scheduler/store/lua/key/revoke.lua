-- Take an API key back, for ever. Its record stays, so that logs which name it can be read.
--
-- @arg key str
-- @reply revoked | already | gone
-- @include lib/although_full
-- @include lib/emit
local role, office, revoked = unpack(redis.call('HMGET', keys.api_key(key), 'role', 'office', 'revoked_at'))
if not role then return { 'gone' } end
if revoked then return { 'already' } end
redis.call('HSET', keys.api_key(key), 'revoked_at', int(now))
emit('key.revoked', 'key', key, 'role', role, 'office', office)
return { 'revoked' }
