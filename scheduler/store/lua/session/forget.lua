-- Forget sessions that ended before a moment, with all that belongs to them; up to limit.
--
-- A session that others still wait for is kept. The caller deletes the logs, which are the agents'.
--
-- @arg group str
-- @arg state str
-- @arg before int
-- @arg limit int
-- @reply forgotten
-- @include lib/job_lists
redis.call('SREM', keys.groups(), '')
local reply = { 'forgotten' }
if not FINAL[state] then return reply end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys.state(group, state), '-inf', int(before), 'LIMIT', 0, limit)) do
    if redis.call('EXISTS', keys.dependents(id)) == 0 then
        local request, key, job = unpack(redis.call('HMGET', keys.session(id), 'request', 'idempotency_key', 'job'))
        if request and redis.call('HINCRBY', keys.request(request), 'uses', -1) <= 0 then
            redis.call('DEL', keys.request(request))
            redis.call('HDEL', keys.verdicts(group), request)
        end
        if key then redis.call('DEL', keys.idempotency(key)) end
        redis.call('DEL', keys.session(id), keys.payload(id), keys.result(id), keys.parents(id), keys.cascaded(id))
        redis.call('ZREM', keys.state(group, state), id)
        if job then relist_job(job, id, nil, state) end
        reply[#reply + 1] = id
    end
end
return reply
