-- Add dependencies to a session. Returns how many are unmet now.
-- A parent that has already failed is told to its group's leader, which cascades as if it failed later.
-- @include lib/announce
-- @include lib/clock_ms
-- @include lib/int
local function add_parents(id, parents)
    local unmet = 0
    for _, parent in ipairs(parents) do
        if redis.call('HEXISTS', keys.parents(id), parent) == 0 then
            local state, group = unpack(redis.call('HMGET', keys.session(parent), 'state', 'group'))
            local met = state == 'SUCCEEDED'
            redis.call('HSET', keys.parents(id), parent, met and 'met' or 'unmet')
            if not met then
                unmet = unmet + 1
                redis.call('SADD', keys.dependents(parent), id)
                if FINAL[state] then
                    redis.call('ZADD', keys.resolve(group), int(now), parent)
                    announce(group, 'resolve', parent)
                end
            end
        end
    end
    return unmet
end
