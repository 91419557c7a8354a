-- Give a placed session another deadline: its timer, its row in the history, and its agents are told.
--
-- What agents are told stands on their own keys until the kernel is over, so that each beat finds it;
-- a stop takes its place. Before the session runs its deadline is set when it comes up.
--
-- @op session, placement, timeout (ms it may run), slack (ms by which the leader is later),
--     kernels [{index, agent, text}]
-- @item done | superseded | gone | stale
-- @include lib/clock_ms
-- @include lib/int
local function tell_deadline(id, placement, kernel)
    local state = redis.call('HGET', keys.session(id), 'kernel:' .. kernel.index .. ':state')
    if state ~= 'ORDERED' and state ~= 'CLAIMED' and state ~= 'UP' then return end
    local order = id .. '-' .. kernel.index .. '-' .. placement
    if redis.call('HGET', keys.stops(kernel.agent), order) == kernel.text then return end
    redis.call('HSET', keys.stops(kernel.agent), order, kernel.text)
    if state ~= 'ORDERED' then redis.call('RPUSH', keys.rq_queue(kernel.agent), 'stop-' .. order) end
end

function moves.timer(op)
    local key = keys.session(op.session)
    local state, placement, group, running_at, attempt =
        unpack(redis.call('HMGET', key, 'state', 'placement', 'group', 'running_at', 'attempt'))
    if not state then return 'gone' end
    if placement ~= op.placement then return 'superseded' end
    if state ~= 'SCHEDULED' and state ~= 'PREPARING' and state ~= 'RUNNING' then return 'stale' end
    for _, kernel in ipairs(op.kernels) do tell_deadline(op.session, placement, kernel) end
    running_at = tonumber(running_at or '')
    if state == 'RUNNING' and running_at then
        redis.call('ZADD', keys.timers(group), int(running_at + op.timeout + op.slack), op.session)
    end
    local row = 'history:' .. (attempt or '')
    local well, history = pcall(cjson.decode, redis.call('HGET', key, row) or '')
    if well and type(history) == 'table' and history.placement == placement and tonumber(history.started_at) then
        history.deadline = history.started_at + op.timeout
        redis.call('HSET', key, row, cjson.encode(history))
    end
    return 'done'
end
