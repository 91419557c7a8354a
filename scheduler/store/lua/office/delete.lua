-- Forget an office none of whose jobs is still to end. Its revision stays, so that an office of the
-- same name never repeats one.
--
-- @arg office str
-- @reply deleted | in_use | unknown_office
-- @include lib/although_full
-- @include lib/office_limits
local key = keys.office(office)
local revision, config = unpack(redis.call('HMGET', key, 'revision', 'config'))
if not config then return { 'unknown_office' } end
local waiting = tonumber(redis.call('HGET', keys.scope_use('office', office), 'pending') or '0') or 0
local placed = redis.call('SCARD', keys.scope_members('office', office))
if waiting + placed > 0 then return { 'in_use', int(waiting), int(placed) } end
limit_sessions('office', office, nil)
for _, role in ipairs(roles_of(office)) do limit_sessions('role', office .. '/' .. role, nil) end
redis.call('DEL', key)
redis.call('HSET', key, 'revision', revision)
redis.call('SREM', keys.offices(), office)
emit('office.deleted', 'office', office)
tell_leaders(office)
return { 'deleted' }
