-- Forget sessions that ended before a moment, with all that belongs to them; up to limit.
--
-- A session that others still wait for, or are held by, is kept. The caller deletes the logs, which are
-- the agents'.
--
-- @arg group str
-- @arg state str
-- @arg before int
-- @arg limit int
-- @reply forgotten
-- @include lib/edge
-- @include lib/forget_session
-- @include lib/int
redis.call('SREM', keys.groups(), '')
local reply = { 'forgotten' }
if not FINAL[state] then return reply end

-- Whether a dependent is still held by it; up to twenty that are not any more are taken off its list.
local function holds(id)
    for _ = 1, 20 do
        local child = redis.call('SRANDMEMBER', keys.held(id))
        if not child then return false end
        local held = read_edge(redis.call('HGET', keys.parents(child), id)) == 'held'
        if held and redis.call('HGET', keys.session(child), 'state') == 'PENDING' then return true end
        redis.call('SREM', keys.held(id), child)
    end
    return redis.call('EXISTS', keys.held(id)) == 1
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys.state(group, state), '-inf', int(before), 'LIMIT', 0, limit)) do
    if redis.call('EXISTS', keys.dependents(id)) == 0 and not holds(id) then
        forget_session(id, group, state)
        redis.call('ZREM', keys.state(group, state), id)
        reply[#reply + 1] = id
    end
end
return reply
