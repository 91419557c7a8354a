-- Delete the lock of a leader whose process is gone, if it is still that leader's.
--
-- The fence makes this safe even where the judgement was wrong: the old leader's next write is
-- refused, as after any lost lock.
--
-- @arg group str
-- @arg nonce str
-- @reply unseated | changed
if redis.call('GET', keys.lock(group)) ~= nonce then return { 'changed' } end
redis.call('DEL', keys.lock(group))
return { 'unseated' }
