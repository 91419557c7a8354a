-- Renew the agent's lease and read what the leader answers: one round trip.
--
-- Reply: the answer, its reason, then order and stop order of every stop that stands; "ok" alone where none does.
-- unknown: the registration was not applied yet, or Redis lost it; say it again.
--
-- over: stop orders of kernels whose end was told, with spaces between them. The leader takes back those
-- of the sessions it knows; one for a kernel that no session knows would stand here until the agent's next boot.
--
-- @arg agent str
-- @arg boot str
-- @arg ttl_ms str
-- @arg beat str
-- @arg over str
-- @reply ok | wait | refused | superseded | unknown
if redis.call('HGET', keys.record(agent), 'boot') == boot then
    local key, time = keys.beat(agent), redis.call('TIME')
    -- Without string.format, JSON and tables where nothing is to be said: ten thousand agents beat.
    local text = '{"at":' .. time[1] .. string.sub(time[2] + 1000000, 2, 4) .. ',' .. string.sub(beat, 2)
    if redis.pcall('SET', key, text, 'PX', ttl_ms).err then
        -- Full: what begins by taking something away, if only nothing from nowhere, may go on.
        redis.call('SREM', keys.groups(), '')
        redis.call('SET', key, text, 'PX', ttl_ms)
    end
    if redis.call('EXISTS', keys.stops(agent)) == 0 then return 'ok' end
    for order in string.gmatch(over, '%S+') do redis.call('HDEL', keys.stops(agent), order) end
    local reply = { 'ok', '' }
    for _, stop in ipairs(redis.call('HGETALL', keys.stops(agent))) do reply[#reply + 1] = stop end
    return reply
end
local admitted, candidate, refused = unpack(redis.call('HMGET', keys.record(agent), 'boot', 'candidate', 'refused'))
if candidate and string.sub(candidate, 1, #boot) == boot then
    return { 'wait', string.sub(candidate, #boot + 2) }
end
if refused and string.sub(refused, 1, #boot) == boot then
    return { 'refused', string.sub(refused, #boot + 2) }
end
if admitted then return { 'superseded', admitted } end
return { 'unknown', '' }
