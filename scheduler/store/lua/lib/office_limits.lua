-- The limits of an office and of its roles, which are those of their scopes: sessions held at once.
-- A limit below what runs stops new ones and kills nothing; one of 0 lets nothing begin.
-- @include lib/emit
-- @include lib/int
-- @include lib/announce
-- @include lib/write_limits

-- most: a number, or nil to lift the limit. What else the scope is limited by, operators set; it stays.
local function limit_sessions(kind, name, most)
    local scope, value = kind .. ' ' .. name, most and int(most) or ''
    local limits = told_limits(scope)
    if (limits.max_sessions or '') == value then return end
    limits.max_sessions = value ~= '' and value or nil
    write_limits(scope, limits)
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
