-- Cancel what is not placed; ask the leader to cancel what is.
--
-- seen: see lib/as_seen.
--
-- @arg session str
-- @arg reason str
-- @arg seen str
-- @reply cancelled | accepted | ended | gone | conflict
-- @include lib/although_full
-- @include lib/as_seen
-- @include lib/cancel_session
if not as_seen(session, seen) then return { 'conflict' } end
local word = cancel_session(session, reason)
if word == 'cancelled' or word == 'accepted' then note_change(session, seen) end
return { word }
