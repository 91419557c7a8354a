-- Tell a group's leader what was done beside it, which also wakes it.
-- The cap only bounds a stream that no leader reads; a leader that missed entries reloads.
local function announce(group, kind, what)
    redis.call('XADD', keys.inbox(group), 'MAXLEN', '~', '20000', '*', 'kind', kind, 'what', what)
end
