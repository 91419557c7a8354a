-- Give a kernel's slots back to its agent, and forget its order. Called once, by the move that ends it.
local function return_slots(id, kernel, placement)
    local prefix = 'kernel:' .. kernel .. ':'
    local agent, slots = unpack(redis.call('HMGET', keys.session(id), prefix .. 'agent', prefix .. 'slots'))
    local order = id .. '-' .. kernel .. '-' .. placement
    redis.call('HDEL', keys.orders(agent), order)
    redis.call('HDEL', keys.stops(agent), order)
    redis.call('DEL', keys.rq_job(order))
    -- A removed agent has no record any more; do not make a half one. A spoilt number stays as it
    -- is: adding to it is an error. What a spoilt text says cannot be given back; the agent's next
    -- boot has all of its slots.
    if agent and redis.call('EXISTS', keys.record(agent)) == 1 then
        local well, held = pcall(cjson.decode, slots)
        for slot, amount in pairs(well and type(held) == 'table' and held or {}) do
            redis.pcall('HINCRBY', keys.record(agent), 'free:' .. slot, amount)
        end
    end
end
