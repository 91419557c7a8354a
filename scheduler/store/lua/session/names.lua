-- Read the names of sessions, at most 500: "" of one that has none, of one that is none, too.
--
-- One call for all: a pipeline costs the caller ten times as much.
--
-- @arg sessions json
-- @reply found
local names = { 'found' }
for index, session in ipairs(sessions) do
    local name = redis.pcall('HGET', keys.session(session), 'name')
    names[index + 1] = type(name) == 'string' and name or ''
end
return names
