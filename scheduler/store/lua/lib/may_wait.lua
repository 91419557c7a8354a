-- Whether every scope of a charge lets one more session wait; those that are counted are the others.
-- Returns nil, or the refusal: which scope, its limits, what waits there already.
-- @include lib/scope_count
-- @include lib/slots_text
local function limits_waiting(charge)
    if charge.limits_waiting == nil then
        charge.limits_waiting = false
        for _, use in ipairs(uses_of(charge)) do
            local limits = limits_of(use)
            if limits and (limits.pending or limits.pending_slots) then charge.limits_waiting = true end
        end
    end
    return charge.limits_waiting
end

local function too_much_waits(limits, counts, waits)
    if limits.pending and (counts.pending or 0) >= limits.pending then return true end
    if not limits.pending_slots then return false end
    for index = 3, #waits, 2 do -- behind the number of sessions
        local most = limits.pending_slots[waits[index]]
        if most and (counts[waits[index]] or 0) + waits[index + 1] > most then return true end
    end
    return false
end

local function forbidden_to_wait(charge, request)
    if not limits_waiting(charge) then return nil end
    for _, use in ipairs(uses_of(charge)) do
        local limits, counts = limits_of(use), counts_of(use)
        if limits and too_much_waits(limits, counts, waits_of(charge)) then
            local waiting, told = {}, limits.told
            for family in pairs(charge.slots) do waiting[family] = counts['pending:' .. family] or 0 end
            return { 'over_pending', request, use.kind, use.name, told.max_pending_sessions or '',
                told.max_pending_slots or '{}', int(counts.pending or 0), slots_text(waiting) }
        end
    end
end

-- Count new sessions as waiting, one after the other: all of them, or none and what forbids it.
-- Most scopes limit nothing that waits; what charges only those is counted at once, at the end.
local function let_wait(fresh, requests)
    local many = {}
    for _, asked in ipairs(fresh) do uses_of(requests[asked.request]) end
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
