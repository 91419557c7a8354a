-- What a scope counts as text, JSON {field: number}; "" where it is nothing. What would be below zero was
-- miscounted before, and counts nothing; cjson would round numbers above 1e14.
-- @include lib/int
local quoted = {}

local function scope_text(counts)
    local parts = {}
    for field, number in pairs(counts) do
        if number > 0 then
            quoted[field] = quoted[field] or cjson.encode(field) .. ':'
            parts[#parts + 1] = quoted[field] .. (number < 1e14 and number or int(number))
        end
    end
    return parts[1] and '{' .. table.concat(parts, ',') .. '}' or ''
end

-- Write texts by "kind name"; what is "" goes.
local function write_scope_texts(key, texts)
    local set, gone = {}, {}
    for id, text in pairs(texts) do
        if text == '' then
            gone[#gone + 1] = id
        else
            set[#set + 1], set[#set + 2] = id, text
        end
    end
    for first = 1, #set, 2000 do redis.call('HSET', key, unpack(set, first, math.min(first + 1999, #set))) end
    for first = 1, #gone, 2000 do redis.call('HDEL', key, unpack(gone, first, math.min(first + 1999, #gone))) end
end
