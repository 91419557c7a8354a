-- Whether nothing happened to any session since the event of a mark; see last_event in store/counting.
local function undisturbed(mark)
    local counts = redis.call('HMGET', keys.counters(), 'epoch', 'seq', 'submitted', 'discarded')
    for index = 1, 4 do counts[index] = counts[index] or '' end
    return table.concat(counts, '-') == mark
end
