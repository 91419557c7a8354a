-- Note that the digest of what a subscriber's throttle held back was taken; the next window begins.
--
-- A compare-and-set on the window: of two replicas that told the same digest one counts it.
--
-- @arg name str
-- @arg from str
-- @arg to str
-- @reply done | moved | gone
-- @include lib/took
local key = keys.subscriber(name)
local cursor, window = unpack(redis.call('HMGET', key, 'cursor', 'window'))
if not cursor then return { 'gone' } end
if window ~= from then return { 'moved' } end
redis.call('HSET', key, 'window', to)
took(name, key)
redis.call('HINCRBY', key, 'delivered', 1)
return { 'done' }
