-- Move a session from one state's index to another's. Where it begins or ceases to wait, its scopes
-- count that, too. job and seq are as its record has them.
-- @include lib/emit
-- @include lib/charge
-- @include lib/job_lists
-- @include lib/scope_count
local function enter_state(id, group, from, to, score, job, seq)
    redis.call('ZREM', keys.state(group, from), id)
    redis.call('ZADD', keys.state(group, to), int(score), id)
    if job then relist_job(job, id, seq, from, to) end
    if WAITING[from] ~= WAITING[to] then
        wait(charge_of_request(redis.call('HGET', keys.session(id), 'request')), WAITING[to] and 1 or -1)
    end
end
