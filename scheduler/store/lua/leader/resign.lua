-- Note that a term ended by itself; the lock is released by its owner afterwards.
--
-- @arg group str
-- @arg nonce str
-- @arg why str
-- @reply resigned | deposed
-- @include lib/emit
if redis.call('HGET', keys.leadership(group), 'nonce') ~= nonce then return { 'deposed' } end
local term, holder = unpack(redis.call('HMGET', keys.leadership(group), 'term', 'holder'))
redis.call('HDEL', keys.leadership(group), 'nonce', 'connection', 'resign')
emit('leader.resigned', 'group', group, 'term', term, 'holder', holder, 'reason', why)
return { 'resigned' }
