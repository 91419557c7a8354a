-- Stop a placed session: orders nobody claimed are withdrawn, the other kernels get a stop order.
--
-- Where every order could be withdrawn nothing ever ran: a SCHEDULED session is then CANCELLED, or
-- READY again after "unplaced", in this same step. Otherwise it is TERMINATING, and ends when the
-- last kernel has reported. A stronger reason replaces a weaker one, never the other way round.
--
-- @op session, placement, reason, says, kernels [{index, agent, stop}], agents [id]
-- @item stopping | cancelled | unplaced | weaker | superseded | gone | ended
-- @include lib/alive
-- @include lib/kernel_move
-- @include lib/return_slots
-- @include lib/release_scopes
-- @include lib/begin_attempt
-- @include lib/finish
-- @include lib/to_ready
local function withdraw(op, kernel)
    local order = op.session .. '-' .. kernel.index .. '-' .. op.placement
    local unclaimed = redis.call('HDEL', keys.orders(kernel.agent), order) == 1
    if unclaimed and kernel_move(op.session, kernel.index, op.placement, 'withdraw', 'WITHDRAWN') then
        return_slots(op.session, kernel.index, op.placement)
        return true
    end
    return false
end

local function push_stop(op, kernel)
    -- Its claim is on the way: a report still to be read. The order is gone from the agent's keys.
    kernel_move(op.session, kernel.index, op.placement, 'claim', 'CLAIMED')
    local from = kernel_move(op.session, kernel.index, op.placement, 'stop', 'STOPPING')
    local state = redis.call('HGET', keys.session(op.session), 'kernel:' .. kernel.index .. ':state')
    if from or state == 'STOPPING' then
        local order = op.session .. '-' .. kernel.index .. '-' .. op.placement
        redis.call('HSET', keys.stops(kernel.agent), order, kernel.stop)
        redis.call('RPUSH', keys.rq_queue(kernel.agent), 'stop-' .. order)
        return true
    end
    return false
end

function moves.stop(op)
    local key = keys.session(op.session)
    local state, placement, before, cancelled =
        unpack(redis.call('HMGET', key, 'state', 'placement', 'reason', 'cancel_requested'))
    if not state then return 'gone' end
    if placement ~= op.placement then return 'superseded' end
    if not SESSION_LIFE.stop[state] then return 'ended' end
    if state == 'TERMINATING' and (STRENGTH[before] or 0) >= STRENGTH[op.reason] then return 'weaker' end
    local stopping = 0
    for _, kernel in ipairs(op.kernels) do
        if not withdraw(op, kernel) and push_stop(op, kernel) then stopping = stopping + 1 end
    end
    if state == 'SCHEDULED' and (op.reason == 'cancelled' or op.reason == 'unplaced') and not alive(op.session) then
        release_scopes(op.session)
        if op.reason == 'cancelled' or cancelled then
            -- Asked for while this was decided: it must not be placed once more.
            finish(op.session, 'cancel', 'CANCELLED', op.reason == 'cancelled' and op.says or cancelled)
            return 'cancelled'
        end
        to_ready(op.session, 'unplace', op.says)
        return 'unplaced'
    end
    if state == 'SCHEDULED' and stopping > 0 then begin_attempt(op.session, op.placement, op.agents) end
    local _, group = move(op.session, 'stop', 'TERMINATING', op.reason, 'error', op.says)
    -- From here on its agents' beats tell when it is over.
    redis.call('ZREM', keys.timers(group), op.session)
    return 'stopping'
end
