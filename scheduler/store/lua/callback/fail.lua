-- Note that a callback could not be delivered: it is tried again after delay ms, or parked.
--
-- seen is how many failures were on record, so that a repeat is not counted. patience is how long it is
-- tried, ms; 0 parks it at once and for good. hold is how long nothing is posted to its whole lane: 0 where the host
-- answered. kept is how long parked ones are kept, ms.
--
-- @arg entry str
-- @arg lane str
-- @arg held str
-- @arg seen int
-- @arg why str
-- @arg delay int
-- @arg hold int
-- @arg patience int
-- @arg kept int
-- @reply again | parked | moved | gone
-- @include lib/clock_ms
-- @include lib/int
-- @include lib/emit
-- @include lib/lane
local key = keys.callback(entry)
local id, since, failures, parked, chances =
    unpack(redis.call('HMGET', key, 'session', 'since', 'failures', 'parked_at', 'chances'))
if not id then return { 'gone' } end
if parked or tonumber(failures or '0') ~= seen then return { 'moved' } end
redis.call('HSET', key, 'failures', seen + 1, 'error', why)
if hold > 0 then
    redis.call('HINCRBY', keys.callback_failures(), lane, 1)
else
    redis.call('HDEL', keys.callback_failures(), lane)
end
local give_up = now >= tonumber(since or '0') + patience
if give_up then
    redis.call('HSET', key, 'parked_at', int(now))
    if patience == 0 then redis.call('HSET', key, 'for_good', 1) end
    redis.call('ZREM', keys.callback_lane(lane), entry)
    redis.call('ZADD', keys.callbacks_parked(), int(now), entry)
    local old_ones = redis.call('ZRANGEBYSCORE', keys.callbacks_parked(), '-inf', int(now - kept), 'LIMIT', 0, 100)
    for _, old in ipairs(old_ones) do
        redis.call('ZREM', keys.callbacks_parked(), old)
        redis.call('DEL', keys.callback(old))
    end
    -- Once, however often it was given another chance.
    if not chances then emit('callback.parked', 'session', id, 'reason', why) end
else
    redis.call('ZADD', keys.callback_lane(lane), int(now + delay), entry)
end
let_lane_go(lane, held, hold)
tell_session(id, (give_up and 'parked: ' or 'failing: ') .. why)
return { give_up and 'parked' or 'again' }
