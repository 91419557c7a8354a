-- Go on waiting for the dependencies of a session that was retried: those of one page, from a cursor.
--
-- The second item of the reply is where the next page begins; "0" says that this was the last.
--
-- @arg session str
-- @arg cursor str
-- @reply linked | gone
-- @include lib/relink_parents
-- @include lib/release_if_due
if redis.call('EXISTS', keys.session(session)) == 0 then return { 'gone' } end
local following = relink_parents(session, cursor)
release_if_due(session, 'release')
return { 'linked', following }
