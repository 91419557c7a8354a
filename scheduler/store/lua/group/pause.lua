-- Place nothing new in a group (why: a sentence) or go on (""); what runs there goes on either way.
--
-- @arg group str
-- @arg why str
-- @reply paused | resumed | already | unknown_group
-- @include lib/although_full
-- @include lib/emit
-- @include lib/announce
if redis.call('SISMEMBER', keys.groups(), group) == 0 then return { 'unknown_group' } end
if (redis.call('HGET', keys.group(group), 'paused') or '') == why then return { 'already' } end
redis.call('HSET', keys.group(group), 'paused', why)
emit(why == '' and 'group.resumed' or 'group.paused', 'group', group, 'reason', why)
announce(group, 'group', group)
return { why == '' and 'resumed' or 'paused' }
