-- READY -> SCHEDULED: state, scopes, the agents' slots, orders, RQ jobs and event, all or nothing.
--
-- The plan was made from a snapshot, so each of its assumptions is checked again here: the session
-- still waits, every scope has room, every agent is the same boot, is taking work and has the slots.
-- Indexes are written once for all placements of the script, by flush_places.
--
-- @op session, placement, agents, kernels [[agent, slots, order]], held (a number of charges),
--     timer (ms until the orders count as unclaimed), timeout (ms it may run, where its office says so; or 0)
-- @item placed | already | stale | limited | away | full
-- @flush flush_places
-- @include lib/charge
-- @include lib/emit
-- @include lib/has_room
-- @include lib/job_lists
-- @include lib/push_order
-- @include lib/scope_count
-- @include lib/take_slots
local ready, scheduled, timers = {}, {}, {}
local left, entered = {}, {} -- what leaves and enters lists of jobs, by list
local scheduled_at = int(now)

local function add_to(lists, list, ...)
    lists[list] = lists[list] or {}
    for _, part in ipairs({ ... }) do table.insert(lists[list], part) end
end

local function move_job(job, id, seq)
    for _, list in ipairs(job_lists(job, 'READY')) do add_to(left, list, id) end
    for _, list in ipairs(job_lists(job, 'SCHEDULED')) do add_to(entered, list, seq, id) end
end

local function fields_of(index, kernel)
    local prefix, agent = 'kernel:' .. (index - 1) .. ':', agent_of(kernel[1])
    return prefix .. 'state', 'ORDERED', prefix .. 'agent', agent.id, prefix .. 'boot', agent.boot,
        prefix .. 'slots', batch.slots[kernel[2]][1]
end

function moves.place(op, payload)
    local key = keys.session(op.session)
    local state, owner, placement, attempt, job, seq =
        unpack(redis.call('HMGET', key, 'state', 'group', 'placement', 'attempt', 'job', 'seq'))
    if placement == op.placement then return 'already' end
    if not state or not SESSION_LIFE.place[state] or owner ~= group then return 'stale' end
    local held = batch.charges[op.held]
    local charge = charge_of(held)
    if job and handed_over(key, charge) then return 'stale' end
    if not has_room(charge) then return 'limited' end
    local why = take_slots(op.kernels)
    if why then return why end
    hold(charge, op.session, 1)
    wait(charge, -1)
    redis.call('HSET', key, 'state', 'SCHEDULED', 'reason', '', 'placement', op.placement, 'agents', op.agents,
        'held', held, 'kernels', #op.kernels, 'placed_at', scheduled_at, fields_of(1, op.kernels[1]))
    -- The agent holds this deadline; whoever leads next must not think of another one.
    if op.timeout > 0 then redis.call('HSET', key, 'timeout_ms', int(op.timeout)) end
    for index, kernel in ipairs(op.kernels) do
        if index > 1 then redis.call('HSET', key, fields_of(index, kernel)) end
        push_order(agent_of(kernel[1]), op.session .. '-' .. (index - 1) .. '-' .. op.placement,
            kernel[3] .. '\n' .. payload)
    end
    ready[#ready + 1] = op.session
    scheduled[#scheduled + 1], timers[#timers + 1] = scheduled_at, int(now + op.timer)
    scheduled[#scheduled + 1], timers[#timers + 1] = op.session, op.session
    if job then move_job(job, op.session, int(tonumber(seq or '0') or 0)) end
    emit('session.scheduled', 'session', op.session, 'group', group, 'from', state, 'verb', 'place',
        'attempt', attempt or '0', 'placement', op.placement, 'agents', op.agents, 'reason', '')
    return 'placed'
end

local function flush_places()
    if #ready == 0 then return end
    write('ZREM', keys.state(group, 'READY'), unpack(ready))
    write('ZADD', keys.state(group, 'SCHEDULED'), unpack(scheduled))
    write('ZADD', keys.timers(group), unpack(timers))
    for list, ids in pairs(left) do write('ZREM', list, unpack(ids)) end
    for list, entries in pairs(entered) do write('ZADD', list, unpack(entries)) end
    told()
end
