-- Tell dependents of an ended session; where it did not succeed, the edge says what that means.
--
-- limit is for all such moves of a script together. Each child is popped in the step that decides about it,
-- so a repeat goes on where this ended. Those that an earlier end of it left on hold are told of a success
-- after all others.
--
-- @op session, group (whose list it is on), limit
-- @item more | done
-- @include lib/dependents_left
-- @include lib/tell_child
function moves.resolve(op)
    local state = redis.call('HGET', keys.session(op.session), 'state')
    -- It was retried meanwhile, and its dependents wait for the new end; or it is forgotten.
    if not FINAL[state] then
        redis.call('ZREM', keys.resolve(op.group), op.session)
        return 'done'
    end
    local waiting = keys.dependents(op.session)
    if state == 'SUCCEEDED' and redis.call('EXISTS', waiting) == 0 then waiting = keys.held(op.session) end
    local children = redis.call('SPOP', waiting, math.max(0, may_tell(op.limit)))
    were_told(#children)
    for _, child in ipairs(children) do tell_child(child, op.session, state) end
    local more = redis.call('EXISTS', keys.dependents(op.session))
    if state == 'SUCCEEDED' then more = more + redis.call('EXISTS', keys.held(op.session)) end
    if more > 0 then return 'more' end
    redis.call('ZREM', keys.resolve(op.group), op.session)
    return 'done'
end
