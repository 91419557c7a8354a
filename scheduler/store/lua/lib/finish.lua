-- Bring a session to a final state: everything that is true of every end.
-- Its dependents are told later, in bounded steps, from the group's resolve list.
-- @include lib/move
-- @include lib/put_callback
local function tell_end(id, group, target, reason, attempt, callback)
    redis.call('ZREM', keys.timers(group), id)
    if redis.call('EXISTS', keys.dependents(id), keys.held(id)) > 0 then
        redis.call('ZADD', keys.resolve(group), int(now), id)
        announce(group, 'resolve', id)
    end
    if callback then put_callback(id, target, reason, attempt, callback) end
    redis.call('PUBLISH', keys.done(id), target)
end

local function finish(id, verb, target, reason, ...)
    local state, group, attempt, callback = move(id, verb, target, reason, 'ended_at', int(now), ...)
    if not state then return nil, group end
    -- Where it was asked for before, that moment stays.
    if target == 'CANCELLED' then redis.call('HSETNX', keys.session(id), 'cancelled_at', int(now)) end
    tell_end(id, group, target, reason, attempt, callback)
    return state, group
end
