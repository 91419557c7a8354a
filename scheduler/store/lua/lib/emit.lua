-- Append one event. Its id is (epoch, seq); seq has no gaps within an epoch.
--
-- The numbering is read with the first event of a script and written back once, by flush_events,
-- which the loader calls however the script ends: an event costs one call, not three.
-- @flush flush_events
-- @include lib/clock_ms
-- @include lib/int
local numbering = false

local function emit(name, ...)
    if not numbering then
        local epoch, seq, cap = unpack(redis.call('HMGET', keys.counters(), 'epoch', 'seq', 'events_cap'))
        numbering = { at = int(now), epoch = epoch or int(now), seq = tonumber(seq or '0'), cap = cap or '100000' }
    end
    numbering.seq = numbering.seq + 1
    redis.call('XADD', keys.events(), 'MAXLEN', '~', numbering.cap, numbering.epoch .. '-' .. int(numbering.seq),
        'event', name, 'at', numbering.at, ...)
end

local function flush_events()
    if numbering then
        redis.call('HSET', keys.counters(), 'epoch', numbering.epoch, 'seq', int(numbering.seq))
    end
end
