-- Take sessions off an index whose record is gone, or whose key was overwritten by something that is none.
--
-- @arg group str
-- @arg state str
-- @arg sessions json
-- @reply unlisted
-- @include lib/although_full
local reply = { 'unlisted' }
for _, id in ipairs(sessions) do
    if redis.call('TYPE', keys.session(id)).ok ~= 'hash' then
        redis.call('DEL', keys.session(id))
        if redis.call('ZREM', keys.state(group, state), id) == 1 then reply[#reply + 1] = id end
    end
end
return reply
