-- Halve the digest of a role that counts more than most runs, so that it follows what jobs do lately.
--
-- At most 250 fields. A repeat finds it small enough. A digest that is forgotten leaves the list.
--
-- @arg job str
-- @arg most int
-- @reply folded | small | gone
-- @include lib/although_full
-- @include lib/int
local key = keys.durations(job)
local found, total, less = redis.call('HGETALL', key), 0, {}
if #found == 0 then
    redis.call('ZREM', keys.digests(), job)
    return { 'gone' }
end
for index = 1, #found, 2 do total = total + (tonumber(found[index + 1]) or 0) end
if total <= most then return { 'small' } end
for index = 1, #found, 2 do
    local half = math.floor((tonumber(found[index + 1]) or 0) / 2)
    if half > 0 then
        less[#less + 1] = found[index]
        less[#less + 1] = int(half)
    else
        redis.call('HDEL', key, found[index])
    end
end
if less[1] then redis.call('HSET', key, unpack(less)) end
return { 'folded' }
