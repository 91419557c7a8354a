-- Record what a kernel held, of which fair shares are: slots of a family x seconds, by day and owner.
-- What was held over midnight is split there. A number that is spoilt stays as it is.
--
-- It is gathered over a script and written once, by flush_use, which the loader calls however the
-- script ends: kernels that end together are mostly of a few owners.
-- @include lib/clock_ms
-- @include lib/int
local MOST = 2 ^ 53 - 1
local used = {}

local function count_use(group, owner, slots, since)
    local from = math.max(since, (math.floor(now / DAY_MS) - KEPT_DAYS + 1) * DAY_MS)
    while from < now do
        local day = math.floor(from / DAY_MS)
        local till = math.min(now, (day + 1) * DAY_MS)
        local key = keys.use(group, int(day))
        local entry = used[key] or { ends = (day + KEPT_DAYS) * DAY_MS, sums = {} }
        used[key] = entry
        for slot, amount in pairs(slots) do
            local field = owner .. '\n' .. string.match(slot, '^[^.]*')
            -- Rounded up: many short kernels are use, too.
            entry.sums[field] = (entry.sums[field] or 0) + math.ceil(amount * (till - from) / 1000)
        end
        from = till
    end
end

local function flush_use()
    for key, entry in pairs(used) do
        for field, sum in pairs(entry.sums) do
            redis.pcall('HINCRBY', key, field, int(math.min(sum, MOST)))
        end
        redis.call('PEXPIREAT', key, int(entry.ends))
    end
end
