-- When the leader must look at a waiting session again: its group's pending timeout, if it has one.
-- @include lib/clock_ms
-- @include lib/int
local function set_pending_timer(id, group)
    local timeout = redis.call('HGET', keys.group(group), 'pending_timeout_ms')
    if timeout and timeout ~= '' then
        redis.call('ZADD', keys.timers(group), int(now + timeout), id)
    else
        redis.call('ZREM', keys.timers(group), id)
    end
end
