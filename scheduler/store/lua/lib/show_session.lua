-- Make a new session seen: its index, its event, and the timer of one that waits.
-- @include lib/emit
-- @include lib/store_session
local function show_session(id, group, state, score, timer)
    put_into(keys.state(group, state), score, id)
    emit(state == 'READY' and 'session.ready' or 'session.pending', 'session', id, 'group', group, 'from', '',
        'verb', 'submit', 'attempt', '0', 'placement', '', 'agents', '', 'reason', '')
    if timer then put_into(keys.timers(group), timer, id) end
end

-- When the leader must look at it: at its start time, where it waits for nothing else, else when it has
-- waited for as long as its group allows.
local function timer_of(unmet, not_before, pending_timeout)
    if unmet == 0 and not_before > now then return not_before end
    return pending_timeout and pending_timeout ~= '' and now + pending_timeout or nil
end
