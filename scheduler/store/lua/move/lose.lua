-- Kernel, live -> LOST: its agent is certainly dead. Its order is void, its slots go back.
--
-- @op session, placement, kernel, reason
-- @item done | already | superseded | gone
-- @include lib/kernel_move
-- @include lib/return_slots
function moves.lose(op)
    local state, why = kernel_move(op.session, op.kernel, op.placement, 'lose', 'LOST',
        'kernel:' .. op.kernel .. ':reason', op.reason)
    if not state then
        if why == 'gone' or why == 'superseded' then return why end
        return 'already'
    end
    return_slots(op.session, op.kernel, op.placement)
    return 'done'
end
