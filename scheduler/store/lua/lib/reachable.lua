-- Whether a need fits some agent of a group when idle, as far as its leader noted.
local function reachable(options, need)
    if options.grows == '1' or not options.reachable or options.reachable == '[]' then return true end
    for _, shape in ipairs(cjson.decode(options.reachable)) do
        local fits = true
        for slot, amount in pairs(need) do
            if (shape[slot] or 0) < amount then fits = false end
        end
        if fits then return true end
    end
    return false
end
