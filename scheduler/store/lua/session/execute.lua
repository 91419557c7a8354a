-- Hand a session to its leader now: a back-off is over, and what is ready is looked at at once.
--
-- @arg session str
-- @reply accepted | wrong_state | gone
-- @include lib/clock_ms
-- @include lib/announce
-- @include lib/int
local state, group = unpack(redis.call('HMGET', keys.session(session), 'state', 'group'))
if not state then return { 'gone' } end
if state ~= 'READY' and state ~= 'RETRYING' then return { 'wrong_state', state } end
if state == 'RETRYING' then redis.call('ZADD', keys.timers(group), 'XX', 'LT', int(now), session) end
announce(group, 'execute', session)
return { 'accepted', state }
