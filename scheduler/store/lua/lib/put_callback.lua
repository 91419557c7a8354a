-- Put the outcome of a session that ended into the outbox; callback is its record's: lane and address.
-- A lane is looked at as soon as its first entry is due, unless it is held.
-- @include lib/clock_ms
-- @include lib/int
local function put_callback(id, state, reason, attempt, callback)
    local lane = string.match(callback, '^%S+')
    if not lane then return end
    local entry = id .. '.' .. int(now)
    redis.call('HSET', keys.callback(entry), 'session', id, 'to', callback, 'state', state, 'reason', reason,
        'attempt', attempt, 'ended_at', int(now), 'since', int(now))
    redis.call('ZADD', keys.callback_lane(lane), int(now), entry)
    redis.call('ZADD', keys.callback_lanes(), 'LT', int(now), lane)
    redis.call('HSET', keys.session(id), 'callback_told', 'waiting')
end
