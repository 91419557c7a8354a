-- Answer a boot that is not admitted now: it waits for its predecessor, or is refused; over: it waits no more.
--
-- @op agent, group, boot, answer (waiting | refused | over), reason
-- @item done | already
-- @include lib/emit
function moves.answer(op)
    local record, field = keys.record(op.agent), op.answer == 'waiting' and 'candidate' or 'refused'
    if op.answer == 'over' then
        local waits = redis.call('HGET', record, 'candidate') or ''
        if string.sub(waits, 1, #op.boot + 1) ~= op.boot .. ' ' then return 'already' end
        redis.call('HDEL', record, 'candidate')
        return 'done'
    end
    local value = op.boot .. ' ' .. op.reason
    if redis.call('HGET', record, field) == value then return 'already' end
    redis.call('HSET', record, field, value)
    -- A boot has one answer, the last: a beat would read the older one.
    local other = field == 'candidate' and 'refused' or 'candidate'
    local before = redis.call('HGET', record, other)
    if before and string.sub(before, 1, #op.boot + 1) == op.boot .. ' ' then redis.call('HDEL', record, other) end
    redis.call('HSETNX', record, 'group', op.group)
    redis.call('HSETNX', record, 'status', 'waiting')
    -- Of the group's own agents the refused ones are listed, too: an operator must see why.
    if redis.call('HGET', record, 'group') == op.group then
        redis.call('SADD', keys.group_agents(op.group), op.agent)
    end
    emit('agent.' .. op.answer, 'agent', op.agent, 'group', op.group, 'boot', op.boot, 'reason', op.reason)
    return 'done'
end
