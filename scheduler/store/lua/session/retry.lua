-- Run an ended session again: its dependencies and its start time hold again.
--
-- with_dependents = 1 takes along, 200 at a time, the sessions that were cancelled because this one
-- failed; the second item of the reply says how many are left for a repeat. The others are "id cursor below":
-- from a cursor that is not 0 `session/relink` must go on, as it depends on more than fit here; below is how
-- many were cancelled with that one, which are taken along by this script, called for it with the same token.
-- A repeat with the same token goes on where the last one ended, and asks for no second run. over_pending: a
-- scope lets no more wait; a dependent that it keeps out stays one that was cancelled with this session.
-- seen: see lib/as_seen; it is of the first step.
--
-- @arg session str
-- @arg token str
-- @arg with_dependents int
-- @arg seen str
-- @reply retried | wrong_state | gone | over_pending | unknown_office | conflict
-- @include lib/as_seen
-- @include lib/move
-- @include lib/may_wait
-- @include lib/relink_parents
-- @include lib/release_if_due
-- @include lib/office_known
-- Dependencies that this script may still look at.
local left = 200

local function again(id)
    local key = keys.session(id)
    local state, group, unsealed, request =
        unpack(redis.call('HMGET', key, 'state', 'group', 'unsealed', 'request'))
    if not state then return nil, 'gone' end
    if not SESSION_LIFE.retry[state] then return nil, state end
    local charge = charge_of_request(request)
    local over = unknown_office(charge.scopes) or forbidden_to_wait(charge, request)
    -- A role that the office gave up since keeps no old job of it from running again.
    if over and over[1] ~= 'unknown_role' then return nil, over end
    redis.call('HDEL', key, 'cancel_requested', 'cancelled_at', 'ended_at', 'rescues', 'error')
    redis.call('DEL', keys.result(id))
    -- What was never sealed waits for its seal again: some dependencies are not known here yet.
    local cursor, edges, unmet = relink_parents(id, '0')
    -- Of more than a page nobody can tell here; their number is kept in step whatever state it is in.
    if cursor == '0' then redis.call('HSET', key, 'unmet', unmet + (unsealed == '1' and 1 or 0)) end
    redis.call('HSET', key, 'retries_from', redis.call('HGET', key, 'attempt') or '0', 'waits_from', int(now))
    left = left - edges
    move(id, 'retry', 'PENDING', 'asked to run again')
    redis.call('ZREM', keys.resolve(group), id)
    set_pending_timer(id, group)
    release_if_due(id, 'release')
    redis.call('HSET', key, 'retry_token', token)
    return id .. ' ' .. cursor .. ' ' .. redis.call('SCARD', keys.cascaded(id))
end

local own, why = session .. ' 0 0', nil
if redis.call('HGET', keys.session(session), 'retry_token') ~= token then
    if not as_seen(session, seen) then return { 'conflict' } end
    own, why = again(session)
    if not own then
        if why == 'gone' then return { 'gone' } end
        return type(why) == 'table' and why or { 'wrong_state', why }
    end
end
local reply = { 'retried', '0', own }
if with_dependents == 1 then
    local over = {}
    for _ = 1, 200 do
        local child = left > 0 and redis.call('SPOP', keys.cascaded(session))
        if not child then break end
        local done, refused = again(child)
        reply[#reply + 1] = done
        if type(refused) == 'table' then over[#over + 1], why = child, refused end
    end
    if over[1] then
        redis.call('SADD', keys.cascaded(session), unpack(over))
        return why
    end
    reply[2] = tostring(redis.call('SCARD', keys.cascaded(session)))
end
return reply
