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
-- @include lib/forget_session
-- @include lib/needed
-- @include lib/int
redis.call('SREM', keys.groups(), '')
local reply = { 'forgotten' }
if not FINAL[state] then return reply end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', keys.state(group, state), '-inf', int(before), 'LIMIT', 0, limit)) do
    if not needed(id) then
        forget_session(id, group, state)
        redis.call('ZREM', keys.state(group, state), id)
        reply[#reply + 1] = id
    end
end
return reply
