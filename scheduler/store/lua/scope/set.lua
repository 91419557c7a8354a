-- Change limits of a scope: fields is name, value, name, value ...; "" lifts one.
-- A limit below what runs stops new ones and kills nothing.
--
-- @arg kind str
-- @arg name str
-- @arg fields json
-- @reply set
-- @include lib/although_full
-- @include lib/emit
-- @include lib/announce
-- @include lib/write_limits
local scope = kind .. ' ' .. name
local limits, changed = told_limits(scope)
for index = 1, #fields, 2 do
    local field, value = fields[index], fields[index + 1]
    if (limits[field] or '') ~= value then
        limits[field], changed = value ~= '' and value or nil, true
    end
end
if not changed then return { 'set' } end
write_limits(scope, limits)
emit('scope.changed', 'scope', scope, unpack(fields))
for _, group in ipairs(redis.call('SMEMBERS', keys.groups())) do
    announce(group, 'scope', scope)
end
return { 'set' }
