-- A callback was taken by its receiver: forget it, and go on with the next of its lane.
--
-- held is the time until which whoever posted it held the lane; a lane that another holds now stays held.
--
-- @arg entry str
-- @arg lane str
-- @arg held str
-- @reply done | gone
-- @include lib/although_full
-- @include lib/lane
local id = redis.call('HGET', keys.callback(entry), 'session')
redis.call('DEL', keys.callback(entry))
redis.call('ZREM', keys.callback_lane(lane), entry)
redis.call('ZREM', keys.callbacks_parked(), entry)
redis.call('HDEL', keys.callback_failures(), lane)
-- What was given up for the same host is worth another try.
if redis.call('EXISTS', keys.callbacks_parked()) == 1 then
    redis.call('HSET', keys.callback_took(), lane, int(now))
else
    redis.call('DEL', keys.callback_took())
end
let_lane_go(lane, held, 0)
if not id then return { 'gone' } end
tell_session(id, 'delivered ' .. int(now))
return { 'done' }
