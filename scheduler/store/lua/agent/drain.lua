-- Stop (1) or resume (0) giving an agent new kernels; what runs there goes on.
--
-- @arg agent str
-- @arg drained str
-- @reply done | already | gone
-- @include lib/although_full
-- @include lib/emit
-- @include lib/announce
local group, before = unpack(redis.call('HMGET', keys.record(agent), 'group', 'drained'))
if not group then return { 'gone' } end
if (before or '0') == drained then return { 'already' } end
redis.call('HSET', keys.record(agent), 'drained', drained)
emit(drained == '1' and 'agent.drained' or 'agent.undrained', 'agent', agent, 'group', group)
announce(group, 'agent', agent)
return { 'done' }
