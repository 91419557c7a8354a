-- Keep a new API key: what it may do, and the digest of its secret, never the secret.
--
-- lasts: for how many ms it is good, 0 for ever. A key of an office that does not exist, or was deleted since
-- somebody looked, would be one of the next of that name. Ids are random: one that is there with the same
-- digest was written by a call whose answer was lost.
--
-- @arg key str
-- @arg role str
-- @arg office str
-- @arg label str
-- @arg digest str
-- @arg lasts int
-- @reply created | exists | unknown_office
-- @include lib/clock_ms
-- @include lib/int
local known = redis.call('HGET', keys.api_key(key), 'digest')
if known then return { known == digest and 'created' or 'exists' } end
if office ~= '' and redis.call('HEXISTS', keys.office(office), 'config') == 0 then return { 'unknown_office' } end
redis.call('HSET', keys.api_key(key), 'role', role, 'office', office, 'name', label,
    'digest', digest, 'created_at', int(now))
if lasts > 0 then redis.call('HSET', keys.api_key(key), 'expires_at', int(now + lasts)) end
redis.call('SADD', keys.api_keys(), key)
return { 'created' }
