-- Count what waits in scopes and what is held of them: in tables, and once in Redis, by flush_scope_use,
-- which the loader calls however the script ends.
-- @flush flush_scope_use
-- @include lib/int
-- @include lib/scope_use
-- What a charge adds to each of its scopes, as field, amount, field, amount ...: worked out once, since
-- a script adds many times, and a text made anew each time cost more than the adding.
local function fields_of_charge(charge)
    local waits, holds = { 'pending', 1 }, {}
    for family, amount in pairs(charge.slots) do
        waits[#waits + 1], waits[#waits + 2] = 'pending:' .. family, amount
        holds[#holds + 1], holds[#holds + 2] = 'slots:' .. family, amount
    end
    charge.waits, charge.holds = waits, holds
end

local function add_charge(counts, fields, times)
    for index = 1, #fields, 2 do
        local field = fields[index]
        counts[field] = (counts[field] or 0) + times * fields[index + 1]
    end
end

-- So many sessions that charge the same begin (or, below zero, cease) to wait.
local function wait(charge, sessions)
    if not charge.waits then fields_of_charge(charge) end
    for _, use in ipairs(uses_of(charge)) do add_charge(use.counts, charge.waits, sessions) end
end

-- A session holds all its scopes from now on (sign 1), or none of them any more (-1).
local function hold(charge, session, sign)
    if not charge.holds then fields_of_charge(charge) end
    for _, use in ipairs(uses_of(charge)) do
        use.members[session], use.joined = sign > 0, use.joined + sign
        add_charge(use.counts, charge.holds, sign)
    end
end

local function write_counts(command, key, arguments)
    if arguments[1] then redis.call(command, key, unpack(arguments)) end
end

local function flush_scope_use()
    for _, use in pairs(scope_uses) do
        local set, gone, came, left = {}, {}, {}, {}
        for field, change in pairs(use.counts) do
            local value = change ~= 0 and counted(use, field)
            if value == 0 then gone[#gone + 1] = field end
            if value and value > 0 then set[#set + 1], set[#set + 2] = field, int(value) end
        end
        for session, holds in pairs(use.members) do
            table.insert(holds and came or left, session)
        end
        write_counts('SREM', keys.scope_members(use.kind, use.name), left)
        write_counts('SADD', keys.scope_members(use.kind, use.name), came)
        write_counts('HDEL', keys.scope_use(use.kind, use.name), gone)
        write_counts('HSET', keys.scope_use(use.kind, use.name), set)
    end
end
