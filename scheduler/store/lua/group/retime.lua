-- Set the timers of sessions that wait to what their group's pending timeout is now, a page of them at a time.
--
-- Each got its timer when it began to wait, by the timeout of then. It counts from when it began to wait this
-- time, so one that has waited for longer is due at once. One that waits for its start time keeps that.
-- state: READY or PENDING. cursor: "0", then what the last reply ended with, until that is "0" again.
--
-- @arg group str
-- @arg state str
-- @arg cursor str
-- @reply retimed
-- @include lib/although_full
-- @include lib/announce
-- @include lib/clock_ms
-- @include lib/int
local timeout = tonumber(redis.call('HGET', keys.group(group), 'pending_timeout_ms') or '')
local reply = redis.call('ZSCAN', keys.state(group, state), cursor, 'COUNT', 200)
for index = 1, #reply[2], 2 do
    local id = reply[2][index]
    local unmet, not_before, submitted, ready, waits =
        unpack(redis.call('HMGET', keys.session(id), 'unmet', 'not_before', 'submitted_at', 'ready_at', 'waits_from'))
    local starts = tonumber(unmet or '0') == 0 and (tonumber(not_before or '0') or 0) > now
    if starts then
        redis.call('ZADD', keys.timers(group), int(tonumber(not_before)), id)
    elseif timeout then
        local since = 0
        for _, at in ipairs({ submitted or '', ready or '', waits or '' }) do
            since = math.max(since, tonumber(at) or 0)
        end
        redis.call('ZADD', keys.timers(group), int(since + timeout), id)
    else
        redis.call('ZREM', keys.timers(group), id)
    end
end
-- Its leader, which may sleep until the next timer that it knows, looks at them anew.
if reply[1] == '0' then announce(group, 'group', group) end
return { 'retimed', reply[1] }
