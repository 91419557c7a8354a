-- What a session charges its scopes: read from what it holds, or worked out from its request; once per
-- script. What is lost or spoilt charges nothing: what cannot be told must stop no script.
local charges = {}

local function charge_of(held)
    if not charges[held] then
        local fine, charge = pcall(cjson.decode, held)
        charges[held] = fine and type(charge) == 'table' and charge.scopes and charge.slots and charge
            or { scopes = {}, slots = {} }
    end
    return charges[held]
end

local function asked_charge(text)
    local asked, slots = cjson.decode(text), {}
    for _, kernel in ipairs(asked.kernels) do
        for name, amount in pairs(kernel) do
            local family, kind = string.match(name, '^([^.]+)%.?(.*)$')
            slots[family] = (slots[family] or 0) + (kind == 'device' and 1000 * amount or amount)
        end
    end
    return { scopes = asked.scopes, slots = slots }
end

local function charge_of_request(request)
    if not charges[request] then
        local fine, charge = pcall(asked_charge, redis.call('HGET', keys.request(request), 'text') or '')
        charges[request] = fine and charge or { scopes = {}, slots = {} }
    end
    return charges[request]
end
