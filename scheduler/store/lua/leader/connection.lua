-- Publish the leader's renewal connection anew: client ids begin again with every start of Redis.
--
-- @arg group str
-- @arg nonce str
-- @arg connection str
-- @reply noted | deposed
-- @include lib/although_full
if redis.call('HGET', keys.leadership(group), 'nonce') ~= nonce then return { 'deposed' } end
redis.call('HSET', keys.leadership(group), 'connection', connection)
return { 'noted' }
