-- Forget an office of which no job is left, with what was kept for it alone. Its revision stays, so that an
-- office of the same name never repeats one.
--
-- Who makes an office of the same name later gets nothing of this one: no jobs with their results and
-- idempotency keys, no API keys, no digests of how long jobs ran, no limits.
--
-- @arg office str
-- @reply deleted | in_use | on_record | unknown_office
-- @include lib/although_full
-- @include lib/clock_ms
-- @include lib/office_limits
-- @include lib/scope_use
local key = keys.office(office)
local revision, config = unpack(redis.call('HMGET', key, 'revision', 'config'))
if not config then return { 'unknown_office' } end
local waiting = counts_of(scope_use('office', office)).pending or 0
local placed = redis.call('SCARD', keys.scope_members('office', office))
if waiting + placed > 0 then return { 'in_use', int(waiting), int(placed) } end
local ended = 0
for state in pairs(FINAL) do ended = ended + redis.call('ZCARD', keys.jobs(office, state)) end
if ended > 0 then return { 'on_record', int(ended) } end

-- All keys are looked at, and all scopes with limits, in the step that deletes: between two steps a key would
-- speak of nobody's office. An office is deleted rarely, and 1,000 keys take some 2 ms.
local revoked = 0
for _, id in ipairs(redis.call('SMEMBERS', keys.api_keys())) do
    local whose, before = unpack(redis.call('HMGET', keys.api_key(id), 'office', 'revoked_at'))
    if whose == office and not before then
        redis.call('HSET', keys.api_key(id), 'revoked_at', int(now))
        revoked = revoked + 1
    end
end
local digests = redis.call('ZRANGEBYLEX', keys.digests(), '[' .. office .. '/', '(' .. office .. '0')
digests[#digests + 1] = office
for _, job in ipairs(digests) do
    redis.call('DEL', keys.durations(job))
    redis.call('ZREM', keys.digests(), job)
end
-- Its limits and those of its roles: what operators set, and of roles that it gave up, too.
local scopes = redis.call('HKEYS', keys.scope_limits())
table.sort(scopes)
for _, scope in ipairs(scopes) do
    local kind, name = string.match(scope, '^(%S+) (.*)$')
    if (kind == 'office' or kind == 'role') and string.match(name, '^[^/]*') == office then
        local lifted = {}
        for field in pairs(told_limits(scope)) do
            lifted[#lifted + 1], lifted[#lifted + 2] = field, ''
        end
        write_limits(scope, {})
        emit('scope.changed', 'scope', scope, unpack(lifted))
    end
end
redis.call('DEL', key)
redis.call('HSET', key, 'revision', revision)
redis.call('SREM', keys.offices(), office)
emit('office.deleted', 'office', office)
tell_leaders(office)
return { 'deleted', int(revoked) }
