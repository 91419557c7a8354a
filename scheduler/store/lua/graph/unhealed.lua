-- Look at PENDING sessions from a place in their group's list on: which were not told what they should have been.
--
-- As many sessions, and edges of them, as fit, none where already the first has more edges than that; of what is
-- wrong as many parents as most says. The reply goes on with how many sessions are done with; how many there
-- are from that place on, at most so many; and, for move/heal, of each that is wrong: id, unmet as stored,
-- how many are not met (-1: not counted), parents.
--
-- @arg group str
-- @arg start int
-- @arg sessions int
-- @arg edges int
-- @arg most int
-- @reply found
-- @include lib/edge
-- @include lib/int
local states = {}

local function state_of(id)
    if states[id] == nil then states[id] = redis.call('HGET', keys.session(id), 'state') or false end
    return states[id]
end

-- Whether the session should have been told of a parent, or the parent does not know that it waits.
local function untold(id, parent, word)
    local state = state_of(parent)
    if word == 'held' then return state == 'SUCCEEDED' end
    return not state or FINAL[state] ~= nil or redis.call('SISMEMBER', keys.dependents(parent), id) == 0
end

local page = redis.call('ZRANGE', keys.state(group, 'PENDING'), int(start), int(start + sessions - 1))
local reply, looked = { 'found', 0, #page }, 0
for _, id in ipairs(page) do
    edges = edges - redis.call('HLEN', keys.parents(id))
    if edges < 0 or most <= 0 then break end
    local state, unmet, unsealed = unpack(redis.call('HMGET', keys.session(id), 'state', 'unmet', 'unsealed'))
    local found, wrong, count = redis.call('HGETALL', keys.parents(id)), {}, 0
    for at = 1, #found, 2 do
        local word = read_edge(found[at + 1])
        if word ~= 'met' then
            count = count + 1
            if untold(id, found[at], word) and #wrong < most then wrong[#wrong + 1] = found[at] end
        end
    end
    local miscounted = not wrong[1] and unsealed ~= '1' and (unmet or '0') ~= int(count)
    local full = #wrong == most
    if not state or wrong[1] or miscounted then
        most = most - math.max(1, #wrong)
        reply[#reply + 1] = { id, unmet or '', state and miscounted and int(count) or '-1', state and wrong or {} }
    end
    -- There may be more that is wrong with this one, for the next look from here.
    if full then break end
    looked = looked + 1
end
reply[2] = looked
return reply
