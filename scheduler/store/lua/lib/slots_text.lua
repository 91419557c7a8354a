-- Slots as JSON text; cjson would round amounts above 1e14.
-- @include lib/int
local function slots_text(slots)
    local parts = {}
    for slot, amount in pairs(slots) do
        parts[#parts + 1] = cjson.encode(slot) .. ':' .. int(amount)
    end
    return '{' .. table.concat(parts, ',') .. '}'
end
