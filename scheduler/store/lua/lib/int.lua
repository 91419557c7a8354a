-- An integer as text; Lua's own tostring loses digits above 1e14.
local function int(number)
    return string.format('%.0f', number)
end
