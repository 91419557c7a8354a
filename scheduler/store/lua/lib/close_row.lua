-- Close a placement's row in the history. Returns its text; nil where the row is not the placement's
-- own, as that of one that was lost before any claim, or was closed before.
-- @include lib/clock_ms
local function close_row(history, placement, outcome, told, reason)
    if history.placement ~= placement or history.ended_at then return nil end
    history.ended_at, history.outcome, history.error = now, outcome, told
    history.reason = not FINAL[outcome] and reason or nil
    return cjson.encode(history)
end

-- Whether a session's attempt can be counted, and with wanted, the row of it in the history.
local function read_row(key, attempt, wanted)
    if not tonumber(attempt or '0') then return false end
    if not wanted then return true end
    local well, row = pcall(cjson.decode, redis.call('HGET', key, 'history:' .. attempt) or '{}')
    return well and type(row) == 'table', row
end
