-- Add dependencies ("id", or "id policy") to a session. Returns how many are unmet now.
-- A parent that has already failed is told to its group's leader, which decides as if it failed later;
-- one that is gone is left to the leader's sweep.
-- @include lib/announce
-- @include lib/clock_ms
-- @include lib/edge
-- @include lib/int
local function link_parent(id, parent, state, group)
    if not state then return end
    redis.call('SADD', keys.dependents(parent), id)
    if FINAL[state] then
        redis.call('ZADD', keys.resolve(group), int(now), parent)
        announce(group, 'resolve', parent)
    end
end

local function add_parents(id, parents)
    local unmet = 0
    for _, asked in ipairs(parents) do
        local parent, policy = read_edge(asked)
        if redis.call('HEXISTS', keys.parents(id), parent) == 0 then
            local state, group = unpack(redis.call('HMGET', keys.session(parent), 'state', 'group'))
            local met = meets(state, policy)
            redis.call('HSET', keys.parents(id), parent, edge_text(met and 'met' or 'unmet', policy))
            if not met then
                unmet = unmet + 1
                link_parent(id, parent, state, group)
            end
        end
    end
    return unmet
end

-- The first of some dependencies that does not exist. Where only jobs of one office may be depended on (within,
-- nil or "" for any), every other session is taken for one that does not: whoever asks learns nothing of it.
local function missing_parent(parents, within)
    for _, asked in ipairs(parents or {}) do
        local parent = read_edge(asked)
        local state, job = unpack(redis.call('HMGET', keys.session(parent), 'state', 'job'))
        if not state then return parent end
        if (within or '') ~= '' and (not job or string.match(job, '^[^/]*') ~= within) then return parent end
    end
end
