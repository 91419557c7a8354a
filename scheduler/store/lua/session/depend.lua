-- Load further dependencies of a session that was submitted with more to follow; seal it with the last.
--
-- A repeat adds nothing twice. A session whose seal is already off answers as before.
--
-- @arg session str
-- @arg parents json
-- @arg last int
-- @reply loaded | sealed | no_parent | gone
-- @include lib/add_parents
-- @include lib/release_if_due
local key = keys.session(session)
local state, unsealed = unpack(redis.call('HMGET', key, 'state', 'unsealed'))
if not state then return { 'gone' } end
if state ~= 'PENDING' or unsealed ~= '1' then return { 'sealed' } end
local unknown = missing_parent(parents)
if unknown then return { 'no_parent', unknown } end
redis.call('HINCRBY', key, 'unmet', add_parents(session, parents))
if last == 0 then return { 'loaded' } end
redis.call('HDEL', key, 'unsealed')
redis.call('HINCRBY', key, 'unmet', -1)
release_if_due(session, 'seal')
return { 'sealed' }
