-- Kernel ORDERED -> CLAIMED; with the first one session SCHEDULED -> PREPARING: the attempt begins.
--
-- @op session, placement, kernel, agents [id], timer (ms left until all kernels must be up),
--     timeout (ms it may run)
-- @item done | already | superseded | gone
-- @include lib/kernel_move
-- @include lib/begin_attempt
-- @include lib/move
function moves.claim(op)
    local state, why = kernel_move(op.session, op.kernel, op.placement, 'claim', 'CLAIMED')
    if not state then
        if why == 'gone' or why == 'superseded' then return why end
        return 'already'
    end
    if redis.call('HGET', keys.session(op.session), 'state') == 'SCHEDULED' then
        begin_attempt(op.session, op.placement, op.agents, op.timeout)
        local _, group = move(op.session, 'claim', 'PREPARING', '')
        redis.call('ZADD', keys.timers(group), int(now + op.timer), op.session)
    end
    return 'done'
end
