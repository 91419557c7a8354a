-- Read what a cycle needs of waiting sessions; at most 250, those that are not READY by false.
--
-- One call for all: a pipeline costs the caller three times as much as what it reads.
--
-- @arg sessions json
-- @reply found
local rows = { 'found' }
for index, session in ipairs(sessions) do
    local row = redis.call('HMGET', keys.session(session), 'state', 'request', 'priority', 'seq', 'attempt',
        'digest', 'name', 'retries_from', 'rescues', 'submitted_at', 'ready_at', 'own_timeout_ms')
    rows[index + 1] = row[1] == 'READY' and row
end
return rows
