-- Write one new session. Returns whether it is READY; else it is PENDING, for its dependencies,
-- its start time, or the rest of its dependencies.
-- @include lib/emit
-- @include lib/announce
-- @include lib/add_parents
-- @include lib/set_pending_timer
local function write_session(asked)
    local id, group = asked.id, asked.group
    local seq = redis.call('HINCRBY', keys.counters(), 'submitted', 1)
    local fields = { 'group', group, 'priority', asked.priority, 'seq', int(seq), 'request', asked.request,
        'digest', asked.digest, 'work', asked.work, 'submitted_at', int(now) }
    local function put(name, value)
        fields[#fields + 1] = name
        fields[#fields + 1] = value
    end
    if asked.name ~= '' then put('name', asked.name) end
    if asked.key ~= '' then put('idempotency_key', asked.key) end
    if asked.not_before > 0 then put('not_before', int(asked.not_before)) end
    -- One more than there are parents stands for "further parents follow": the seal takes it away.
    local unmet = add_parents(id, asked.parents) + asked.more
    if asked.more > 0 then put('unsealed', 1) end
    if unmet > 0 then put('unmet', unmet) end
    local waits = unmet > 0 or asked.not_before > now
    put('state', waits and 'PENDING' or 'READY')
    redis.call('HSET', keys.session(id), unpack(fields))
    redis.call('SET', keys.payload(id), asked.payload)
    local score = waits and now or (100 - asked.priority) * 2 ^ 43 + seq
    redis.call('ZADD', keys.state(group, waits and 'PENDING' or 'READY'), int(score), id)
    emit(waits and 'session.pending' or 'session.ready', 'session', id, 'group', group, 'from', '',
        'verb', 'submit', 'attempt', '0', 'placement', '', 'agents', '', 'reason', '')
    set_pending_timer(id, group)
    if waits and unmet == 0 then
        redis.call('ZADD', keys.timers(group), int(asked.not_before), id)
    end
    return not waits
end
