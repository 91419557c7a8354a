-- Give a parked subscriber events again, or one that fails now instead of after its back-off.
--
-- to is the id of the event it could not take, which is passed over; "" tries it once more. window is
-- the throttle's window whose digest it could not take, and which is given up instead; "" is none.
--
-- @arg name str
-- @arg to str
-- @arg window str
-- @reply resumed | running | gone
-- @include lib/emit
local key = keys.subscriber(name)
local cursor, parked, failures = unpack(redis.call('HMGET', key, 'cursor', 'parked_at', 'failures'))
if not cursor then return { 'gone' } end
if not parked and not failures then return { 'running' } end
if to ~= '' then redis.call('HSET', key, 'cursor', to) end
if window ~= '' and redis.call('HGET', key, 'window') == window then redis.call('HDEL', key, 'window') end
redis.call('HDEL', key, 'parked_at', 'failures', 'error', 'next_at', 'down_since', 'for_good', 'chances')
if parked then emit('subscriber.resumed', 'subscriber', name, 'reason', '') end
return { 'resumed' }
