-- Move a session along its life: guard, state, index and event in one place.
-- Returns the state it left, its group, its attempt and its callback; or nil and "gone", or nil and
-- the state that forbids it.
-- READY sessions are indexed by rank (priority, then order of submission), all others by time.
-- @include lib/enter_state
-- @include lib/announce
local function move(id, verb, target, reason, ...)
    local key = keys.session(id)
    local state, group, priority, seq, attempt, placement, agents, job, callback = unpack(redis.call('HMGET', key,
        'state', 'group', 'priority', 'seq', 'attempt', 'placement', 'agents', 'job', 'callback'))
    if not state then return nil, 'gone' end
    local edges = SESSION_LIFE[verb][state]
    if not edges or not edges[target] then return nil, state end
    redis.call('HSET', key, 'state', target, 'reason', reason, ...)
    if state ~= target then
        local score = now
        if target == 'READY' then
            score = (100 - (tonumber(priority) or 0)) * 2 ^ 43 + (tonumber(seq) or 0)
            announce(group, 'ready', id)
        end
        enter_state(id, group, state, target, score, job, seq)
    end
    emit('session.' .. string.lower(target), 'session', id, 'group', group, 'from', state, 'verb', verb,
        'attempt', attempt or '0', 'placement', placement or '', 'agents', agents or '', 'reason', reason)
    return state, group, attempt or '0', callback
end
