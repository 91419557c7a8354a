-- Move a waiting session whose time has come, or that can never run.
--
-- edge: release (PENDING -> READY), requeue (RETRYING -> READY), expire (-> CANCELLED), refuse (-> FAILED).
-- A PENDING session is released only when its dependencies are met and its start time is reached.
--
-- @op session, group, edge, reason
-- @item done | waits | stale | gone
-- @include lib/finish
-- @include lib/to_ready
function moves.settle(op)
    local state, group, unmet, not_before =
        unpack(redis.call('HMGET', keys.session(op.session), 'state', 'group', 'unmet', 'not_before'))
    -- What is gone, ended or nowhere has no timer any more; that of a placed session is its deadline.
    local nowhere = not state or FINAL[state] or not SESSION_STATES[state] or group ~= op.group
    if nowhere then redis.call('ZREM', keys.timers(op.group), op.session) end
    if not state then return 'gone' end
    if nowhere or not SESSION_LIFE[op.edge][state] then return 'stale' end
    local waits = (tonumber(unmet or '0') or 1) > 0 or (tonumber(not_before or '0') or 0) > now
    if op.edge == 'expire' then
        finish(op.session, 'expire', 'CANCELLED', op.reason)
    elseif op.edge == 'refuse' then
        finish(op.session, 'refuse', 'FAILED', op.reason)
    elseif op.edge == 'release' and waits then
        return 'waits'
    else
        to_ready(op.session, op.edge, '')
    end
    return 'done'
end
