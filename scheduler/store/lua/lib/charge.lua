-- What a session charges its scopes: read from what it holds, or worked out from its request; once per script.
local charges = {}

local function charge_of(held)
    if not charges[held] then charges[held] = cjson.decode(held) end
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

-- A request whose text is lost or spoilt charges nothing: what cannot be told must stop no script.
local function charge_of_request(request)
    if not charges[request] then
        local fine, charge = pcall(asked_charge, redis.call('HGET', keys.request(request), 'text') or '')
        charges[request] = fine and charge or { scopes = {}, slots = {} }
    end
    return charges[request]
end
