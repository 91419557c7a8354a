-- Cancel a session that is not placed; ask the leader to cancel one that is. Returns what became of it, and
-- of one that had ended, how.
-- @include lib/finish
local function cancel_session(id, reason)
    local key = keys.session(id)
    local state, group, requested = unpack(redis.call('HMGET', key, 'state', 'group', 'cancel_requested'))
    if not state then return 'gone' end
    if FINAL[state] then return 'ended', state end
    if SESSION_LIFE.cancel[state] and state ~= 'SCHEDULED' then
        finish(id, 'cancel', 'CANCELLED', reason)
        return 'cancelled'
    end
    if not requested then
        redis.call('HSET', key, 'cancel_requested', reason, 'cancelled_at', int(now))
        emit('session.cancel_requested', 'session', id, 'group', group, 'reason', reason)
    end
    announce(group, 'cancel', id)
    return 'accepted'
end
