-- Whether every scope of a charge lets one more session wait; those that are counted are the others.
-- Returns nil, or the refusal: which scope, its limits, what waits there already.
-- @include lib/scope_count
-- @include lib/slots_text
local function pending_limits(use)
    if not use.pending then
        local sessions, slots = use.limits.max_pending_sessions, use.limits.max_pending_slots
        use.pending = { sessions = tonumber(sessions or ''), slots = slots and cjson.decode(slots) }
    end
    return use.pending
end

local function limits_waiting(charge)
    if charge.limits_waiting == nil then
        charge.limits_waiting = false
        for _, use in ipairs(uses_of(charge)) do
            local limits = use.limited and pending_limits(use)
            if limits and (limits.sessions or limits.slots) then charge.limits_waiting = true end
        end
    end
    return charge.limits_waiting
end

local function too_much_waits(use, slots)
    local limits = pending_limits(use)
    if limits.sessions and counted(use, 'pending') >= limits.sessions then return true end
    for family, amount in pairs(limits.slots and slots or {}) do
        local limit = limits.slots[family]
        if limit and counted(use, 'pending:' .. family) + amount > limit then return true end
    end
    return false
end

local function forbidden_to_wait(charge, request)
    if not limits_waiting(charge) then return nil end
    for _, use in ipairs(uses_of(charge)) do
        if too_much_waits(use, charge.slots) then
            local waits = {}
            for family in pairs(charge.slots) do waits[family] = counted(use, 'pending:' .. family) end
            return { 'over_pending', request, use.kind, use.name, use.limits.max_pending_sessions or '',
                use.limits.max_pending_slots or '{}', int(counted(use, 'pending')), slots_text(waits) }
        end
    end
end

-- Count new sessions as waiting, one after the other: all of them, or none and what forbids it.
-- Most scopes limit nothing that waits; what charges only those is counted at once, at the end.
local function let_wait(fresh, requests)
    local many = {}
    for _, asked in ipairs(fresh) do
        local charge = requests[asked.request]
        if limits_waiting(charge) then
            local over = forbidden_to_wait(charge, asked.request)
            if over then
                forget_counts()
                return over
            end
            wait(charge, 1)
        else
            many[charge] = (many[charge] or 0) + 1
        end
    end
    for charge, sessions in pairs(many) do wait(charge, sessions) end
end
