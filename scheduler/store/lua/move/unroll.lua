-- Make sessions of a sealed graph seen; when all are, release its roots. limit is as of move/resolve.
--
-- None runs before all are seen, so that nobody hears of the end of a job before he heard of the next one.
--
-- @op graph, group (whose list it is on), limit
-- @item more | done
-- @include lib/add_parents
-- @include lib/dependents_left
-- @include lib/show_session
-- @include lib/release_if_due
local function show(id, group, pending_timeout)
    local key = keys.session(id)
    redis.call('ZREM', keys.unseen(group), id)
    local state, outer, job, seq = unpack(redis.call('HMGET', key, 'state', 'outer', 'job', 'seq'))
    local edges = 0
    if outer then
        local well, parents = pcall(cjson.decode, outer)
        edges = well and #parents or 0
        if edges > 0 then redis.pcall('HINCRBY', key, 'unmet', add_parents(id, parents)) end
        redis.call('HDEL', key, 'outer')
    end
    -- It may have been cancelled by who knew its id.
    if state == 'PENDING' then
        show_session(id, group, state, now, timer_of(1, 0, pending_timeout), job, tonumber(seq) or 0)
    end
    return edges
end

local function release(id)
    local state, unsealed = unpack(redis.call('HMGET', keys.session(id), 'state', 'unsealed'))
    if unsealed ~= '1' then return end
    redis.call('HDEL', keys.session(id), 'unsealed')
    redis.pcall('HINCRBY', keys.session(id), 'unmet', -1)
    if state == 'PENDING' then release_if_due(id, 'release') end
end

function moves.unroll(op)
    local key, jobs = keys.graph(op.graph), keys.graph_jobs(op.graph)
    local state, shown = unpack(redis.call('HMGET', key, 'state', 'shown'))
    if state == 'sealed' then
        local timeout = redis.call('HGET', keys.group(op.group), 'pending_timeout_ms')
        local most = may_tell(op.limit)
        for _, job in ipairs(most > 0 and redis.call('LRANGE', jobs, shown, shown + most - 1) or {}) do
            if may_tell(op.limit) <= 0 then break end
            were_told(1 + show(string.match(job, '^%S+'), op.group, timeout))
            shown = shown + 1
        end
        flush_sessions()
        redis.call('HSET', key, 'shown', int(shown))
        if redis.call('LLEN', jobs) > tonumber(shown) then return 'more' end
        redis.call('HSET', key, 'state', 'open')
        return 'more'
    end
    local roots = redis.call('SPOP', keys.graph_roots(op.graph), math.max(0, may_tell(op.limit)))
    were_told(#roots)
    for _, id in ipairs(roots) do release(id) end
    if redis.call('EXISTS', keys.graph_roots(op.graph)) == 1 then return 'more' end
    redis.call('ZREM', keys.resolve(op.group), op.graph)
    return 'done'
end
