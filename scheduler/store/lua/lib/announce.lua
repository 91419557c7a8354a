-- Tell a group's leader what was done beside it, which also wakes it. Returns the id of the entry.
-- The cap only bounds a stream that no leader reads; a leader that missed entries reloads.
local function announce(group, kind, what)
    return redis.call('XADD', keys.inbox(group), 'MAXLEN', '~', '20000', '*', 'kind', kind, 'what', what)
end
