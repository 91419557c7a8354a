-- Keep what the group's cycles did: counts, causes of refusals, times.
--
-- @op group, fields [name, value ...]
-- @item done
function moves.count(op)
    redis.call('HSET', keys.tally(op.group), unpack(op.fields))
    return 'done'
end
