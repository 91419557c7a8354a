-- Whether a cursor is beyond the end of its stream, whose last entry stays until another one is read.
local function beyond(cursor, stream)
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    local ms, number = string.match(cursor, '^(%d+)-(%d+)$')
    local last_ms, last_number = string.match(last and last[1] or '0-0', '^(%d+)-(%d+)$')
    ms, number, last_ms, last_number = tonumber(ms), tonumber(number), tonumber(last_ms), tonumber(last_number)
    return ms > last_ms or (ms == last_ms and number > last_number)
end
