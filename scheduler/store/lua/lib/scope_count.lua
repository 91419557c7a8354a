-- Count what waits in scopes and what is held of them: in tables, and once in Redis, by flush_scope_use,
-- which the loader calls however the script ends.
-- @flush flush_scope_use
-- @include lib/scope_text
-- @include lib/scope_use
local function count_in(use, fields, times)
    local counts = counts_of(use)
    use.changed = true
    for index = 1, #fields, 2 do
        local field = fields[index]
        counts[field] = (counts[field] or 0) + times * fields[index + 1]
    end
end

-- So many sessions that charge the same begin (or, below zero, cease) to wait.
local function wait(charge, sessions)
    local waits = waits_of(charge)
    for _, use in ipairs(uses_of(charge)) do count_in(use, waits, sessions) end
end

-- A session holds all its scopes from now on (sign 1), or none of them any more (-1).
local function hold(charge, session, sign)
    local holds = holds_of(charge)
    for _, use in ipairs(uses_of(charge)) do
        count_in(use, holds, sign)
        use.joined = use.joined + sign
        use.members = use.members or {}
        use.members[session] = sign > 0
    end
end

local function flush_members(use)
    local came, left = {}, {}
    for session, holds in pairs(use.members) do table.insert(holds and came or left, session) end
    local key = keys.scope_members(use.kind, use.name)
    if left[1] then redis.call('SREM', key, unpack(left)) end
    if came[1] then redis.call('SADD', key, unpack(came)) end
end

local function flush_scope_use()
    local texts = {}
    for id, use in pairs(scope_uses) do
        if use.members then flush_members(use) end
        if use.changed then texts[id] = scope_text(use.counts) end
    end
    write_scope_texts(keys.scope_use(), texts)
end
