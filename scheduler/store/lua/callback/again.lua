-- Put callbacks that were given up on the outbox once more; entries: at most 100. How many were put there.
--
-- How long each was tried stays on record, so that one more failure gives it up again.
--
-- @arg entries json
-- @reply put
-- @include lib/clock_ms
-- @include lib/int
-- @include lib/lane
local count = 0
for _, entry in ipairs(entries) do
    local key = keys.callback(entry)
    local id, to = unpack(redis.call('HMGET', key, 'session', 'to'))
    if redis.call('ZREM', keys.callbacks_parked(), entry) == 1 and id then
        local lane = string.match(to, '^%S+')
        redis.call('HDEL', key, 'parked_at')
        redis.call('HINCRBY', key, 'chances', 1)
        redis.call('ZADD', keys.callback_lane(lane), int(now), entry)
        redis.call('ZADD', keys.callback_lanes(), 'LT', int(now), lane)
        tell_session(id, 'waiting')
        count = count + 1
    end
end
return { 'put', int(count) }
