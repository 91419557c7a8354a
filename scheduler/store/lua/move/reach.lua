-- Note what submits are measured against: the largest idle agents, and whether memory is short.
--
-- @op group, reachable, full, server
-- @item done
function moves.reach(op)
    redis.call('HSET', keys.group(op.group), 'reachable', op.reachable, 'full', op.full,
        'server', op.server)
    return 'done'
end
