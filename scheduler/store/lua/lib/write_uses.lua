-- Write what scopes count, worked out anew, whole: [{kind, name, fields [field, value, ...]}].
local function write_uses(scopes)
    for _, scope in ipairs(scopes) do
        local key = keys.scope_use(scope.kind, scope.name)
        redis.call('DEL', key)
        if scope.fields[1] then redis.call('HSET', key, unpack(scope.fields)) end
    end
end
