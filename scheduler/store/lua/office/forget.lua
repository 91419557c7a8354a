-- Forget some jobs of an office that ended, with all that belongs to them, before the office itself is deleted.
--
-- A job that others still wait for, or are held by, is kept; so is one that runs again by now. The caller
-- deletes the logs, which are the agents'. sessions: at most 200 ids.
--
-- @arg office str
-- @arg sessions json
-- @reply forgotten
-- @include lib/forget_listed
redis.call('SREM', keys.offices(), '')
local reply = { 'forgotten' }
for _, id in ipairs(sessions) do
    local state, group, job = unpack(redis.call('HMGET', keys.session(id), 'state', 'group', 'job'))
    if not state then
        for final in pairs(FINAL) do redis.call('ZREM', keys.jobs(office, final), id) end
    elseif FINAL[state] and job and string.match(job, '^[^/]*') == office then
        forget_listed(id, group, state, reply)
    end
end
return reply
