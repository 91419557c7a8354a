-- A scope's limits as scripts look at them, from the text of them; many scopes have the same.
local limits_of_text = {}

local function by_field(prefix, text)
    if not text then return nil end
    local fields = {}
    for family, most in pairs(cjson.decode(text)) do fields[prefix .. family] = most end
    return fields
end

local function limits_from(text)
    local limits = limits_of_text[text]
    if not limits then
        local told = cjson.decode(text)
        limits = {
            told = told,
            sessions = tonumber(told.max_sessions or ''),
            slots = by_field('slots:', told.max_slots),
            others = told.unspecified_slots == 'zero' and 0,
            pending = tonumber(told.max_pending_sessions or ''),
            pending_slots = by_field('pending:', told.max_pending_slots),
        }
        limits_of_text[text] = limits
    end
    return limits
end
