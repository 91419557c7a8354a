-- Give a session that has not ended another priority; one that waits gets its new place in the queue.
--
-- What is placed keeps its agents, and takes it along should it wait again. seen: see lib/as_seen.
--
-- @arg session str
-- @arg priority int
-- @arg seen str
-- @reply changed | already | wrong_state | gone | conflict
-- @include lib/although_full
-- @include lib/as_seen
-- @include lib/announce
-- @include lib/emit
local key = keys.session(session)
local state, group, seq, before = unpack(redis.call('HMGET', key, 'state', 'group', 'seq', 'priority'))
if not state then return { 'gone' } end
if not as_seen(session, seen) then return { 'conflict' } end
if FINAL[state] then return { 'wrong_state', state } end
if before == int(priority) then return { 'already' } end
redis.call('HSET', key, 'priority', int(priority))
note_change(session, seen)
if state == 'READY' then
    local rank = (100 - priority) * 2 ^ 43 + (tonumber(seq) or 0)
    redis.call('ZADD', keys.state(group, 'READY'), 'XX', int(rank), session)
    announce(group, 'anew', session)
end
emit('session.priority_changed', 'session', session, 'group', group, 'priority', int(priority), 'before', before or '')
return { 'changed' }
