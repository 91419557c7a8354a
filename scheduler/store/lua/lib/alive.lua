-- Whether a kernel of the session's placement may still be alive, whatever the caller believes.
local function alive(id)
    for kernel = 0, 1000 do
        local state = redis.call('HGET', keys.session(id), 'kernel:' .. kernel .. ':state')
        if not state then return false end
        if KERNEL_LIFE.lose[state] then return true end
    end
    return false
end
