-- Begin a graph: from now on its sessions can be loaded, unseen, until it is sealed or has expired.
--
-- fields: name, value, name, value ...; digest: what it asks for, in short; patience: ms after which a
-- graph nobody loads any more expires. A known idempotency key answers the graph that has it.
--
-- @arg graph str
-- @arg group str
-- @arg fields json
-- @arg key str
-- @arg digest str
-- @arg patience int
-- @reply opened | known | conflict | unknown_group
-- @include lib/clock_ms
-- @include lib/int
if redis.call('SISMEMBER', keys.groups(), group) == 0 then return { 'unknown_group' } end
local known = key ~= '' and redis.call('GET', keys.idempotency(key))
if known then
    local owner, same = string.match(known, '^(%S+) (%S+)$')
    return { same == digest and 'known' or 'conflict', owner }
end
if redis.call('EXISTS', keys.graph(graph)) == 0 then
    redis.call('HSET', keys.graph(graph), 'state', 'loading', 'group', group, 'loaded', 0, 'key', key,
        'digest', digest, unpack(fields))
    redis.call('ZADD', keys.graphs_loading(group), int(now + patience), graph)
end
return { 'opened' }
