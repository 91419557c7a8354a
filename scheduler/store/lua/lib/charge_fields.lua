-- What a charge counts in each of its scopes while its session waits, and while it holds them, as field,
-- amount, field, amount ...: worked out once, since a script counts many times.
local function fields_of_charge(charge)
    local waits, holds = { 'pending', 1 }, {}
    for family, amount in pairs(charge.slots) do
        waits[#waits + 1], waits[#waits + 2] = 'pending:' .. family, amount
        holds[#holds + 1], holds[#holds + 2] = 'slots:' .. family, amount
    end
    charge.waits, charge.holds = waits, holds
end

local function waits_of(charge)
    if not charge.waits then fields_of_charge(charge) end
    return charge.waits
end

local function holds_of(charge)
    if not charge.holds then fields_of_charge(charge) end
    return charge.holds
end
