-- Note for how long the leader's turn has gone on, in ms; 0 where none takes longer than it should.
--
-- @arg group str
-- @arg nonce str
-- @arg ms str
-- @reply noted | deposed
-- @include lib/although_full
-- @include lib/int
-- @include lib/clock_ms
if redis.call('HGET', keys.leadership(group), 'nonce') ~= nonce then return { 'deposed' } end
if ms == '0' then
    redis.call('HDEL', keys.leadership(group), 'turn_since')
else
    -- A repeat says the same turn, a little later.
    redis.call('HSETNX', keys.leadership(group), 'turn_since', int(now - tonumber(ms)))
end
return { 'noted' }
