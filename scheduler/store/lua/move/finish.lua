-- End a placement: all its kernels are over; scopes go back, the history row is closed.
--
-- edge is "end" or "rescue"; target a final state, RETRYING (delay in ms) or READY.
--
-- @op session, placement, edge, target, reason, error, told (for the history),
--     rescued (0 or 1), uncounted (0 or 1), delay
-- @item done | alive | superseded | gone | stale
-- @include lib/alive
-- @include lib/close_row
-- @include lib/count_run
-- @include lib/release_scopes
-- @include lib/finish
-- @include lib/to_ready
local function close_history(key, op)
    local attempt = redis.call('HGET', key, 'attempt')
    local row = attempt and redis.call('HGET', key, 'history:' .. attempt)
    if not row then return false end
    local well, history = pcall(cjson.decode, row)
    if not well or type(history) ~= 'table' then return false end
    local closed = close_row(history, op.placement, op.target, op.told, op.reason)
    if closed then redis.call('HSET', key, 'history:' .. attempt, closed) end
    return closed ~= nil
end

function moves.finish(op)
    local key = keys.session(op.session)
    local state, placement = unpack(redis.call('HMGET', key, 'state', 'placement'))
    if not state then return 'gone' end
    if placement ~= op.placement then return 'superseded' end
    local edges = SESSION_LIFE[op.edge][state]
    if not edges or not edges[op.target] then return 'stale' end
    if alive(op.session) then return 'alive' end
    local cancelled, running_at, job = unpack(redis.call('HMGET', key, 'cancel_requested', 'running_at', 'job'))
    release_scopes(op.session)
    local begun = close_history(key, op)
    if begun and job and (op.target == 'SUCCEEDED' or op.reason == 'timed_out') then
        count_run(job, op.target, running_at)
    end
    if op.rescued == 1 then redis.pcall('HINCRBY', key, 'rescues', 1) end
    if op.uncounted == 1 and begun then redis.pcall('HINCRBY', key, 'retries_from', 1) end
    if op.target ~= 'SUCCEEDED' then redis.call('DEL', keys.result(op.session)) end
    if cancelled and not FINAL[op.target] then
        -- Asked for while this was decided: it must not run once more.
        finish(op.session, op.edge, 'CANCELLED', cancelled)
    elseif op.target == 'READY' then
        to_ready(op.session, op.edge, op.reason)
    elseif op.target == 'RETRYING' then
        local _, group = move(op.session, op.edge, 'RETRYING', op.reason, 'error', op.error)
        redis.call('ZADD', keys.timers(group), int(now + op.delay), op.session)
    else
        finish(op.session, op.edge, op.target, op.reason, 'error', op.error)
    end
    return 'done'
end
