-- A lane's next look after its holder is done with it, and what the session's record says of its callback.
-- @include lib/clock_ms
-- @include lib/int
local function let_lane_go(lane, held, hold)
    if redis.call('HGET', keys.callback_holds(), lane) ~= held then return end
    if hold > 0 then
        redis.call('HSET', keys.callback_holds(), lane, int(now + hold))
    else
        redis.call('HDEL', keys.callback_holds(), lane)
    end
    local first = redis.call('ZRANGE', keys.callback_lane(lane), 0, 0, 'WITHSCORES')
    if first[1] then
        redis.call('ZADD', keys.callback_lanes(), int(math.max(tonumber(first[2]), now + hold)), lane)
    else
        redis.call('ZREM', keys.callback_lanes(), lane)
        redis.call('HDEL', keys.callback_holds(), lane)
        redis.call('HDEL', keys.callback_failures(), lane)
    end
end

local function tell_session(id, text)
    if redis.call('EXISTS', keys.session(id)) == 1 then
        redis.call('HSET', keys.session(id), 'callback_told', text)
    end
end
