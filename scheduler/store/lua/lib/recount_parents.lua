-- Look at every dependency of a session again (at most 20,000). Returns how many are unmet.
-- @include lib/add_parents
local function recount_parents(id)
    local unmet = 0
    for _, parent in ipairs(redis.call('HKEYS', keys.parents(id))) do
        redis.call('HDEL', keys.parents(id), parent)
        -- A forgotten parent had ended; what it ended as is not known any more, so it counts as met
        -- only if it was met before, which the caller's history shows. Here it is simply dropped.
        if redis.call('EXISTS', keys.session(parent)) == 1 then
            unmet = unmet + add_parents(id, { parent })
        end
    end
    return unmet
end
