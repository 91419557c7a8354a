-- Ask the leader of a group to decide the jobs of an office anew; "*" is every office.
--
-- Reply: asked, and the entry of the inbox up to which the leader has acted once it has looked.
--
-- @arg group str
-- @arg office str
-- @reply asked | no_leader | unknown_group
-- @include lib/although_full
-- @include lib/announce
if redis.call('SISMEMBER', keys.groups(), group) == 0 then return { 'unknown_group' } end
if redis.call('EXISTS', keys.lock(group)) == 0 then return { 'no_leader' } end
return { 'asked', announce(group, 'process', office) }
