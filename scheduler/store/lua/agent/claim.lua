-- Take orders: for each that still lies on the agent's keys, remove it and report the claim.
--
-- An order that was withdrawn is not there any more, one of another boot is not taken; so of a
-- withdrawal and a claim exactly one happens.
--
-- @arg agent str
-- @arg boot str
-- @arg group str
-- @arg claims json
-- @reply claimed | superseded
if redis.call('HGET', keys.record(agent), 'boot') ~= boot then return { 'superseded' } end
local reply = { 'claimed' }
for _, claim in ipairs(claims) do
    local order = redis.call('HGET', keys.orders(agent), claim.order)
    if order then
        redis.call('HDEL', keys.orders(agent), claim.order)
        redis.call('DEL', keys.rq_job(claim.order))
        local number = redis.call('INCR', keys.claims(agent))
        redis.call('XADD', keys.reports(group), '*', 'body', claim.body, 'mac', claim.mac, 'claim', number)
        reply[#reply + 1] = claim.order
        reply[#reply + 1] = order
        reply[#reply + 1] = tostring(number)
    end
end
return reply
