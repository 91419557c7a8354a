-- Move one kernel along its life, if the placement is still the session's.
-- Returns the state it left; or nil and why not: "gone", "superseded" or the state that forbids it.
local function kernel_move(id, kernel, placement, verb, target, ...)
    local key, prefix = keys.session(id), 'kernel:' .. kernel .. ':'
    local held, state = unpack(redis.call('HMGET', key, 'placement', prefix .. 'state'))
    if not state then return nil, 'gone' end
    if held ~= placement then return nil, 'superseded' end
    local edges = KERNEL_LIFE[verb][state]
    if not edges or not edges[target] then return nil, state end
    redis.call('HSET', key, prefix .. 'state', target, ...)
    return state
end
