-- Kernel CLAIMED -> UP; with the last one session PREPARING -> RUNNING: the deadline begins.
--
-- @op session, placement, kernel, last (1 if all other kernels are up), timer (ms until the deadline)
-- @item done | already | superseded | gone
-- @include lib/kernel_move
-- @include lib/move
function moves.up(op)
    local state, why = kernel_move(op.session, op.kernel, op.placement, 'up', 'UP')
    if not state then
        if why == 'gone' or why == 'superseded' then return why end
        return 'already'
    end
    if op.last == 1 then
        local from, group = move(op.session, 'start', 'RUNNING', '', 'running_at', int(now))
        if from then redis.call('ZADD', keys.timers(group), int(now + op.timer), op.session) end
    end
    return 'done'
end
