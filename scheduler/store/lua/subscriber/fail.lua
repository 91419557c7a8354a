-- Note that the event after a subscriber's cursor could not be delivered; after `limit` failures park it.
--
-- seen is how many failures in a row were on record, so that a repeat is not counted; limit 0 parks
-- it at once and for good; delay is the back-off in ms. That it was parked is told once per outage, however
-- often it was given another chance meanwhile.
--
-- @arg name str
-- @arg from str
-- @arg seen int
-- @arg why str
-- @arg delay int
-- @arg limit int
-- @reply again | parked | moved | gone
-- @include lib/clock_ms
-- @include lib/int
-- @include lib/emit
local key = keys.subscriber(name)
local cursor, parked, known = unpack(redis.call('HMGET', key, 'cursor', 'parked_at', 'failures'))
if not cursor then return { 'gone' } end
if cursor ~= from or tonumber(known or '0') ~= seen then return { 'moved' } end
if parked then return { 'parked' } end
redis.call('HINCRBY', key, 'failed', 1)
local failures = redis.call('HINCRBY', key, 'failures', 1)
redis.call('HSET', key, 'error', why, 'next_at', int(now + delay))
if failures < limit then return { 'again' } end
redis.call('HSET', key, 'parked_at', int(now))
if limit == 0 then redis.call('HSET', key, 'for_good', 1) end
if redis.call('HSETNX', key, 'down_since', int(now)) == 1 then
    emit('subscriber.parked', 'subscriber', name, 'reason', why)
end
return { 'parked' }
