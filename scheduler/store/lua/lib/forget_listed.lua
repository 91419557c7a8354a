-- Forget a session that ended, unless others wait for it or are held by it; its id goes to the reply.
-- @include lib/forget_session
-- @include lib/needed
local function forget_listed(id, group, state, reply)
    if needed(id) then return end
    forget_session(id, group, state)
    redis.call('ZREM', keys.state(group, state), id)
    reply[#reply + 1] = id
end
