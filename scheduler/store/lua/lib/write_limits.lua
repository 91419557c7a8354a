-- Write a scope's limits, field by field as operators gave them; without any, the scope is not listed.
local function write_limits(scope, limits)
    if next(limits) then
        redis.call('HSET', keys.scope_limits(), scope, cjson.encode(limits))
    else
        redis.call('HDEL', keys.scope_limits(), scope)
    end
end
