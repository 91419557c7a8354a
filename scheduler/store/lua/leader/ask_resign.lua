-- Ask the leader of a group to hand over.
--
-- @arg group str
-- @reply asked | no_leader | unknown_group
-- @include lib/although_full
-- @include lib/announce
if redis.call('SISMEMBER', keys.groups(), group) == 0 then return { 'unknown_group' } end
if redis.call('EXISTS', keys.lock(group)) == 0 then return { 'no_leader' } end
local term, holder = unpack(redis.call('HMGET', keys.leadership(group), 'term', 'holder'))
if not term then return { 'no_leader' } end
announce(group, 'resign', term)
return { 'asked', term, holder }
