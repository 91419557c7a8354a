-- Add a subscriber. A repeat with the same fields, as after a lost answer, says `added` again.
--
-- @arg name str
-- @arg kind str
-- @arg opts str
-- @arg events str
-- @arg cursor str
-- @arg throttle str
-- @reply added | exists
local key = keys.subscriber(name)
local known = redis.call('HMGET', key, 'kind', 'opts', 'events', 'cursor', 'throttle')
if known[1] then
    local same = known[1] == kind and known[2] == opts and known[3] == events and known[4] == cursor
        and (known[5] or '') == throttle
    return { same and 'added' or 'exists' }
end
redis.call('HSET', key, 'kind', kind, 'opts', opts, 'events', events, 'cursor', cursor,
    'throttle', throttle)
redis.call('SADD', keys.subscribers(), name)
return { 'added' }
