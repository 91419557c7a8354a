-- Write one new session. Returns whether it is READY; else it is PENDING, for its dependencies,
-- its start time, or the rest of its dependencies. job: whose it is; flush_sessions writes what many have in common.
-- @include lib/show_session
-- @include lib/announce
-- @include lib/add_parents
local function write_session(asked, seq, pending_timeout, job)
    local id, group = asked.id, asked.group
    local more, not_before = asked.more or 0, asked.not_before or 0
    -- One more than there are parents stands for "further parents follow": the seal takes it away.
    local unmet = more + (asked.parents and add_parents(id, asked.parents) or 0)
    local waits = unmet > 0 or not_before > now
    local state = waits and 'PENDING' or 'READY'
    store_session(asked, seq, state, unmet, more > 0, job)
    show_session(id, group, state, waits and now or (100 - asked.priority) * 2 ^ 43 + seq,
        timer_of(unmet, not_before, pending_timeout), job, seq)
    return not waits
end
