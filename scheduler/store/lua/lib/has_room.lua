-- Whether every scope of a charge has room for one more session, and for its slots, any family.
-- @include lib/scope_use
local function slot_policy(use)
    if use.policy then return use.policy end
    local limits, main = use.limits, use.limits.main_keypair
    if main then limits = scope_use('keypair', main).limits end
    use.policy = {
        -- A main keypair without any limits is no policy, and no policy admits nobody.
        none = main and next(limits) == nil,
        named = limits.max_slots and cjson.decode(limits.max_slots),
        others = limits.unspecified_slots == 'zero' and 0,
    }
    return use.policy
end

local function slots_fit(use, slots)
    local policy = slot_policy(use)
    if policy.none then return false end
    if not policy.named then return true end
    for family, amount in pairs(slots) do
        local limit = policy.named[family] or policy.others
        if limit and counted(use, 'slots:' .. family) + amount > limit then return false end
    end
    return true
end

local function has_room(charge)
    for _, use in ipairs(uses_of(charge)) do
        if use.limited then
            local most = tonumber(use.limits.max_sessions or '')
            if most then
                use.held = use.held or redis.call('SCARD', keys.scope_members(use.kind, use.name))
                if use.held + use.joined >= most then return false end
            end
            if not slots_fit(use, charge.slots) then return false end
        end
    end
    return true
end
