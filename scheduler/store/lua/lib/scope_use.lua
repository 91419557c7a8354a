-- Scopes as a script meets them: limits and use are read once, counted here, and what changed is
-- written back once by flush_scope_use, which the loader calls however the script ends.
--
-- A charge is what one session costs its scopes: {scopes = [[kind, name]], slots = {family: amount}}.
-- @flush flush_scope_use
-- @include lib/int
local scope_uses = {}

local function fields_of(key)
    local fields, flat = {}, redis.call('HGETALL', key)
    for index = 1, #flat, 2 do
        if flat[index + 1] ~= '' then fields[flat[index]] = flat[index + 1] end
    end
    return fields
end

local function scope_use(kind, name)
    local id = kind .. ' ' .. name
    if not scope_uses[id] then
        scope_uses[id] = { kind = kind, name = name, limits = fields_of(keys.scope_limits(kind, name)),
            counts = {}, members = {}, joined = 0 }
    end
    return scope_uses[id]
end

local function uses_of(charge)
    if not charge.uses then
        charge.uses = {}
        for index, scope in ipairs(charge.scopes) do charge.uses[index] = scope_use(scope[1], scope[2]) end
    end
    return charge.uses
end

local function counted(use, field)
    if use.counts[field] then return use.counts[field] end
    use.found = use.found or fields_of(keys.scope_use(use.kind, use.name))
    return tonumber(use.found[field] or '0') or 0
end

local function count(use, field, amount)
    use.counts[field] = math.max(0, counted(use, field) + amount)
end

-- So many sessions that charge the same begin (or, below zero, cease) to wait.
local function wait(charge, sessions)
    for _, use in ipairs(uses_of(charge)) do
        count(use, 'pending', sessions)
        for family, amount in pairs(charge.slots) do count(use, 'pending:' .. family, sessions * amount) end
    end
end

-- A session holds all its scopes from now on (sign 1), or none of them any more (-1).
local function hold(charge, session, sign)
    for _, use in ipairs(uses_of(charge)) do
        use.members[session], use.joined = sign > 0, use.joined + sign
        for family, amount in pairs(charge.slots) do count(use, 'slots:' .. family, sign * amount) end
    end
end

local function forget_counts() scope_uses = {} end

local function write(command, key, arguments)
    if arguments[1] then redis.call(command, key, unpack(arguments)) end
end

local function flush_scope_use()
    for _, use in pairs(scope_uses) do
        local set, gone, came, left = {}, {}, {}, {}
        for field, value in pairs(use.counts) do
            if value == 0 then gone[#gone + 1] = field else set[#set + 1], set[#set + 2] = field, int(value) end
        end
        for session, holds in pairs(use.members) do
            table.insert(holds and came or left, session)
        end
        write('SREM', keys.scope_members(use.kind, use.name), left)
        write('SADD', keys.scope_members(use.kind, use.name), came)
        write('HDEL', keys.scope_use(use.kind, use.name), gone)
        write('HSET', keys.scope_use(use.kind, use.name), set)
    end
end
