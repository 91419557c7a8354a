-- The lists of an office's jobs in one state: of all of them and, where they have one, of those of a role.
-- job is whose a session is, as its record says: "office" or "office/role"; most are nobody's and have none.
-- A job stands there by the order of its submission, which never changes: who reads on skips nobody.
-- @include lib/int
local function job_lists(job, state)
    local office, role = string.match(job, '^([^/]*)/?(.*)$')
    local all = keys.jobs(office, state)
    if role == '' then return { all } end
    return { all, keys.jobs_of_role(office, role, state) }
end

local function relist_job(job, id, seq, from, to)
    for _, list in ipairs(from and job_lists(job, from) or {}) do redis.call('ZREM', list, id) end
    for _, list in ipairs(to and job_lists(job, to) or {}) do
        redis.call('ZADD', list, int(tonumber(seq or '0') or 0), id)
    end
end

-- Whether a job was given another role since the leader read it, which charges another scope.
local function handed_over(key, charge)
    local role = redis.call('HGET', key, 'handed')
    for _, scope in ipairs(role and charge.scopes or {}) do
        if scope[1] == 'role' and scope[2] == role then return false end
    end
    return role
end
