-- Whether every scope of a charge has room for one more session, and for its slots, any family.
-- @include lib/scope_use
local function slots_fit(use, limits, holds)
    local main = limits.told.main_keypair
    if main then
        limits = limits_of(scope_use('keypair', main))
        -- A main keypair without any limits is no policy, and no policy admits nobody.
        if not limits then return false end
    end
    if not limits.slots then return true end
    local counts = counts_of(use)
    for index = 1, #holds, 2 do
        local field = holds[index]
        local most = limits.slots[field] or limits.others
        if most and (counts[field] or 0) + holds[index + 1] > most then return false end
    end
    return true
end

local function has_room(charge)
    local holds = holds_of(charge)
    for _, use in ipairs(uses_of(charge)) do
        local limits = limits_of(use)
        if limits then
            if limits.sessions then
                use.held = use.held or redis.call('SCARD', keys.scope_members(use.kind, use.name))
                if use.held + use.joined >= limits.sessions then return false end
            end
            if not slots_fit(use, limits, holds) then return false end
        end
    end
    return true
end
