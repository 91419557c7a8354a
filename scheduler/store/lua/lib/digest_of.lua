-- A short text that is another wherever anything is that a session's record says, or its office's
-- configuration, of which its jobs inherit: two of the same text are shown alike.
local function digest_of(id)
    local found, texts = redis.call('HGETALL', keys.session(id)), {}
    local office
    for at = 1, #found, 2 do
        texts[#texts + 1] = found[at] .. ' ' .. #found[at + 1] .. ' ' .. found[at + 1]
        if found[at] == 'job' then office = string.match(found[at + 1], '^[^/]*') end
    end
    table.sort(texts)
    texts[#texts + 1] = office and redis.call('HGET', keys.office(office), 'revision') or ''
    return redis.sha1hex(table.concat(texts, '\n')), found
end
