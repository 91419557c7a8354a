-- Whether a session that ended must be kept, for those who wait for it or are held by it.
-- @include lib/edge

-- Whether a dependent is still held by it; up to twenty that are not any more are taken off its list.
local function holds(id)
    for _ = 1, 20 do
        local child = redis.call('SRANDMEMBER', keys.held(id))
        if not child then return false end
        local held = read_edge(redis.call('HGET', keys.parents(child), id)) == 'held'
        if held and redis.call('HGET', keys.session(child), 'state') == 'PENDING' then return true end
        redis.call('SREM', keys.held(id), child)
    end
    return redis.call('EXISTS', keys.held(id)) == 1
end

local function needed(id) return redis.call('EXISTS', keys.dependents(id)) == 1 or holds(id) end
