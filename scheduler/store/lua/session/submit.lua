-- Write a batch of new sessions: all of them, or none and which one is wrong.
--
-- Ids are minted by the app, so a repeat after a lost answer finds its own sessions and says the
-- same. A session with an idempotency key that is known answers the session that has it.
--
-- requests: {id: {text, need {slot: amount}, scopes [[kind, name]], slots {family: amount},
-- job (whose jobs they are: "office" or "office/role"; left out where nobody's)}}; sessions:
-- [{id, group, priority, request, payload, row [field, value, ...], and only where they were given:
-- not_before, key, spec, parents [id or "id policy"], within (the office whose jobs they must be),
-- more (1: further parents follow)}], at most 200.
--
-- What many sessions share is written once per batch: a call costs three times what Redis does in it.
--
-- @arg requests json
-- @arg sessions json
-- @reply submitted | unknown_group | conflict | no_parent | unsatisfiable | full | over_pending
-- @reply unknown_office | unknown_role
-- @include lib/write_session
-- @include lib/may_wait
-- @include lib/reachable
-- @include lib/office_known

local own = {}
for index, asked in ipairs(sessions) do own[index] = keys.session(asked.id) end
local repeated = own[1] and redis.call('EXISTS', unpack(own)) > 0
local groups, fitting, claimed, answers, fresh = {}, {}, {}, { 'submitted' }, {}
for index, asked in ipairs(sessions) do
    local options = groups[asked.group]
    if not options then
        if redis.call('SISMEMBER', keys.groups(), asked.group) == 0 then return { 'unknown_group', asked.group } end
        options = { ready = {} }
        options.grows, options.reachable, options.full, options.pending_timeout = unpack(redis.call('HMGET',
            keys.group(asked.group), 'grows', 'reachable', 'full', 'pending_timeout_ms'))
        groups[asked.group] = options
    end
    local known = asked.key and (claimed[asked.key] or redis.call('GET', keys.idempotency(asked.key)))
    if known then
        local session, spec = string.match(known, '^(%S+) (%S+)$')
        if spec ~= asked.spec then return { 'conflict', asked.key, session } end
        answers[index + 1] = session
    elseif repeated and redis.call('EXISTS', own[index]) == 1 then
        answers[index + 1] = asked.id
    else
        if options.full and options.full ~= '' then return { 'full', options.full } end
        local kind = asked.group .. ' ' .. asked.request
        if fitting[kind] == nil then
            local stranger = unknown_office(requests[asked.request].scopes)
            if stranger then return stranger end
            fitting[kind] = reachable(options, requests[asked.request].need)
        end
        if not fitting[kind] then return { 'unsatisfiable', asked.request, asked.group } end
        local unknown = missing_parent(asked.parents, asked.within)
        if unknown then return { 'no_parent', unknown } end
        if asked.key then claimed[asked.key] = asked.id .. ' ' .. asked.spec end
        answers[index + 1], fresh[#fresh + 1] = asked.id, asked
    end
end
if not fresh[1] then return answers end
local over = let_wait(fresh, requests)
if over then return over end
local seq = redis.call('HINCRBY', keys.counters(), 'submitted', #fresh) - #fresh
local uses = {}
for index, asked in ipairs(fresh) do
    uses[asked.request] = (uses[asked.request] or 0) + 1
    local options = groups[asked.group]
    if write_session(asked, seq + index, options.pending_timeout, requests[asked.request].job) then
        options.ready[#options.ready + 1] = asked.id
    end
end
flush_sessions()
for key, session in pairs(claimed) do redis.call('SET', keys.idempotency(key), session) end
count_uses(uses, requests)
for group, options in pairs(groups) do
    if options.ready[1] then announce(group, 'ready', table.concat(options.ready, ' ')) end
end
return answers
