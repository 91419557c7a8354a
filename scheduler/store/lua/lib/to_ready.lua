-- Put a session into its group's queue, or back into it, and forget the placement it had.
-- The pending timeout counts anew: it is about waiting, not about the session's age. What ageing counts
-- from (ready_at, else submitted_at) stays where an agent or a placement was lost: its turn was not had.
-- @include lib/move
-- @include lib/set_pending_timer
local function to_ready(id, verb, reason, ...)
    local state, group = move(id, verb, 'READY', reason, ...)
    if not state then return nil, group end
    local key = keys.session(id)
    local fresh = state == 'PENDING' or state == 'RETRYING'
    redis.call('HSET', key, fresh and 'ready_at' or 'waits_from', int(now))
    redis.call('HDEL', key, 'placement', 'agents', 'running_at', 'kernels')
    for kernel = 0, 1000 do
        local prefix = 'kernel:' .. kernel .. ':'
        local gone = redis.call('HDEL', key, prefix .. 'state', prefix .. 'agent', prefix .. 'boot', prefix .. 'slots',
            prefix .. 'exit_code', prefix .. 'signal', prefix .. 'reason', prefix .. 'error')
        if gone == 0 then break end
    end
    set_pending_timer(id, group)
    return state, group
end
