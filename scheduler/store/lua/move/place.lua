-- READY -> SCHEDULED: state, scopes, the agents' slots, orders, RQ jobs and event, all or nothing.
--
-- The plan was made from a snapshot, so each of its assumptions is checked again here: the session
-- still waits, every scope has room, every agent is the same boot, is taking work and has the slots.
--
-- @op session, placement, agents, kernels [{agent, boot, slots, order}], held (what it charges its scopes, a text),
--     timer (ms until the orders count as unclaimed)
-- @item placed | already | stale | limited | away | full
-- @include lib/enter_state
-- @include lib/has_room
-- @include lib/push_order
-- @include lib/take_slots
-- @include lib/slots_text
function moves.place(op)
    local key = keys.session(op.session)
    local state, group, placement, attempt = unpack(redis.call('HMGET', key, 'state', 'group', 'placement', 'attempt'))
    if placement == op.placement then return 'already' end
    if not state or not SESSION_LIFE.place[state] then return 'stale' end
    local charge = charge_of(op.held)
    if not has_room(charge) then return 'limited' end
    local why = take_slots(op.kernels)
    if why then return why end
    hold(charge, op.session, 1)
    local payload = redis.call('GET', keys.payload(op.session)) or ''
    for index, kernel in ipairs(op.kernels) do
        local prefix = 'kernel:' .. (index - 1) .. ':'
        redis.call('HSET', key, prefix .. 'state', 'ORDERED', prefix .. 'agent', kernel.agent,
            prefix .. 'boot', kernel.boot, prefix .. 'slots', slots_text(kernel.slots))
        push_order(kernel.agent, op.session .. '-' .. (index - 1) .. '-' .. op.placement,
            kernel.order .. '\n' .. payload)
    end
    redis.call('HSET', key, 'state', 'SCHEDULED', 'reason', '', 'placement', op.placement, 'agents', op.agents,
        'held', op.held, 'kernels', #op.kernels)
    enter_state(op.session, group, state, 'SCHEDULED', now, charge)
    redis.call('ZADD', keys.timers(group), int(now + op.timer), op.session)
    emit('session.scheduled', 'session', op.session, 'group', group, 'from', state, 'verb', 'place',
        'attempt', attempt or '0', 'placement', op.placement, 'agents', op.agents, 'reason', '')
    return 'placed'
end
