-- Count an attempt and open its history row, when the first kernel of a placement was claimed.
-- @include lib/clock_ms
-- @include lib/int
local function opened_row(attempt, placement, agents, timeout)
    return { attempt = attempt, agents = agents, started_at = now, placement = placement,
        deadline = timeout and now + timeout or nil }
end

local function begin_attempt(id, placement, agents, timeout)
    local key = keys.session(id)
    local attempt = redis.pcall('HINCRBY', key, 'attempt', 1)
    if type(attempt) == 'table' then
        -- Nobody can tell how many there were; but it runs.
        attempt = 1
        redis.call('HSET', key, 'attempt', attempt)
    end
    redis.call('HSET', key, 'history:' .. int(attempt), cjson.encode(opened_row(attempt, placement, agents, timeout)))
    return int(attempt)
end
