-- A scope's limits as operators gave them, by field; and whether they are spoilt: then there are none, so that
-- they can be set anew.
local function told_limits(scope)
    local well, told = pcall(cjson.decode, redis.call('HGET', keys.scope_limits(), scope) or '{}')
    if well and type(told) == 'table' then return told, false end
    return {}, true
end

-- Write them; without any, the scope is not listed.
local function write_limits(scope, limits)
    if next(limits) then
        redis.call('HSET', keys.scope_limits(), scope, cjson.encode(limits))
    else
        redis.call('HDEL', keys.scope_limits(), scope)
    end
end
