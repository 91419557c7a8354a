-- Emit an event that changes no state, such as agents.storm.
--
-- @op group, event, reason
-- @item done
-- @include lib/emit
function moves.tell(op)
    emit(op.event, 'group', op.group, 'reason', op.reason)
    return 'done'
end
