-- Whether the office and the role whose job a session is exist; looked up once per script and scopes.
local known_offices = {}

-- The scopes of a charge; the refusal as a script answers it, or nil.
local function unknown_office(scopes)
    local office, role
    for _, scope in ipairs(scopes) do
        if scope[1] == 'office' then office = scope[2] end
        if scope[1] == 'role' then role = scope[2] end
    end
    if not office then return nil end
    local asked = office .. ' ' .. (role or '')
    if known_offices[asked] == nil then
        local name = role and string.sub(role, #office + 2)
        local config, has = unpack(redis.call('HMGET', keys.office(office), 'config', 'role:' .. (name or '')))
        known_offices[asked] = not config and { 'unknown_office', office }
            or name and not has and { 'unknown_role', office, name } or false
    end
    return known_offices[asked] or nil
end
