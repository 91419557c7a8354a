-- Of an office's jobs in some states the number of the last that was submitted before each of some times (ms).
--
-- Numbers grow with time, so each list is halved until the place is found: 17 looks in one of 100,000.
-- role: "" is all. A job whose record is gone is taken for an old one. 0 is a time before all of them.
--
-- @arg office str
-- @arg role str
-- @arg states json
-- @arg times json
-- @reply found
-- @include lib/int
local reply = { 'found' }

local function last_before(list, at)
    local number, low, high = 0, 0, redis.call('ZCARD', list)
    while low < high do
        local middle = math.floor((low + high) / 2)
        local job, seq = unpack(redis.call('ZRANGE', list, middle, middle, 'WITHSCORES'))
        if (tonumber(redis.call('HGET', keys.session(job), 'submitted_at') or '') or 0) < at then
            number, low = tonumber(seq), middle + 1
        else
            high = middle
        end
    end
    return number
end

for index, at in ipairs(times) do
    local number = 0
    for _, state in ipairs(states) do
        local list = role == '' and keys.jobs(office, state) or keys.jobs_of_role(office, role, state)
        number = math.max(number, last_before(list, at))
    end
    reply[index + 1] = int(number)
end
return reply
