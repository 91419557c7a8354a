-- What claim, up, over and finish do, one after the other, of a session with one kernel, in one step.
-- Where the record is not what the leader decided from, those moves themselves are made, each with
-- its own guard. Every change of state is told by an event of its own either way.
--
-- @op session, placement, begins (ORDERED, CLAIMED or UP), ends (CLAIMED, UP, or ENDED: the kernel
--     exited with 0 and the session SUCCEEDED), agents [its one], barrier (ms left until it must be up),
--     timeout (ms it may run), deadline (ms until the leader looks), result (JSON text, or "")
-- @item done | already | superseded | gone | alive | stale
-- @include move/claim
-- @include move/up
-- @include move/over
-- @include move/finish
local BEGINS_AT = { ORDERED = 'SCHEDULED', CLAIMED = 'PREPARING', UP = 'RUNNING' }
local ENDED_WELL = { 'kernel:0:exit_code', '0', 'kernel:0:signal', '', 'kernel:0:reason', 'exited',
    'kernel:0:error', '', 'error', '' }

local function one_by_one(op, claims, comes_up)
    local function of(fields)
        fields.session, fields.placement, fields.kernel = op.session, op.placement, 0
        return fields
    end
    local word = claims and moves.claim(of({ agents = op.agents, timer = op.barrier, timeout = op.timeout }))
    if comes_up then word = moves.up(of({ last = 1, timer = op.deadline })) end
    if op.ends ~= 'ENDED' then return word end
    moves.over(of({ exit_code = '0', signal = '', reason = 'exited', error = '', result = op.result }))
    return moves.finish(of({ edge = 'end', target = 'SUCCEEDED', reason = '', error = '', told = '',
        rescued = 0, uncounted = 0, delay = 0 }))
end

function moves.advance(op)
    local id, key, final = op.session, keys.session(op.session), op.ends == 'ENDED'
    local claims, comes_up = op.begins == 'ORDERED', op.begins ~= 'UP' and op.ends ~= 'CLAIMED'
    local state, placement, kernel, kernels, group, attempt, agents, job, seq, callback, began, agent, slots, held,
        placed_at = unpack(redis.call('HMGET', key, 'state', 'placement', 'kernel:0:state', 'kernels', 'group',
        'attempt', 'agents', 'job', 'seq', 'callback', 'running_at', 'kernel:0:agent', 'kernel:0:slots', 'held',
        'placed_at'))
    local legible, row = read_row(key, attempt, final and not claims)
    if not (legible and state == BEGINS_AT[op.begins] and placement == op.placement and kernel == op.begins
        and kernels == '1') then return one_by_one(op, claims, comes_up) end
    local fields, changes = { 'kernel:0:state', op.ends, 'reason', '' }, {}
    local function put(...)
        for _, part in ipairs({ ... }) do fields[#fields + 1] = part end
    end
    if claims then
        attempt = int((attempt or 0) + 1)
        row = opened_row(tonumber(attempt), placement, op.agents, op.timeout)
        put('attempt', attempt)
        changes[1] = { 'claim', 'PREPARING' }
    end
    if comes_up then
        put('running_at', int(now))
        changes[#changes + 1] = { 'start', 'RUNNING' }
    end
    if final then
        row = close_row(row, placement, 'SUCCEEDED', '')
        put('ended_at', int(now), unpack(ENDED_WELL))
        changes[#changes + 1] = { 'end', 'SUCCEEDED' }
        give_slots_back(id, 0, placement, agent, slots, group, held, placed_at)
        release_held(id, held)
        if row and job then count_run(job, 'SUCCEEDED', not comes_up and began) end
        if op.result ~= '' then redis.call('SET', keys.result(id), op.result) end
    elseif row then
        row = cjson.encode(row)
    end
    if row then put('history:' .. attempt, row) end
    local target = changes[#changes][2]
    redis.call('HSET', key, 'state', target, unpack(fields))
    enter_state(id, group, state, target, now, job, seq)
    for _, change in ipairs(changes) do
        emit('session.' .. string.lower(change[2]), 'session', id, 'group', group, 'from', state, 'verb', change[1],
            'attempt', attempt or '0', 'placement', placement, 'agents', agents or '', 'reason', '')
        state = change[2]
    end
    if final then
        tell_end(id, group, target, '', attempt, callback)
    else
        redis.call('ZADD', keys.timers(group), int(now + (comes_up and op.deadline or op.barrier)), id)
    end
    return 'done'
end
