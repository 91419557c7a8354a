-- Create an office or change what it allows, and with it the limits of its scopes: all in one step.
--
-- config: its whole configuration as text. roles: all its roles, at most 100. most: jobs at once;
-- limits: {role: jobs at once}; where a role has none any more, it is lifted.
-- revision: what the office must be at; "" refuses one that exists. by: names this change, so that
-- a repeat after a lost answer finds its own.
--
-- @arg office str
-- @arg config str
-- @arg roles json
-- @arg most int
-- @arg limits json
-- @arg revision str
-- @arg by str
-- @reply created | changed | unchanged | exists | unknown_office | conflict
-- @include lib/although_full
-- @include lib/office_limits
local key = keys.office(office)
local at, config_before, by_before = unpack(redis.call('HMGET', key, 'revision', 'config', 'by'))
local spoilt = at and not string.find(at, '^%d+$')
at = spoilt and '0' or at or '0'
if by_before == by then return { revision == '' and 'created' or 'changed', at } end
if revision == '' and config_before then return { 'exists', at } end
if revision ~= '' and not config_before then return { 'unknown_office' } end
if revision ~= '' and revision ~= at then return { 'conflict', at } end
if config_before == config then return { 'unchanged', at } end
local gone = {}
for _, role in ipairs(roles_of(office)) do
    gone[#gone + 1] = 'role:' .. role
    if not limits[role] then limit_sessions('role', office .. '/' .. role, nil) end
end
if gone[1] then redis.call('HDEL', key, unpack(gone)) end
local fields = { 'config', config, 'by', by }
for _, role in ipairs(roles) do fields[#fields + 1], fields[#fields + 2] = 'role:' .. role, '1' end
redis.call('HSET', key, unpack(fields))
redis.call('SADD', keys.offices(), office)
if spoilt then redis.call('HSET', key, 'revision', 0) end
local number = redis.call('HINCRBY', key, 'revision', 1)
limit_sessions('office', office, most)
for role, limit in pairs(limits) do limit_sessions('role', office .. '/' .. role, limit) end
emit('office.changed', 'office', office, 'revision', number)
tell_leaders(office)
return { config_before and 'changed' or 'created', int(number) }
