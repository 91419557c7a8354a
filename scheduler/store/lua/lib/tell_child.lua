-- Tell a dependent how one of its parents ended (state nil: it is gone), as the policy of the edge has it.
-- @include lib/finish
-- @include lib/edge
-- @include lib/release_if_due
local function hold_child(child, parent, why)
    redis.call('HSET', keys.parents(child), parent, edge_text('held', 'hold'))
    redis.call('SADD', keys.held(parent), child)
    local state, group = unpack(redis.call('HMGET', keys.session(child), 'state', 'group'))
    if state ~= 'PENDING' then return end
    redis.call('HSET', keys.session(child), 'reason', 'held: ' .. why)
    emit('session.held', 'session', child, 'group', group, 'parent', parent, 'reason', why)
end

local function tell_child(child, parent, state)
    local word, policy = read_edge(redis.call('HGET', keys.parents(child), parent))
    if word ~= 'unmet' and not (word == 'held' and state == 'SUCCEEDED') then return end
    local why = 'dependency ' .. parent .. (state and ' ended ' .. state or ' is gone')
    if state == 'SUCCEEDED' or policy == 'ignore' then
        redis.call('HSET', keys.parents(child), parent, edge_text('met', policy))
        -- A spoilt number must not keep its siblings from being told.
        local unmet = redis.pcall('HINCRBY', keys.session(child), 'unmet', -1)
        if type(unmet) ~= 'number' or unmet <= 0 then release_if_due(child, 'release') end
    elseif policy == 'hold' then
        hold_child(child, parent, why)
    elseif finish(child, 'cascade', 'CANCELLED', why) and state then
        redis.call('SADD', keys.cascaded(parent), child)
    end
end
