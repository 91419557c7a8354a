-- Scopes as a script meets them. Limits and counts of all that were named so far are read in one call each,
-- when one of them is first asked for: a script that knows which scopes it will meet names them before.
--
-- A charge is what one session costs its scopes: {scopes = [[kind, name]], slots = {family: amount}}.
-- @include lib/charge_fields
-- @include lib/limits_from
local scope_uses = {}
local uncounted, unlimited = {}, {} -- whose counts, and whose limits, were not read yet
local ONE_CALL = 1000 -- Lua hands no more than 8,000 values to a function

local function scope_use(kind, name)
    local id = kind .. ' ' .. name
    local use = scope_uses[id]
    if not use then
        use = { kind = kind, name = name, joined = 0 }
        scope_uses[id] = use
        uncounted[#uncounted + 1], unlimited[#unlimited + 1] = id, id
    end
    return use
end

local function uses_of(charge)
    if not charge.uses then
        charge.uses = {}
        for index, scope in ipairs(charge.scopes) do charge.uses[index] = scope_use(scope[1], scope[2]) end
    end
    return charge.uses
end

local function each_text(key, ids, take)
    for first = 1, #ids, ONE_CALL do
        local texts = redis.call('HMGET', key, unpack(ids, first, math.min(first + ONE_CALL - 1, #ids)))
        for index, text in ipairs(texts) do take(scope_uses[ids[first + index - 1]], text) end
    end
end

-- What is spoilt counts nothing: what cannot be told must stop no script.
local function counts_from(text)
    local fine, counts = pcall(cjson.decode, text)
    if not fine or type(counts) ~= 'table' then return {} end
    for field, count in pairs(counts) do
        if type(count) ~= 'number' then counts[field] = nil end
    end
    return counts
end

local function counts_of(use)
    if not use.counts then
        local ids = uncounted
        uncounted = {}
        each_text(keys.scope_use(), ids, function(each, text) each.counts = text and counts_from(text) or {} end)
    end
    return use.counts
end

-- The limits of a scope, or false where it has none.
local function limits_of(use)
    if use.limits == nil then
        local ids = unlimited
        unlimited = {}
        each_text(keys.scope_limits(), ids, function(each, text) each.limits = text and limits_from(text) end)
    end
    return use.limits
end

local function forget_counts() scope_uses, uncounted, unlimited = {}, {}, {} end
