-- Give a kernel's slots back to its agent, and forget its order. Called once, by the move that ends it;
-- so what it held, and for how long, is counted here, too.
-- @include lib/count_use
local function return_slots(id, kernel, placement)
    local prefix = 'kernel:' .. kernel .. ':'
    local agent, text, group, owner, placed_at = unpack(redis.call('HMGET', keys.session(id),
        prefix .. 'agent', prefix .. 'slots', 'group', 'owner', 'placed_at'))
    local slots, since = cjson.decode(text), tonumber(placed_at or '')
    local order = id .. '-' .. kernel .. '-' .. placement
    redis.call('HDEL', keys.orders(agent), order)
    redis.call('HDEL', keys.stops(agent), order)
    redis.call('DEL', keys.rq_job(order))
    if since then count_use(group, owner or '', slots, since) end
    -- A removed agent has no record any more; do not make a half one. A spoilt number stays as it
    -- is: adding to it is an error, which would stop the leader here for ever.
    if redis.call('EXISTS', keys.record(agent)) == 1 then
        for slot, amount in pairs(slots) do
            redis.pcall('HINCRBY', keys.record(agent), 'free:' .. slot, amount)
        end
    end
end
