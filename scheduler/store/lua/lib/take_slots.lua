-- Take the slots of kernels from their agents' records: all of them, or none and why not.
-- "away": another boot, silent, drained or gone; "full": not so much is free.
-- @include lib/int
local function take_slots(kernels)
    local wanted = {}
    for _, kernel in ipairs(kernels) do
        local agent = wanted[kernel.agent]
        if not agent then
            agent = { boot = kernel.boot, names = {}, sums = {} }
            wanted[kernel.agent] = agent
        end
        for slot, amount in pairs(kernel.slots) do
            if not agent.sums[slot] then agent.names[#agent.names + 1] = slot end
            agent.sums[slot] = (agent.sums[slot] or 0) + amount
        end
    end
    for id, agent in pairs(wanted) do
        local fields = { 'boot', 'status', 'drained' }
        for _, slot in ipairs(agent.names) do fields[#fields + 1] = 'free:' .. slot end
        local found = redis.call('HMGET', keys.record(id), unpack(fields))
        if found[1] ~= agent.boot or found[2] ~= 'ready' or found[3] == '1' then return 'away' end
        agent.left = {}
        for index, slot in ipairs(agent.names) do
            local left = (tonumber(found[index + 3] or '-1') or -1) - agent.sums[slot]
            if left < 0 then return 'full' end
            agent.left[#agent.left + 1] = 'free:' .. slot
            agent.left[#agent.left + 1] = int(left)
        end
    end
    for id, agent in pairs(wanted) do
        redis.call('HSET', keys.record(id), unpack(agent.left))
    end
end
