-- The agents of a batch of placements, by their number in it. A record is read with the first kernel for
-- its agent; what became of it is written once, with the orders: many kernels go to few agents.
-- @flush flush_agents
-- @include lib/int
-- @include lib/write
local known = {}

-- away: it is another boot, silent, drained or gone. A slot that is missing or spoilt has no room.
local function agent_of(number)
    local agent = known[number]
    if agent then return agent end
    local named = batch.agents[number]
    local fields = { 'boot', 'status', 'drained' }
    for at = 3, #named do fields[at + 1] = 'free:' .. named[at] end
    local found = redis.call('HMGET', keys.record(named[1]), unpack(fields))
    agent = { id = named[1], boot = named[2], free = {}, changed = {}, orders = {}, ids = {} }
    agent.away = found[1] ~= agent.boot or found[2] ~= 'ready' or found[3] == '1'
    for at = 3, #named do agent.free[named[at]] = tonumber(found[at + 1] or '-1') or -1 end
    known[number] = agent
    return agent
end

local function flush_agents()
    for _, agent in pairs(known) do
        local left = {}
        for slot in pairs(agent.changed) do
            left[#left + 1] = 'free:' .. slot
            left[#left + 1] = int(agent.free[slot])
        end
        if #left > 0 then write('HSET', keys.record(agent.id), unpack(left)) end
        if #agent.orders > 0 then write('HSET', keys.orders(agent.id), unpack(agent.orders)) end
        if #agent.ids > 0 then write('RPUSH', keys.rq_queue(agent.id), unpack(agent.ids)) end
    end
    told()
end
