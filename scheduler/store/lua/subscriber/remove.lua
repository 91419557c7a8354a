-- Forget a subscriber.
--
-- @arg name str
-- @reply removed | gone
-- @include lib/although_full
if redis.call('SREM', keys.subscribers(), name) == 0 then return { 'gone' } end
redis.call('DEL', keys.subscriber(name))
return { 'removed' }
