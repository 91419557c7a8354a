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
local key, set, gone = keys.scope_limits(kind, name), {}, {}
for index = 1, #fields, 2 do
    local field, value = fields[index], fields[index + 1]
    local before = redis.call('HGET', key, field)
    if value ~= '' and before ~= value then
        set[#set + 1], set[#set + 2] = field, value
    elseif value == '' and before then
        gone[#gone + 1] = field
    end
end
if not set[1] and not gone[1] then return { 'set' } end
redis.call('SADD', keys.scopes(), kind .. ' ' .. name)
if gone[1] then redis.call('HDEL', key, unpack(gone)) end
if set[1] then redis.call('HSET', key, unpack(set)) end
emit('scope.changed', 'scope', kind .. ' ' .. name, unpack(fields))
for _, group in ipairs(redis.call('SMEMBERS', keys.groups())) do
    announce(group, 'scope', kind .. ' ' .. name)
end
return { 'set' }
