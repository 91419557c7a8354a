-- Let a session go on without the dependencies that hold it; at most 200 of them, which the caller names.
--
-- The second item of the reply says how many held it, those included that were asked to run again since.
--
-- @arg session str
-- @arg parents json
-- @reply released | wrong_state | gone
-- @include lib/edge
-- @include lib/release_if_due
local state = redis.call('HGET', keys.session(session), 'state')
if not state then return { 'gone' } end
if state ~= 'PENDING' then return { 'wrong_state', state } end
local held = 0
for _, parent in ipairs(parents) do
    local word, policy = read_edge(redis.call('HGET', keys.parents(session), parent))
    if word == 'held' then
        redis.call('SREM', keys.held(parent), session)
        redis.call('HSET', keys.parents(session), parent, edge_text('met', policy))
        redis.pcall('HINCRBY', keys.session(session), 'unmet', -1)
        held = held + 1
    end
end
if held > 0 then
    redis.call('HSET', keys.session(session), 'reason', '')
    release_if_due(session, 'release')
end
return { 'released', tostring(held) }
