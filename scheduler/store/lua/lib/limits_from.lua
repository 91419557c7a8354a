-- A scope's limits as scripts look at them, from the text of them; many scopes have the same.
-- What is spoilt admits nobody until somebody sets it anew: as no limit it would admit all.
local SPOILT = '{"max_sessions":"0"}'
local limits_of_text = {}

local function number_from(text)
    if not text then return nil end
    return tonumber(text) or error('no number')
end

local function by_field(prefix, text)
    if not text then return nil end
    local fields = {}
    for family, most in pairs(cjson.decode(text)) do fields[prefix .. family] = number_from(most) end
    return fields
end

local function read_limits(text)
    local told = cjson.decode(text)
    if type(told) ~= 'table' then error('no object') end
    return {
        told = told,
        sessions = number_from(told.max_sessions),
        slots = by_field('slots:', told.max_slots),
        others = told.unspecified_slots == 'zero' and 0,
        pending = number_from(told.max_pending_sessions),
        pending_slots = by_field('pending:', told.max_pending_slots),
    }
end

local function limits_from(text)
    if not limits_of_text[text] then
        local well, limits = pcall(read_limits, text)
        limits_of_text[text] = well and limits or read_limits(SPOILT)
    end
    return limits_of_text[text]
end
