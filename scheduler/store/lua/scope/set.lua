-- Set a scope's limit; "" is unlimited. A limit below what runs stops new ones and kills nothing.
--
-- @arg kind str
-- @arg name str
-- @arg max_sessions str
-- @reply set
-- @include lib/emit
-- @include lib/announce
if redis.call('HGET', keys.scope_limits(kind, name), 'max_sessions') == max_sessions then return { 'set' } end
redis.call('SADD', keys.scopes(), kind .. ' ' .. name)
redis.call('HSET', keys.scope_limits(kind, name), 'max_sessions', max_sessions)
emit('scope.changed', 'scope', kind .. ' ' .. name, 'max_sessions', max_sessions)
for _, group in ipairs(redis.call('SMEMBERS', keys.groups())) do
    announce(group, 'scope', kind .. ' ' .. name)
end
return { 'set' }
