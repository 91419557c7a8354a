-- Whether a need fits some agent of a group when idle, as far as its leader noted.
local function reachable(options, need)
    if options.grows == '1' or not options.reachable or options.reachable == '[]' then return true end
    local readable, shapes = pcall(cjson.decode, options.reachable)
    -- Of a field that somebody overwrote the doctor tells; the leader judges by the agents themselves.
    if not readable or type(shapes) ~= 'table' then return true end
    for _, shape in ipairs(shapes) do
        local fits = true
        for slot, amount in pairs(need) do
            if (shape[slot] or 0) < amount then fits = false end
        end
        if fits then return true end
    end
    return false
end
