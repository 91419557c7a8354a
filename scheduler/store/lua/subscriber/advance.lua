-- Move a subscriber's cursor behind what it was given, or what it does not want; failures in a row are over.
--
-- A compare-and-set on the cursor: of two replicas that delivered the same event one counts it.
--
-- window is what its throttle let through and held back up to there; "" leaves that as it is.
--
-- @arg name str
-- @arg from str
-- @arg to str
-- @arg delivered int
-- @arg gaps int
-- @arg window str
-- @reply done | moved | gone
-- @include lib/took
local key = keys.subscriber(name)
local cursor = redis.call('HGET', key, 'cursor')
if not cursor then return { 'gone' } end
if cursor ~= from then return { 'moved' } end
redis.call('HSET', key, 'cursor', to)
if window ~= '' then redis.call('HSET', key, 'window', window) end
if delivered > 0 then
    took(name, key)
    redis.call('HINCRBY', key, 'delivered', delivered)
else
    redis.call('HDEL', key, 'failures', 'error', 'next_at')
end
if gaps > 0 then redis.call('HINCRBY', key, 'gaps', gaps) end
return { 'done' }
