-- Create a scaling group, or change its options; fields is name, value, name, value ...
--
-- Every change is a revision: all options (names) as they are then, kept for rolling back.
-- mode: "new" refuses a group that exists, "known" one that does not, "any" neither.
-- revision: what the group must be at, or "". says: what made the change, for the history.
--
-- @arg group str
-- @arg fields json
-- @arg names json
-- @arg mode str
-- @arg revision str
-- @arg says str
-- @reply created | changed | unchanged | exists | unknown_group | conflict
-- @include lib/although_full
-- @include lib/clock_ms
-- @include lib/emit
-- @include lib/announce
-- @include lib/int
local KEPT = 100
local key = keys.group(group)
local known = redis.call('SISMEMBER', keys.groups(), group) == 1
if mode == 'new' and known then return { 'exists' } end
if mode == 'known' and not known then return { 'unknown_group' } end
local at = redis.call('HGET', key, 'revision') or '0'
if revision ~= '' and revision ~= at then return { 'conflict', at } end
local changed = not known
for index = 1, #fields, 2 do
    if redis.call('HGET', key, fields[index]) ~= fields[index + 1] then changed = true end
end
if not changed then return { 'unchanged', at } end
redis.call('SADD', keys.groups(), group)
if #fields > 0 then redis.call('HSET', key, unpack(fields)) end
local number = redis.call('HINCRBY', key, 'revision', 1)
local options = {}
for index, value in ipairs(redis.call('HMGET', key, unpack(names))) do
    if value then options[names[index]] = value end
end
-- An empty table would become a JSON list.
local text = next(options) and cjson.encode(options) or '{}'
redis.call('HSET', keys.group_revisions(group), number,
    '{"at":' .. int(now) .. ',"says":' .. cjson.encode(says) .. ',"options":' .. text .. '}')
redis.call('HDEL', keys.group_revisions(group), number - KEPT)
emit('group.changed', 'group', group, 'revision', number)
announce(group, 'group', group)
return { known and 'changed' or 'created', int(number) }
