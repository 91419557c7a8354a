-- Begin a term: only for who holds the lock, with a number above every number ever given.
--
-- @arg group str
-- @arg nonce str
-- @arg holder str
-- @arg connection str
-- @reply elected | not_holder
-- @include lib/although_full
-- @include lib/emit
if redis.call('GET', keys.lock(group)) ~= nonce then return { 'not_holder' } end
local stored = tonumber(redis.call('HGET', keys.leadership(group), 'term') or '0')
local term = int(math.max(stored + 1, now))
redis.call('HSET', keys.leadership(group), 'term', term, 'nonce', nonce, 'holder', holder,
    'connection', connection, 'elected_at', int(now))
redis.call('HDEL', keys.leadership(group), 'turn_since')
emit('leader.elected', 'group', group, 'term', term, 'holder', holder)
return { 'elected', term }
