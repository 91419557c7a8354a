-- Seal a graph of which all jobs are loaded: from here on all of it happens. The leader makes its sessions
-- seen and its roots READY, in bounded steps.
--
-- Only here its idempotency key is taken, so that one whose loader died leaves no trace. known: another
-- graph, the same, has the key; this one is to be discarded.
--
-- @arg graph str
-- @arg jobs int
-- @reply sealed | known | conflict | incomplete | gone
-- @include lib/announce
-- @include lib/emit
local record = keys.graph(graph)
local state, group, loaded, key, digest, name =
    unpack(redis.call('HMGET', record, 'state', 'group', 'loaded', 'key', 'digest', 'name'))
if not state or state == 'discarding' then return { 'gone' } end
if state ~= 'loading' then return { 'sealed' } end
if tonumber(loaded) ~= jobs then return { 'incomplete', loaded } end
if key ~= '' then
    local known = redis.call('GET', keys.idempotency(key))
    if known then
        local owner, same = string.match(known, '^(%S+) (%S+)$')
        return { same == digest and 'known' or 'conflict', owner }
    end
    redis.call('SET', keys.idempotency(key), graph .. ' ' .. digest)
end
redis.call('HSET', record, 'state', 'sealed', 'sealed_at', int(now), 'left', jobs, 'shown', 0)
redis.call('ZREM', keys.graphs_loading(group), graph)
redis.call('ZADD', keys.graphs(), int(now), graph)
redis.call('ZADD', keys.resolve(group), int(now), graph)
announce(group, 'resolve', graph)
emit('graph.submitted', 'graph', graph, 'group', group, 'title', name or '', 'jobs', jobs)
return { 'sealed' }
