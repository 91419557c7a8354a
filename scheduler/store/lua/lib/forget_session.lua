-- Delete a session's record with all that belongs to it, and with the last one of a graph the graph.
-- The caller takes it off the index of its state.
-- @include lib/job_lists
local function forget_graph(graph)
    local key = redis.call('HGET', keys.graph(graph), 'key')
    local own = key and redis.call('GET', keys.idempotency(key))
    if own and string.match(own, '^%S+') == graph then redis.call('DEL', keys.idempotency(key)) end
    redis.call('UNLINK', keys.graph(graph), keys.graph_jobs(graph), keys.graph_roots(graph))
    redis.call('ZREM', keys.graphs(), graph)
end

local function forget_session(id, group, state)
    local request, key, graph, job = unpack(redis.call('HMGET', keys.session(id),
        'request', 'idempotency_key', 'graph', 'job'))
    if job then relist_job(job, id, nil, state) end
    if request and redis.call('HINCRBY', keys.request(request), 'uses', -1) <= 0 then
        redis.call('DEL', keys.request(request))
        redis.call('HDEL', keys.verdicts(group), request)
    end
    if key then redis.call('DEL', keys.idempotency(key)) end
    redis.call('UNLINK', keys.session(id), keys.payload(id), keys.result(id), keys.parents(id),
        keys.cascaded(id), keys.held(id))
    -- A graph that is still being loaded counts nothing: it is discarded as a whole.
    if graph and redis.call('HEXISTS', keys.graph(graph), 'left') == 1
        and redis.call('HINCRBY', keys.graph(graph), 'left', -1) <= 0 then
        forget_graph(graph)
    end
end
