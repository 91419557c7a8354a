-- PENDING -> READY when nothing is waited for any more; else set the timer for its start time.
-- @include lib/move
-- @include lib/to_ready
local function release_if_due(id, verb)
    local group, unmet, not_before, state =
        unpack(redis.call('HMGET', keys.session(id), 'group', 'unmet', 'not_before', 'state'))
    -- A number that is none is waited for: the leader sees it when the time of the session has come.
    if state ~= 'PENDING' or (tonumber(unmet or '0') or 1) > 0 then return false end
    if (tonumber(not_before or '0') or 0) > now then
        redis.call('ZADD', keys.timers(group), int(not_before), id)
        return false
    end
    to_ready(id, verb, '')
    return true
end
