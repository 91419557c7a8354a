-- Give a kernel's slots back to its agent, and forget its order. Called once, by the move that ends it;
-- so what it held, and for how long, is counted here, too.
-- @include lib/charge
-- @include lib/count_use
local slots_of = {} -- by their text, which many kernels of a script have in common

local function read_slots(text)
    if not slots_of[text] then
        -- What a spoilt text says cannot be given back; the agent's next boot has all of its slots.
        local well, slots = pcall(cjson.decode, text)
        slots_of[text] = well and type(slots) == 'table' and slots or {}
    end
    return slots_of[text]
end

-- What the session's record says of it, the caller may have read before.
local function give_slots_back(id, kernel, placement, agent, text, group, held, placed_at)
    local slots = read_slots(text)
    local order, since = id .. '-' .. kernel .. '-' .. placement, tonumber(placed_at or '')
    redis.call('HDEL', keys.orders(agent), order)
    redis.call('HDEL', keys.stops(agent), order)
    redis.call('DEL', keys.rq_job(order))
    if since and group then count_use(group, charge_of(held or '').owner or '', slots, since) end
    -- A removed agent has no record any more; do not make a half one. A spoilt number stays as it
    -- is: adding to it is an error.
    if agent and redis.call('EXISTS', keys.record(agent)) == 1 then
        for slot, amount in pairs(slots) do
            redis.pcall('HINCRBY', keys.record(agent), 'free:' .. slot, amount)
        end
    end
end

local function return_slots(id, kernel, placement)
    local prefix = 'kernel:' .. kernel .. ':'
    give_slots_back(id, kernel, placement, unpack(redis.call('HMGET', keys.session(id),
        prefix .. 'agent', prefix .. 'slots', 'group', 'held', 'placed_at')))
end
