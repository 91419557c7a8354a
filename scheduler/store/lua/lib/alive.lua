-- Whether a kernel of the session's placement may still be alive, whatever the caller believes.
local function alive(id)
    local key = keys.session(id)
    for kernel = 0, tonumber(redis.call('HGET', key, 'kernels') or '0') - 1 do
        if KERNEL_LIFE.lose[redis.call('HGET', key, 'kernel:' .. kernel .. ':state')] then return true end
    end
    return false
end
