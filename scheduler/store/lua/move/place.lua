-- READY -> SCHEDULED: state, scopes, the agents' slots, orders, RQ jobs and event, all or nothing.
--
-- The plan was made from a snapshot, so each of its assumptions is checked again here: the session
-- still waits, every scope has room, every agent is the same boot, is taking work and has the slots.
--
-- @op session, placement, agents, kernels [{agent, boot, slots, order}], scopes [[kind, name]], held,
--     timer (ms until the orders count as unclaimed), owner (whose use of the group it is)
-- @item placed | already | stale | limited | away | full
-- @include lib/enter_state
-- @include lib/push_order
-- @include lib/take_slots
-- @include lib/slots_text
local limits = {}

local function has_room(kind, name)
    local id = kind .. ' ' .. name
    -- Nobody changes a limit while a script runs: one look serves all placements of a batch.
    if limits[id] == nil then
        local limit = redis.call('HGET', keys.scope_limits(kind, name), 'max_sessions')
        limits[id] = limit and limit ~= '' and tonumber(limit) or false
    end
    return not limits[id] or redis.call('SCARD', keys.scope_members(kind, name)) < limits[id]
end

function moves.place(op)
    local key = keys.session(op.session)
    local state, group, placement, attempt = unpack(redis.call('HMGET', key, 'state', 'group', 'placement', 'attempt'))
    if placement == op.placement then return 'already' end
    if not state or not SESSION_LIFE.place[state] then return 'stale' end
    for _, scope in ipairs(op.scopes) do
        if not has_room(scope[1], scope[2]) then return 'limited' end
    end
    local why = take_slots(op.kernels)
    if why then return why end
    for _, scope in ipairs(op.scopes) do
        redis.call('SADD', keys.scope_members(scope[1], scope[2]), op.session)
    end
    local payload = redis.call('GET', keys.payload(op.session)) or ''
    for index, kernel in ipairs(op.kernels) do
        local prefix = 'kernel:' .. (index - 1) .. ':'
        redis.call('HSET', key, prefix .. 'state', 'ORDERED', prefix .. 'agent', kernel.agent,
            prefix .. 'boot', kernel.boot, prefix .. 'slots', slots_text(kernel.slots))
        push_order(kernel.agent, op.session .. '-' .. (index - 1) .. '-' .. op.placement,
            kernel.order .. '\n' .. payload)
    end
    redis.call('HSET', key, 'state', 'SCHEDULED', 'reason', '', 'placement', op.placement, 'agents', op.agents,
        'held', op.held, 'kernels', #op.kernels, 'owner', op.owner, 'placed_at', int(now))
    enter_state(op.session, group, state, 'SCHEDULED', now)
    redis.call('ZADD', keys.timers(group), int(now + op.timer), op.session)
    emit('session.scheduled', 'session', op.session, 'group', group, 'from', state, 'verb', 'place',
        'attempt', attempt or '0', 'placement', op.placement, 'agents', op.agents, 'reason', '')
    return 'placed'
end
