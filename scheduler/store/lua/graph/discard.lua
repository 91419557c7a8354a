-- Delete up to limit sessions of a graph that was never sealed, and with the last of them the graph; what
-- they counted in their scopes is given back.
--
-- expired = 1: only if its loader has been silent for too long.
--
-- @arg graph str
-- @arg expired int
-- @arg limit int
-- @reply discarded | more | loading | sealed | gone
-- @include lib/although_full
-- @include lib/charge
-- @include lib/clock_ms
-- @include lib/forget_session
-- @include lib/int
-- @include lib/scope_count
local record = keys.graph(graph)
local state, group = unpack(redis.call('HMGET', record, 'state', 'group'))
if not state then return { 'gone' } end
if state ~= 'loading' and state ~= 'discarding' then return { 'sealed' } end
local expires = tonumber(redis.call('ZSCORE', keys.graphs_loading(group), graph) or '0')
if expired == 1 and state == 'loading' and expires > now then return { 'loading' } end
redis.call('HSET', record, 'state', 'discarding')
local jobs = redis.call('LRANGE', keys.graph_jobs(graph), 0, limit - 1)
for _, job in ipairs(jobs) do
    local id = string.match(job, '^%S+')
    wait(charge_of_request(redis.call('HGET', keys.session(id), 'request')), -1)
    redis.call('ZREM', keys.unseen(group), id)
    redis.call('UNLINK', keys.dependents(id))
    forget_session(id, group, 'PENDING')
end
redis.call('LTRIM', keys.graph_jobs(graph), #jobs, -1)
if jobs[1] then redis.call('HINCRBY', keys.counters(), 'discarded', #jobs) end
if redis.call('EXISTS', keys.graph_jobs(graph)) == 1 then return { 'more' } end
redis.call('ZREM', keys.graphs_loading(group), graph)
redis.call('UNLINK', record, keys.graph_roots(graph))
return { 'discarded' }
