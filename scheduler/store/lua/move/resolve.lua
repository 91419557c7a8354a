-- Tell up to limit dependents of an ended session: met, or (it did not succeed) cancelled with it.
--
-- Each child is popped in the step that decides about it, so a repeat goes on where this ended.
--
-- @op session, group (whose list it is on), limit
-- @item more | done
-- @include lib/finish
-- @include lib/release_if_due
local function cascade(parent, state, child)
    if finish(child, 'cascade', 'CANCELLED', 'dependency ' .. parent .. ' ended ' .. state) then
        redis.call('SADD', keys.cascaded(parent), child)
    end
end

function moves.resolve(op)
    local state = redis.call('HGET', keys.session(op.session), 'state')
    -- It was retried meanwhile, and its dependents wait for the new end; or it is forgotten.
    if not FINAL[state] then
        redis.call('ZREM', keys.resolve(op.group), op.session)
        return 'done'
    end
    local children = redis.call('SPOP', keys.dependents(op.session), op.limit)
    for _, child in ipairs(children) do
        if redis.call('HGET', keys.parents(child), op.session) == 'unmet' then
            if state == 'SUCCEEDED' then
                redis.call('HSET', keys.parents(child), op.session, 'met')
                -- A spoilt number must not keep its siblings from being told.
                redis.pcall('HINCRBY', keys.session(child), 'unmet', -1)
                release_if_due(child, 'release')
            else
                cascade(op.session, state, child)
            end
        end
    end
    if redis.call('EXISTS', keys.dependents(op.session)) == 1 then return 'more' end
    redis.call('ZREM', keys.resolve(op.group), op.session)
    return 'done'
end
