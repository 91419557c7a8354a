-- Cancel what is not placed; ask the leader to cancel what is.
--
-- @arg session str
-- @arg reason str
-- @reply cancelled | accepted | ended | gone
-- @include lib/although_full
-- @include lib/cancel_session
return { cancel_session(session, reason) }
