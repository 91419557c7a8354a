-- List jobs where they belong, by what their records say now; at most 100.
--
-- jobs: [{session, job ("office" or "office/role"), stray (1: it is no such job any more, or none)}].
-- guarded = 1 while the data has an older layout, whose leaders keep no lists: nothing is written while
-- one leads, or once the data has another layout. All is worked out anew, so a repeat changes nothing.
--
-- @arg version int
-- @arg guarded int
-- @arg jobs json
-- @reply listed | known | led
-- @include lib/job_lists
if guarded == 1 then
    if tonumber(redis.call('HGET', keys.schema(), 'version') or '0') ~= version then return { 'known' } end
    for _, group in ipairs(redis.call('SMEMBERS', keys.groups())) do
        if redis.call('EXISTS', keys.lock(group)) == 1 then return { 'led', group } end
    end
end
for _, each in ipairs(jobs) do
    local key = keys.session(each.session)
    local state, job, seq = unpack(redis.call('HMGET', key, 'state', 'job', 'seq'))
    for other in pairs(SESSION_STATES) do
        if other ~= state or job ~= each.job then relist_job(each.job, each.session, nil, other) end
    end
    if state and each.stray == 0 then
        redis.call('HSET', key, 'job', each.job)
        relist_job(each.job, each.session, seq, nil, state)
    end
end
return { 'listed' }
