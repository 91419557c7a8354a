-- Try a parked callback again, from now on for the whole of its patience.
--
-- @arg entry str
-- @reply resumed | gone
-- @include lib/clock_ms
-- @include lib/int
-- @include lib/lane
if redis.call('ZREM', keys.callbacks_parked(), entry) == 0 then return { 'gone' } end
local key = keys.callback(entry)
local id, to = unpack(redis.call('HMGET', key, 'session', 'to'))
if not id then return { 'gone' } end
local lane = string.match(to, '^%S+')
redis.call('HDEL', key, 'parked_at', 'failures', 'for_good', 'chances')
redis.call('HSET', key, 'since', int(now))
redis.call('ZADD', keys.callback_lane(lane), int(now), entry)
redis.call('ZADD', keys.callback_lanes(), 'LT', int(now), lane)
tell_session(id, 'waiting')
return { 'resumed' }
