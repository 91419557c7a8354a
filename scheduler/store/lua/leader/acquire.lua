-- Take a free lock as python-redis-lock does, on a Redis too full for its SET NX.
--
-- Key, value and time to live are the library's own: it extends and releases what was taken here.
--
-- @arg group str
-- @arg nonce str
-- @arg ttl_ms int
-- @reply acquired | held
-- @include lib/although_full
local holder = redis.call('GET', keys.lock(group))
if holder then return { holder == nonce and 'acquired' or 'held' } end
redis.call('SET', keys.lock(group), nonce, 'PX', ttl_ms)
return { 'acquired' }
