-- Kernel CLAIMED, UP or STOPPING -> ENDED: what became of it is kept, its slots go back at once.
--
-- @op session, placement, kernel, exit_code, signal, reason, error, result (texts, "" where there is none)
-- @item done | already | superseded | gone
-- @include lib/kernel_move
-- @include lib/return_slots
function moves.over(op)
    local prefix = 'kernel:' .. op.kernel .. ':'
    local state, why = kernel_move(op.session, op.kernel, op.placement, 'end', 'ENDED',
        prefix .. 'exit_code', op.exit_code, prefix .. 'signal', op.signal,
        prefix .. 'reason', op.reason, prefix .. 'error', op.error)
    if not state then
        if why == 'gone' or why == 'superseded' then return why end
        return 'already'
    end
    if op.result ~= '' then redis.call('SET', keys.result(op.session), op.result) end
    return_slots(op.session, op.kernel, op.placement)
    return 'done'
end
