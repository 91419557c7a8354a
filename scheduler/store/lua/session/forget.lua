-- Forget sessions that ended before a moment, with all that belongs to them: of limit, behind the skip oldest.
--
-- A session that others still wait for, or are held by, is kept. The caller deletes the logs, which are
-- the agents'.
--
-- @arg group str
-- @arg state str
-- @arg before int
-- @arg skip int
-- @arg limit int
-- @reply forgotten
-- @include lib/forget_listed
-- @include lib/int
redis.call('SREM', keys.groups(), '')
local reply = { 'forgotten' }
if not FINAL[state] then return reply end

local ended = redis.call('ZRANGEBYSCORE', keys.state(group, state), '-inf', int(before), 'LIMIT', skip, limit)
for _, id in ipairs(ended) do forget_listed(id, group, state, reply) end
return reply
