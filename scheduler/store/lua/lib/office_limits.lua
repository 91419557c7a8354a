-- The limits of an office and of its roles, which are those of their scopes: sessions held at once.
-- A limit below what runs stops new ones and kills nothing; one of 0 lets nothing begin.
-- @include lib/emit
-- @include lib/int
-- @include lib/announce

-- most: a number, or nil to lift the limit. What else the scope is limited by, operators set; it stays.
local function limit_sessions(kind, name, most)
    local key, scope = keys.scope_limits(kind, name), kind .. ' ' .. name
    local before, value = redis.call('HGET', key, 'max_sessions') or '', most and int(most) or ''
    if before == value then return end
    if most then
        redis.call('HSET', key, 'max_sessions', value)
        redis.call('SADD', keys.scopes(), scope)
    else
        redis.call('HDEL', key, 'max_sessions')
        if redis.call('EXISTS', key) == 0 then redis.call('SREM', keys.scopes(), scope) end
    end
    emit('scope.changed', 'scope', scope, 'max_sessions', value)
end

-- The roles an office has so far.
local function roles_of(office)
    local found = {}
    for _, field in ipairs(redis.call('HKEYS', keys.office(office))) do
        found[#found + 1] = string.match(field, '^role:(.*)$')
    end
    return found
end

local function tell_leaders(office)
    for _, group in ipairs(redis.call('SMEMBERS', keys.groups())) do announce(group, 'office', office) end
end
