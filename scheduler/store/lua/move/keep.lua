-- Keep what the group's selector, or its scheduler, goes on from after a take-over.
--
-- @op group, selector, text
-- @item done
function moves.keep(op)
    redis.call('HSET', keys.selector(op.group), op.selector, op.text)
    return 'done'
end
