-- Lay an order on the agent's keys and push its id to the agent's RQ queue.
-- The RQ job is what the installed RQ makes of a job (rq_job, from the caller), with this order's
-- id put in: a stock worker, `rq info` and every RQ dashboard can read it.
local places

local function push_order(agent, order, text)
    if not places then
        places = {}
        for index, value in ipairs(rq_job) do
            if string.find(value, '@', 1, true) then places[#places + 1] = index end
        end
    end
    local fields = { unpack(rq_job) }
    for _, index in ipairs(places) do
        fields[index] = string.gsub(string.gsub(fields[index], '@order@', order), '@agent@', agent)
    end
    redis.call('HSET', keys.orders(agent), order, text)
    redis.call('HSET', keys.rq_job(order), unpack(fields))
    redis.call('RPUSH', keys.rq_queue(agent), order)
end
