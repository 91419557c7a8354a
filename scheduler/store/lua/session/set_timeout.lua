-- Let a session's attempts run for another time than it asked for; "" lets what it asked for count again.
--
-- The leader moves the deadline of one that runs, and tells its agents. seen: see lib/as_seen.
--
-- @arg session str
-- @arg timeout str
-- @arg seen str
-- @reply set | already | ended | gone | conflict
-- @include lib/although_full
-- @include lib/as_seen
-- @include lib/emit
-- @include lib/announce
local key = keys.session(session)
local state, group, before = unpack(redis.call('HMGET', key, 'state', 'group', 'own_timeout_ms'))
if not state then return { 'gone' } end
if not as_seen(session, seen) then return { 'conflict' } end
if FINAL[state] then return { 'ended', state } end
if (before or '') == timeout then return { 'already' } end
if timeout == '' then
    redis.call('HDEL', key, 'own_timeout_ms')
else
    redis.call('HSET', key, 'own_timeout_ms', timeout)
end
note_change(session, seen)
emit('session.timeout_set', 'session', session, 'group', group, 'reason', timeout)
announce(group, 'timeout', session)
return { 'set' }
