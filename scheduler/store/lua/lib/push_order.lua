-- Lay an order on the agent's keys and push its id to the agent's RQ queue, with all others of the script.
-- The RQ job is what the installed RQ makes of a job (rq_job, from the caller), with this order's
-- id put in: a stock worker, `rq info` and every RQ dashboard can read it.
--
-- A large text is written at once: the script must not hold a gang's copies of it all together.
-- @include lib/batch_agents
local LARGE = 65536
local job, places

local function push_order(agent, order, text)
    if not places then
        job, places = { unpack(rq_job) }, {}
        for index, value in ipairs(job) do
            if string.find(value, '@', 1, true) then places[#places + 1] = { index, value } end
        end
    end
    local names = { order = order, agent = agent.id }
    for _, place in ipairs(places) do
        job[place[1]] = string.gsub(place[2], '@(%a+)@', names)
    end
    redis.call('HSET', keys.rq_job(order), unpack(job))
    agent.ids[#agent.ids + 1] = order
    if #text > LARGE then
        redis.call('HSET', keys.orders(agent.id), order, text)
    else
        agent.orders[#agent.orders + 1] = order
        agent.orders[#agent.orders + 1] = text
    end
end
