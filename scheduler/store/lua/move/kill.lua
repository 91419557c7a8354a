-- Tell an agent to stop a kernel that no session knows of; whatever it reports will be dropped.
-- Without a stop order, forget it again: the kernel is over.
--
-- @op agent, order, stop
-- @item done | already
function moves.kill(op)
    if op.stop == '' then
        return redis.call('HDEL', keys.stops(op.agent), op.order) == 1 and 'done' or 'already'
    end
    local stands = redis.call('HGET', keys.stops(op.agent), op.order)
    -- Another deadline that stands there is no stop, see move/timer.
    if stands and not string.find(stands, '"kind":"deadline"', 1, true) then return 'already' end
    redis.call('HSET', keys.stops(op.agent), op.order, op.stop)
    redis.call('RPUSH', keys.rq_queue(op.agent), 'stop-' .. op.order)
    return 'done'
end
