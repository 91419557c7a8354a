-- Give back every scope a session holds; a set of ids, so doing it twice changes nothing. It holds
-- nothing any more, so since when and for whom it did is forgotten, too.
local function release_scopes(id)
    local held = redis.call('HGET', keys.session(id), 'held')
    if not held then return end
    for _, scope in ipairs(cjson.decode(held)) do
        redis.call('SREM', keys.scope_members(scope[1], scope[2]), id)
    end
    redis.call('HDEL', keys.session(id), 'held', 'owner', 'placed_at')
end
