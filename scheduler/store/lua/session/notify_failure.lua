-- Tell once more that a session failed for good, for subscribers that came after it did.
--
-- @arg session str
-- @reply told | wrong_state | gone
-- @include lib/emit
local state, group, attempt, placement, agents, reason = unpack(redis.call('HMGET', keys.session(session),
    'state', 'group', 'attempt', 'placement', 'agents', 'reason'))
if not state then return { 'gone' } end
if state ~= 'FAILED' and state ~= 'TIMED_OUT' then return { 'wrong_state', state } end
emit('session.' .. string.lower(state), 'session', session, 'group', group, 'from', state, 'verb', 'notify',
    'attempt', attempt or '0', 'placement', placement or '', 'agents', agents or '', 'reason', reason or '')
return { 'told', state }
