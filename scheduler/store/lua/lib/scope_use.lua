-- Scopes as a script meets them: their limits and what they have are read once.
--
-- A charge is what one session costs its scopes: {scopes = [[kind, name]], slots = {family: amount}}.
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
        local limits = fields_of(keys.scope_limits(kind, name))
        scope_uses[id] = { kind = kind, name = name, limits = limits, limited = next(limits) ~= nil,
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
    use.found = use.found or fields_of(keys.scope_use(use.kind, use.name))
    return math.max(0, (tonumber(use.found[field] or '0') or 0) + (use.counts[field] or 0))
end

local function forget_counts() scope_uses = {} end
