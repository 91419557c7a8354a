-- Create a scaling group, or change its options; fields is name, value, name, value ...
--
-- @arg group str
-- @arg fields json
-- @reply created | changed | unchanged
-- @include lib/emit
-- @include lib/announce
local created = redis.call('SADD', keys.groups(), group) == 1
local changed = created
for index = 1, #fields, 2 do
    if redis.call('HGET', keys.group(group), fields[index]) ~= fields[index + 1] then changed = true end
end
if not changed then return { 'unchanged' } end
if #fields > 0 then redis.call('HSET', keys.group(group), unpack(fields)) end
emit('group.changed', 'group', group)
announce(group, 'group', group)
return { created and 'created' or 'changed' }
