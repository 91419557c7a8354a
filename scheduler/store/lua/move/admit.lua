-- Admit a boot of an agent. The kernels of its last boot were moved before; their orders are void.
--
-- What is still held (on_lost keep) stays held: free is the new capacity less what was in use.
--
-- @op agent, boot, group, fields [name, value ...], capacity {slot: amount}, reachable (largest idle shapes, text)
-- @item done | already
-- @include lib/emit
-- @include lib/announce
local function slots_in_use(record)
    local total, used = {}, {}
    for index = 1, #record, 2 do
        local slot = string.match(record[index], '^total:(.+)$')
        if slot then total[slot] = tonumber(record[index + 1]) end
    end
    for index = 1, #record, 2 do
        local slot = string.match(record[index], '^free:(.+)$')
        local amount = slot and total[slot] and total[slot] - (tonumber(record[index + 1]) or total[slot])
        -- Where a number is spoilt nothing counts as held: the record is made anew here, to mend it.
        if amount and amount == math.floor(amount) then used[slot] = amount end
    end
    return used
end

function moves.admit(op)
    local record = keys.record(op.agent)
    if redis.call('HGET', record, 'boot') == op.boot then return 'already' end
    local used = slots_in_use(redis.call('HGETALL', record))
    local drained, group = unpack(redis.call('HMGET', record, 'drained', 'group'))
    if group and group ~= op.group then redis.call('SREM', keys.group_agents(group), op.agent) end
    redis.call('DEL', record, keys.orders(op.agent), keys.stops(op.agent), keys.rq_queue(op.agent))
    redis.call('HSET', record, 'boot', op.boot, 'group', op.group, 'status', 'ready', 'admitted_at', int(now),
        unpack(op.fields))
    if drained then redis.call('HSET', record, 'drained', drained) end
    for slot, amount in pairs(op.capacity) do
        redis.call('HSET', record, 'total:' .. slot, amount, 'free:' .. slot, amount - (used[slot] or 0))
        used[slot] = nil
    end
    for slot, amount in pairs(used) do
        if amount > 0 then redis.call('HSET', record, 'total:' .. slot, 0, 'free:' .. slot, -amount) end
    end
    redis.call('SADD', keys.group_agents(op.group), op.agent)
    redis.call('SADD', keys.rq_queues(), keys.rq_queue(op.agent))
    redis.call('HSET', keys.group(op.group), 'reachable', op.reachable)
    emit('agent.admitted', 'agent', op.agent, 'group', op.group, 'boot', op.boot)
    return 'done'
end
