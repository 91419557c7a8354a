-- Whether a session is still as whoever asks for a change has looked at it. seen is what session/look said
-- and a name for the change, "DIGEST NAME"; "" is of a change that is made whatever was seen.
-- A repeat, as after a lost answer, finds the name on the record.
-- @include lib/digest_of
local function as_seen(id, seen)
    local digest, change = string.match(seen, '^(%S+) (%S+)$')
    return not digest or redis.call('HGET', keys.session(id), 'changed_by') == change or digest_of(id) == digest
end

local function note_change(id, seen)
    local change = string.match(seen, ' (%S+)$')
    if change then redis.call('HSET', keys.session(id), 'changed_by', change) end
end
