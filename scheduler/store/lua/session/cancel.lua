-- Cancel what is not placed; ask the leader to cancel what is.
--
-- @arg session str
-- @arg reason str
-- @reply cancelled | accepted | ended | gone
-- @include lib/although_full
-- @include lib/finish
local key = keys.session(session)
local state, group, requested = unpack(redis.call('HMGET', key, 'state', 'group', 'cancel_requested'))
if not state then return { 'gone' } end
if FINAL[state] then return { 'ended', state } end
if SESSION_LIFE.cancel[state] and state ~= 'SCHEDULED' then
    finish(session, 'cancel', 'CANCELLED', reason)
    return { 'cancelled' }
end
if not requested then
    redis.call('HSET', key, 'cancel_requested', reason, 'cancelled_at', int(now))
    emit('session.cancel_requested', 'session', session, 'group', group, 'reason', reason)
end
announce(group, 'cancel', session)
return { 'accepted' }
