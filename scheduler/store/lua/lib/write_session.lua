-- Write one new session. Returns whether it is READY; else it is PENDING, for its dependencies,
-- its start time, or the rest of its dependencies. job: whose it is; flush_sessions writes what many have in common.
-- @include lib/emit
-- @include lib/announce
-- @include lib/add_parents
-- @include lib/job_lists
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

local function write_session(asked, seq, pending_timeout, job)
    local id, group, fields = asked.id, asked.group, asked.row
    local function put(name, value)
        fields[#fields + 1] = name
        fields[#fields + 1] = value
    end
    local more, not_before = asked.more or 0, asked.not_before or 0
    -- One more than there are parents stands for "further parents follow": the seal takes it away.
    local unmet = more + (asked.parents and add_parents(id, asked.parents) or 0)
    if more > 0 then put('unsealed', 1) end
    if unmet > 0 then put('unmet', unmet) end
    local waits = unmet > 0 or not_before > now
    local state = waits and 'PENDING' or 'READY'
    put('seq', int(seq))
    put('submitted_at', submitted_at)
    put('state', state)
    if job then
        put('job', job)
        for _, list in ipairs(job_lists(job, state)) do put_into(list, seq, id) end
    end
    redis.call('HSET', keys.session(id), unpack(fields))
    payloads[#payloads + 1] = keys.payload(id)
    payloads[#payloads + 1] = asked.payload
    put_into(keys.state(group, state), waits and now or (100 - asked.priority) * 2 ^ 43 + seq, id)
    emit(waits and 'session.pending' or 'session.ready', 'session', id, 'group', group, 'from', '',
        'verb', 'submit', 'attempt', '0', 'placement', '', 'agents', '', 'reason', '')
    if waits and unmet == 0 then
        put_into(keys.timers(group), not_before, id)
    elseif pending_timeout and pending_timeout ~= '' then
        put_into(keys.timers(group), now + pending_timeout, id)
    end
    return not waits
end

local function flush_sessions()
    redis.call('MSET', unpack(payloads))
    for key, entries in pairs(indexed) do redis.call('ZADD', key, unpack(entries)) end
end
