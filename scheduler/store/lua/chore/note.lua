-- Note how a chore of a group went, unless a later run of it is noted.
--
-- @arg group str
-- @arg chore str
-- @arg at int
-- @arg text str
-- @reply noted | older | unknown_group
-- @include lib/although_full
if redis.call('SISMEMBER', keys.groups(), group) == 0 then return { 'unknown_group' } end
local well, before = pcall(cjson.decode, redis.call('HGET', keys.chores_ran(group), chore) or '')
if well and type(before) == 'table' and (tonumber(before.at_ms) or 0) > at then return { 'older' } end
redis.call('HSET', keys.chores_ran(group), chore, text)
return { 'noted' }
