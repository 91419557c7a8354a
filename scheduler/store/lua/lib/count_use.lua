-- Record what a kernel held, of which fair shares are: slots of a family x seconds, by day and owner.
-- What was held over midnight is split there.
--
-- It is gathered over a script and written once, by flush_use, which the loader calls however the
-- script ends: two calls for each day, however many kernels. The field "" counts the changes of a day,
-- so that only what changed is read again.
-- @flush flush_use
-- @include lib/clock_ms
-- @include lib/int
local today = math.floor(now / DAY_MS)
local oldest = today - KEPT_DAYS + 1
-- By group and day: what was used; and what was held from that day's beginning until today's.
local used, whole = {}, {}

local function of_day(days, group, day)
    days[group] = days[group] or {}
    days[group][day] = days[group][day] or {}
    return days[group][day]
end

local function add(sums, held, ms)
    for field, amount in pairs(held) do
        -- Rounded up: many short kernels are use, too. Multiplied first: seconds are no exact numbers, and a
        -- product of them that is a little above the true one would be rounded up to one more.
        sums[field] = (sums[field] or 0) + math.ceil(amount * ms / 1000)
    end
end

local function count_use(group, owner, slots, since)
    local from = math.max(since, oldest * DAY_MS)
    if from >= now then return end
    local held, first = {}, math.floor(from / DAY_MS)
    for slot, amount in pairs(slots) do
        local field = owner .. '\n' .. string.match(slot, '^[^.]*')
        held[field] = (held[field] or 0) + amount
    end
    if first < today then
        add(of_day(used, group, first), held, (first + 1) * DAY_MS - from)
        add(of_day(whole, group, first + 1), held, 1000)
        from = today * DAY_MS
    end
    add(of_day(used, group, today), held, now - from)
end

local function add_to_day(key, sums)
    local fields, written = { '' }, {}
    for field in pairs(sums) do fields[#fields + 1] = field end
    sums[''] = 1
    -- What is spoilt, or would not be exact any more, must not stop the leader here.
    local before = redis.pcall('HMGET', key, unpack(fields))
    if before.err then return end
    for index, field in ipairs(fields) do
        written[2 * index - 1] = field
        written[2 * index] = int(math.min((tonumber(before[index] or '0') or 0) + sums[field], 2 ^ 53 - 1))
    end
    redis.call('HSET', key, unpack(written))
end

local function flush_use()
    for group, days in pairs(used) do
        -- Whatever ends now was held on every whole day up to today: a kernel costs the same however old.
        local rates, began = {}, whole[group] or {}
        for day = oldest, today do
            if began[day] then add(rates, began[day], 1000) end
            if day < today and next(rates) then add(of_day(used, group, day), rates, DAY_MS) end
            if days[day] then
                local key = keys.use(group, int(day))
                add_to_day(key, days[day])
                redis.call('PEXPIREAT', key, int((day + KEPT_DAYS) * DAY_MS))
            end
        end
    end
end
