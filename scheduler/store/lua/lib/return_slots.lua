-- Give a kernel's slots back to its agent, and forget its order. Called once, by the move that ends it;
-- so what it held, and for how long, is counted here, too.
-- @include lib/charge
-- @include lib/count_use
local function return_slots(id, kernel, placement)
    local prefix = 'kernel:' .. kernel .. ':'
    local agent, text, group, held, placed_at = unpack(redis.call('HMGET', keys.session(id),
        prefix .. 'agent', prefix .. 'slots', 'group', 'held', 'placed_at'))
    -- What a spoilt text says cannot be given back; the agent's next boot has all of its slots.
    local well, slots = pcall(cjson.decode, text)
    if not well or type(slots) ~= 'table' then slots = {} end
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
