-- Take orders: those that still lie on the agent's keys are removed, and the claim of them reported.
--
-- An order that was withdrawn is not there any more, one of another boot is not taken; so of a
-- withdrawal and a claim exactly one happens. The report claims all that were asked for; beside it
-- stands the number of each claim, or "-" for an order that was not there.
--
-- @arg agent str
-- @arg boot str
-- @arg group str
-- @arg orders json
-- @arg report json
-- @reply claimed | superseded
if redis.call('HGET', keys.record(agent), 'boot') ~= boot then return { 'superseded' } end
local found = orders[1] and redis.call('HMGET', keys.orders(agent), unpack(orders)) or {}
local taken, jobs = {}, {}
for index, order in ipairs(orders) do
    if found[index] then
        taken[#taken + 1] = order
        jobs[#jobs + 1] = keys.rq_job(order)
    end
end
local reply = { 'claimed' }
if #taken == 0 then return reply end
redis.call('HDEL', keys.orders(agent), unpack(taken))
redis.call('DEL', unpack(jobs))
local number, numbers = redis.call('INCRBY', keys.claims(agent), #taken) - #taken, {}
for index, order in ipairs(orders) do
    numbers[index] = '-'
    if found[index] then
        number = number + 1
        numbers[index] = tostring(number)
        reply[#reply + 1] = order
        reply[#reply + 1] = found[index]
        reply[#reply + 1] = numbers[index]
    end
end
redis.call('XADD', keys.reports(group), '*', 'body', report.body, 'mac', report.mac,
    'claim', table.concat(numbers, ' '))
return reply
