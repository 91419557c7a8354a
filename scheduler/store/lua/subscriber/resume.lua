-- Give a parked subscriber events again, or one that fails now instead of after its back-off.
--
-- to is the id of the event it could not take, which is passed over; "" tries it once more.
--
-- @arg name str
-- @arg to str
-- @reply resumed | running | gone
-- @include lib/emit
local key = keys.subscriber(name)
local cursor, parked, failures = unpack(redis.call('HMGET', key, 'cursor', 'parked_at', 'failures'))
if not cursor then return { 'gone' } end
if not parked and not failures then return { 'running' } end
if to ~= '' then redis.call('HSET', key, 'cursor', to) end
redis.call('HDEL', key, 'parked_at', 'failures', 'error', 'next_at')
if parked then emit('subscriber.resumed', 'subscriber', name, 'reason', '') end
return { 'resumed' }
