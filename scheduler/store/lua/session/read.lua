-- Read some fields of sessions' records; at most 250 sessions. What has no record has no field, and what is
-- no record at all is false.
--
-- One call for all: a pipeline costs the caller three times as much as what it reads.
--
-- @arg sessions json
-- @arg fields json
-- @reply found
local rows = { 'found' }
for index, session in ipairs(sessions) do
    local row = redis.pcall('HMGET', keys.session(session), unpack(fields))
    rows[index + 1] = not row.err and row
end
return rows
