-- Give a parked subscriber its next event once more: unless it takes it, the next failure parks it again.
--
-- It must have been parked for every ms, and for the first time no longer ago than within ms; not one
-- whose receiver is gone for good. Its failures stay on record, so that one more is enough.
--
-- @arg name str
-- @arg every int
-- @arg within int
-- @reply probed | waits | over | running | gone
-- @include lib/clock_ms
local key = keys.subscriber(name)
local cursor, parked, since, for_good =
    unpack(redis.call('HMGET', key, 'cursor', 'parked_at', 'down_since', 'for_good'))
if not cursor then return { 'gone' } end
if not parked then return { 'running' } end
if for_good or now - tonumber(since or parked) > within then return { 'over' } end
if now - tonumber(parked) < every then return { 'waits' } end
redis.call('HDEL', key, 'parked_at', 'next_at')
redis.call('HINCRBY', key, 'chances', 1)
return { 'probed' }
