-- Redis' own clock in ms, the only one that decides anything.
local function clock_ms()
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
end

local now = clock_ms()
