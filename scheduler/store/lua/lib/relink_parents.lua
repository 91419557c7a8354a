-- Wait again for dependencies that are not met: a page of about 200 of them, from a cursor.
--
-- What was met stays met, and what an operator released. Returns the next cursor ("0" behind the last
-- page), how many edges the page has, and how many of them are not met.
-- @include lib/add_parents
local function relink_parents(id, cursor)
    local following, found = unpack(redis.call('HSCAN', keys.parents(id), cursor, 'COUNT', 200))
    local unmet = 0
    for at = 1, #found, 2 do
        local parent, word, policy = found[at], read_edge(found[at + 1])
        if word ~= 'met' then
            local state, group = unpack(redis.call('HMGET', keys.session(parent), 'state', 'group'))
            local met = meets(state, policy)
            redis.call('SREM', keys.held(parent), id)
            redis.call('HSET', keys.parents(id), parent, edge_text(met and 'met' or 'unmet', policy))
            if met then
                redis.pcall('HINCRBY', keys.session(id), 'unmet', -1)
            else
                unmet = unmet + 1
                link_parent(id, parent, state, group)
            end
        end
    end
    return following, #found / 2, unmet
end
