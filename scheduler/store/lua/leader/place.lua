-- Commit a batch of placements, fenced by the leader's term: each of them all or nothing.
--
-- A script of its own beside leader/apply: it carries nothing but placing, and as nothing else is written
-- between two placements, what they have in common is read once and written once, at the end.
--
-- batch holds what placements share, to be named by number: agents [[id, boot, slot, ...]], slots
-- [[JSON text, [slot, amount, ...]]], charges [JSON text of lib/charge]; and places, the ops of
-- move/place with these numbers. keeps are ops of move/keep. inbox: as in leader/apply.
--
-- @arg group str
-- @arg nonce str
-- @arg term str
-- @arg inbox str
-- @arg rq_job json
-- @arg batch json
-- @arg keeps json
-- @reply applied | deposed
-- @include lib/although_full
-- @include lib/fence
-- @include lib/moves
-- @include move/place
-- @include move/keep

if not leads(group, nonce, term) then
    redis.call('HINCRBY', keys.leadership(group), 'late_writes', 1)
    return { 'deposed' }
end
if inbox ~= '' then redis.call('HSET', keys.leadership(group), 'inbox', inbox) end
local payload_keys = {}
for index, op in ipairs(batch.places) do payload_keys[index] = keys.payload(op.session) end
local payloads = redis.call('MGET', unpack(payload_keys))
for _, held in ipairs(batch.charges) do uses_of(charge_of(held)) end -- all are read together
local words = { 'applied' }
for index, op in ipairs(batch.places) do
    words[index + 1] = moves.place(op, payloads[index] or '')
end
for _, op in ipairs(keeps) do moves.keep(op) end
return words
