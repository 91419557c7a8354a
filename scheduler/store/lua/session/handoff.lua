-- Give a job that is not placed another role of its office: another request, with another scope.
--
-- from and to are the request it has and the one it gets; with: {text, scopes [[kind, name]],
-- slots {family: amount}, job ("office/role")} of the latter. What waits counts in the scopes of the new
-- one from then on, of which none may be full. A leader that places it by the old one meanwhile is told
-- that it was handed over, see move/place. seen: see lib/as_seen.
--
-- @arg session str
-- @arg from str
-- @arg to str
-- @arg with json
-- @arg seen str
-- @reply handed | already | changed | wrong_state | over_pending | unknown_office | unknown_role | gone
-- @reply conflict
-- @include lib/although_full
-- @include lib/as_seen
-- @include lib/announce
-- @include lib/emit
-- @include lib/charge
-- @include lib/may_wait
-- @include lib/job_lists
-- @include lib/office_known
local key = keys.session(session)
local state, group, request, job, seq = unpack(redis.call('HMGET', key, 'state', 'group', 'request', 'job', 'seq'))
if not state then return { 'gone' } end
if not as_seen(session, seen) then return { 'conflict' } end
if request == to then return { 'already' } end
if not (WAITING[state] or SESSION_LIFE.retry[state]) then return { 'wrong_state', state } end
if request ~= from then return { 'changed' } end
local stranger = unknown_office(with.scopes)
if stranger then return stranger end
if WAITING[state] then
    local before = charge_of_request(from)
    wait(before, -1)
    local over = forbidden_to_wait(with, to)
    if over then
        forget_counts()
        return over
    end
    wait(with, 1)
end
redis.call('HSET', key, 'request', to, 'job', with.job, 'handed', with.job)
note_change(session, seen)
redis.call('HSETNX', keys.request(to), 'text', with.text)
redis.call('HINCRBY', keys.request(to), 'uses', 1)
if redis.call('HINCRBY', keys.request(from), 'uses', -1) <= 0 then
    redis.call('DEL', keys.request(from))
    redis.call('HDEL', keys.verdicts(group), from)
end
-- A job of a graph that is still being loaded is on no list yet.
if redis.call('ZSCORE', job_lists(job, state)[1], session) then
    relist_job(job, session, seq, state, nil)
    relist_job(with.job, session, seq, nil, state)
end
if state == 'READY' then announce(group, 'anew', session) end
emit('session.handed_over', 'session', session, 'group', group, 'job', with.job, 'before', job)
return { 'handed' }
