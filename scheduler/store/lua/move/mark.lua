-- Note how the leader sees an agent: ready, not-ready, lost, left.
--
-- @op agent, boot, status, reason
-- @item done | already | superseded | gone
-- @include lib/emit
function moves.mark(op)
    local record = keys.record(op.agent)
    local boot, status, group = unpack(redis.call('HMGET', record, 'boot', 'status', 'group'))
    if not status then return 'gone' end
    if boot ~= op.boot then return 'superseded' end
    if status == op.status then return 'already' end
    redis.call('HSET', record, 'status', op.status)
    emit('agent.' .. string.gsub(op.status, '-', '_'), 'agent', op.agent, 'group', group, 'boot', op.boot,
        'reason', op.reason)
    return 'done'
end
