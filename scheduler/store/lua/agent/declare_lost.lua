-- An operator says that an agent's machine is certainly dead; the leader rescues its sessions.
--
-- @arg agent str
-- @reply accepted | gone
-- @include lib/although_full
-- @include lib/announce
local group, boot = unpack(redis.call('HMGET', keys.record(agent), 'group', 'boot'))
if not group then return { 'gone' } end
announce(group, 'lost', agent .. ' ' .. (boot or ''))
return { 'accepted' }
