-- Take the first due callback of each lane that is due, and hold those lanes for lease ms; up to limit lanes.
--
-- Per callback the reply goes on with nine texts: entry, lane, to, session, state, reason, attempt,
-- ended_at, failures; then the time until which the lane is held, and its failures without an answer.
--
-- @arg limit int
-- @arg lease int
-- @reply taken
-- @include lib/clock_ms
-- @include lib/int
local reply, count = { 'taken' }, 0

local function take(lane, entry)
    local row = redis.call('HMGET', keys.callback(entry), 'to', 'session', 'state', 'reason', 'attempt',
        'ended_at', 'failures')
    if not row[1] then
        -- Its record is gone: look at the lane again with the next call.
        redis.call('ZREM', keys.callback_lane(lane), entry)
        return
    end
    local held = int(now + lease)
    redis.call('HSET', keys.callback_holds(), lane, held)
    redis.call('ZADD', keys.callback_lanes(), held, lane)
    count = count + 1
    for _, text in ipairs({ entry, lane, row[1], row[2] or '', row[3] or '', row[4] or '', row[5] or '0',
        row[6] or '0', row[7] or '0', held, redis.call('HGET', keys.callback_failures(), lane) or '0' }) do
        reply[#reply + 1] = text
    end
end

for _, lane in ipairs(redis.call('ZRANGEBYSCORE', keys.callback_lanes(), '-inf', int(now), 'LIMIT', 0, 200)) do
    if count >= limit then break end
    local held = tonumber(redis.call('HGET', keys.callback_holds(), lane) or '0')
    local first = redis.call('ZRANGE', keys.callback_lane(lane), 0, 0, 'WITHSCORES')
    if not first[1] then
        redis.call('ZREM', keys.callback_lanes(), lane)
    elseif held > now then
        redis.call('ZADD', keys.callback_lanes(), int(held), lane)
    elseif tonumber(first[2]) > now then
        redis.call('ZADD', keys.callback_lanes(), first[2], lane)
    else
        take(lane, first[1])
    end
end
return reply
