-- Write the record of one new session, for the indexes of flush_sessions, which writes what many have in
-- common. What its row must say further is put by the caller.
-- @include lib/clock_ms
-- @include lib/int
local indexed, payloads, submitted_at = {}, {}, int(now)

local function put_into(key, score, id)
    local entries = indexed[key]
    if not entries then
        entries = {}
        indexed[key] = entries
    end
    entries[#entries + 1] = int(score)
    entries[#entries + 1] = id
end

-- job: whose it is, or nil.
local function store_session(asked, seq, state, unmet, unsealed, job)
    local fields = asked.row
    local function put(name, value)
        fields[#fields + 1] = name
        fields[#fields + 1] = value
    end
    if unsealed then put('unsealed', 1) end
    if job then put('job', job) end
    if unmet > 0 then put('unmet', unmet) end
    put('seq', int(seq))
    put('submitted_at', submitted_at)
    put('state', state)
    redis.call('HSET', keys.session(asked.id), unpack(fields))
    payloads[#payloads + 1] = keys.payload(asked.id)
    payloads[#payloads + 1] = asked.payload
end

local function flush_sessions()
    if payloads[1] then redis.call('MSET', unpack(payloads)) end
    for key, entries in pairs(indexed) do redis.call('ZADD', key, unpack(entries)) end
    indexed, payloads = {}, {}
end

-- What is asked for is stored once, with how many sessions ask for it.
local function count_uses(uses, requests)
    for request, count in pairs(uses) do
        -- Always, not for the first only: a text that was lost is there again with the next such submit.
        redis.call('HSETNX', keys.request(request), 'text', requests[request].text)
        redis.call('HINCRBY', keys.request(request), 'uses', count)
    end
end
