-- Apply a batch of the leader's moves, fenced by its term; with a cursor, the reports that led to them.
--
-- inbox is up to which entry of the inbox the leader has acted; "" leaves it. Moves and cursor
-- change together, so each report is applied exactly once. Every move is a compare-and-set, so a
-- repeat of the batch changes nothing. A move that is refused does not stop the others: its word
-- says why, and the leader looks at that session again. Nor does one that breaks on a record that
-- makes no sense: its word is "spoilt" with the error.
--
-- @arg group str
-- @arg nonce str
-- @arg term str
-- @arg cursor_from str
-- @arg cursor_to str
-- @arg inbox str
-- @arg ops json
-- @reply applied | already | deposed
-- @include lib/fence
-- @include lib/beyond
-- @include lib/moves
-- @include move/claim
-- @include move/up
-- @include move/over
-- @include move/lose
-- @include move/stop
-- @include move/kill
-- @include move/finish
-- @include move/advance
-- @include move/timer
-- @include move/settle
-- @include move/resolve
-- @include move/unroll
-- @include move/heal
-- @include move/admit
-- @include move/answer
-- @include move/mark
-- @include move/note
-- @include move/reach
-- @include move/renumber
-- @include move/keep
-- @include move/compare
-- @include move/count
-- @include move/positions
-- @include move/tell

-- A full Redis refuses scripts whose first write may grow it; one that begins like this drains it.
redis.call('SREM', keys.groups(), '')

if not leads(group, nonce, term) then
    redis.call('HINCRBY', keys.leadership(group), 'late_writes', 1)
    return { 'deposed' }
end
if cursor_to ~= '' then
    local cursor = redis.call('HGET', keys.leadership(group), 'cursor') or '0-0'
    -- A cursor beyond the stream's end is of another stream: this one was deleted or put back.
    local begins = cursor_from == '0-0' and beyond(cursor, keys.reports(group))
    if cursor ~= cursor_from and not begins then return { 'already' } end
end
if inbox ~= '' then redis.call('HSET', keys.leadership(group), 'inbox', inbox) end
local words = { 'applied' }
for index, op in ipairs(ops) do
    local well, word = pcall(moves[op.verb], op)
    words[index + 1] = well and word or 'spoilt ' .. (type(word) == 'table' and word.err or tostring(word))
end
if cursor_to ~= '' then
    redis.call('HSET', keys.leadership(group), 'cursor', cursor_to)
    redis.call('XTRIM', keys.reports(group), 'MINID', '~', cursor_to)
end
return words
