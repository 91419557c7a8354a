-- Move a session from one state's index to another's.
-- @include lib/emit
local function enter_state(id, group, from, to, score)
    redis.call('ZREM', keys.state(group, from), id)
    redis.call('ZADD', keys.state(group, to), int(score), id)
end
