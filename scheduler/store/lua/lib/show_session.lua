-- Make a new session seen: its index, the lists of whose job it is, its event, and the timer of one that
-- waits. seq is its number.
-- @include lib/emit
-- @include lib/job_lists
-- @include lib/store_session
local function show_session(id, group, state, score, timer, job, seq)
    put_into(keys.state(group, state), score, id)
    emit(state == 'READY' and 'session.ready' or 'session.pending', 'session', id, 'group', group, 'from', '',
        'verb', 'submit', 'attempt', '0', 'placement', '', 'agents', '', 'reason', '')
    for _, list in ipairs(job and job_lists(job, state) or {}) do put_into(list, seq, id) end
    if timer then put_into(keys.timers(group), timer, id) end
end

-- When the leader must look at it: at its start time, where it waits for nothing else, else when it has
-- waited for as long as its group allows.
local function timer_of(unmet, not_before, pending_timeout)
    if unmet == 0 and not_before > now then return not_before end
    return pending_timeout and pending_timeout ~= '' and now + pending_timeout or nil
end
