-- Note the layout of this namespace's data; data of another layout is left as it is.
--
-- @arg version int
-- @arg events_cap int
-- @reply stamped | known | newer | older
-- @include lib/although_full
-- @include lib/emit
local found = tonumber(redis.call('HGET', keys.schema(), 'version') or '0')
if found > version then return { 'newer', int(found) } end
if found > 0 and found < version then return { 'older', int(found) } end
redis.call('HSET', keys.counters(), 'events_cap', events_cap)
if found == version then return { 'known' } end
redis.call('HSET', keys.schema(), 'version', version, 'stamped_at', int(now))
return { 'stamped' }
