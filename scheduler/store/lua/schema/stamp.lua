-- Note the layout of this namespace's data, or refuse data newer than the program.
--
-- @arg version int
-- @arg events_cap int
-- @reply stamped | known | newer
-- @include lib/although_full
-- @include lib/emit
local found = tonumber(redis.call('HGET', keys.schema(), 'version') or '0')
if found > version then return { 'newer', int(found) } end
redis.call('HSET', keys.counters(), 'events_cap', events_cap)
if found == version then return { 'known' } end
redis.call('HSET', keys.schema(), 'version', version, 'stamped_at', int(now))
return { 'stamped' }
