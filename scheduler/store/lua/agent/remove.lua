-- Forget an agent that is gone and holds nothing.
--
-- @arg agent str
-- @reply done | in_use | gone
-- @include lib/emit
-- @include lib/announce
local record = redis.call('HGETALL', keys.record(agent))
if #record == 0 then return { 'gone' } end
local fields = {}
for index = 1, #record, 2 do fields[record[index]] = record[index + 1] end
if fields.status == 'ready' or fields.status == 'not-ready' then return { 'in_use' } end
for name, total in pairs(fields) do
    local slot = string.match(name, '^total:(.+)$')
    if slot and fields['free:' .. slot] ~= total then return { 'in_use' } end
end
redis.call('DEL', keys.record(agent), keys.orders(agent), keys.stops(agent), keys.beat(agent), keys.claims(agent),
    keys.rq_queue(agent))
redis.call('SREM', keys.group_agents(fields.group), agent)
redis.call('SREM', keys.rq_queues(), keys.rq_queue(agent))
emit('agent.removed', 'agent', agent, 'group', fields.group)
announce(fields.group, 'agent', agent)
return { 'done' }
