-- Renew the agent's lease and read what the leader answers: one round trip.
--
-- Reply: the answer, its reason, then order and stop order of every stop that stands.
-- unknown: the registration was not applied yet, or Redis lost it; say it again.
--
-- over: stop orders of kernels whose end was told. The leader takes back those of the sessions it
-- knows; one for a kernel that no session knows would stand here until the agent's next boot.
--
-- @arg agent str
-- @arg boot str
-- @arg ttl_ms int
-- @arg beat str
-- @arg over json
-- @reply ok | wait | refused | superseded | unknown
-- @include lib/clock_ms
-- @include lib/int
redis.call('SREM', keys.groups(), '')
local admitted, candidate, refused = unpack(redis.call('HMGET', keys.record(agent), 'boot', 'candidate', 'refused'))
if admitted == boot then
    redis.call('SET', keys.beat(agent), '{"at":' .. int(now) .. ',' .. string.sub(beat, 2), 'PX', ttl_ms)
    if #over > 0 then redis.call('HDEL', keys.stops(agent), unpack(over)) end
    local reply = { 'ok', '' }
    local stops = redis.call('HGETALL', keys.stops(agent))
    for _, text in ipairs(stops) do reply[#reply + 1] = text end
    return reply
end
if candidate and string.sub(candidate, 1, #boot) == boot then
    return { 'wait', string.sub(candidate, #boot + 2) }
end
if refused and string.sub(refused, 1, #boot) == boot then
    return { 'refused', string.sub(refused, #boot + 2) }
end
if admitted then return { 'superseded', admitted } end
return { 'unknown', '' }
