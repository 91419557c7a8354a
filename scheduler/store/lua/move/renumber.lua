-- Begin a new epoch of events, once on each Redis: what was lost with the last one was numbered, too.
--
-- A reader that is ahead of "after" has read events which are not on record any more.
--
-- @op group, server
-- @item done | already
-- @include lib/emit
function moves.renumber(op)
    if redis.call('HGET', keys.counters(), 'server') == op.server then return 'already' end
    flush_events()
    local epoch, seq, cap = unpack(redis.call('HMGET', keys.counters(), 'epoch', 'seq', 'events_cap'))
    redis.call('HSET', keys.counters(), 'server', op.server)
    numbering = { at = int(now), epoch = int(math.max(now, tonumber(epoch or '0') + 1)), seq = 0,
        cap = cap or '100000' }
    emit('epoch.began', 'group', op.group, 'after', (epoch or '0') .. '-' .. (seq or '0'))
    return 'done'
end
