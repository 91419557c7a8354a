-- Put right what a PENDING session should have been told, as the sweep found it.
--
-- parents: dependencies that ended or are gone, or that do not know that it waits for them; at most 200.
-- found: how many are not met, worth anything only while unmet is still what it was then; -1: not counted.
--
-- @op session, group, parents, unmet, found
-- @item done | stale | gone
-- @include lib/add_parents
-- @include lib/tell_child
function moves.heal(op)
    local key = keys.session(op.session)
    local state, unmet = unpack(redis.call('HMGET', key, 'state', 'unmet'))
    if not state then
        redis.call('ZREM', keys.state(op.group, 'PENDING'), op.session)
        return 'gone'
    end
    if state ~= 'PENDING' then return 'stale' end
    for _, parent in ipairs(op.parents) do
        local stands, group = unpack(redis.call('HMGET', keys.session(parent), 'state', 'group'))
        if stands and not FINAL[stands] then
            link_parent(op.session, parent, stands, group)
        else
            tell_child(op.session, parent, stands)
        end
    end
    if op.found >= 0 and (unmet or '') == op.unmet then redis.call('HSET', key, 'unmet', op.found) end
    release_if_due(op.session, 'release')
    return 'done'
end
