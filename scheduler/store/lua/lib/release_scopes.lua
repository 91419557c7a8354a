-- Give back every scope a session holds; a set of ids, so doing it twice changes nothing.
local function release_scopes(id)
    local held = redis.call('HGET', keys.session(id), 'held')
    if not held then return end
    local well, scopes = pcall(cjson.decode, held)
    for _, scope in ipairs(well and type(scopes) == 'table' and scopes or {}) do
        redis.call('SREM', keys.scope_members(scope[1], scope[2]), id)
    end
    redis.call('HDEL', keys.session(id), 'held')
end
