-- Ask the replica that leads a group for a profile of itself; token names where it is to be put.
--
-- @arg group str
-- @arg holder str
-- @arg token str
-- @arg ms str
-- @reply asked | elsewhere | no_leader | unknown_group
-- @include lib/although_full
-- @include lib/announce
if redis.call('SISMEMBER', keys.groups(), group) == 0 then return { 'unknown_group' } end
local nonce = redis.call('GET', keys.lock(group))
local term, leads, named = unpack(redis.call('HMGET', keys.leadership(group), 'term', 'nonce', 'holder'))
if not nonce or nonce ~= leads then return { 'no_leader' } end
if named ~= holder then return { 'elsewhere', named } end
announce(group, 'profile', term .. ' ' .. token .. ' ' .. ms)
return { 'asked' }
