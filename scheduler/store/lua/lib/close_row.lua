-- Close a placement's row in the history. Returns its text; nil where the row is not the placement's
-- own, as that of one that was lost before any claim, or was closed before.
-- @include lib/clock_ms
local function close_row(history, placement, outcome, told)
    if history.placement ~= placement or history.ended_at then return nil end
    history.ended_at, history.outcome, history.error = now, outcome, told
    return cjson.encode(history)
end
