-- Cancel up to limit jobs of a graph, the last ones first: no job is to become READY by what is cancelled.
--
-- before: how many jobs, from the first, are still to be cancelled; the reply says it for the next call,
-- and how many of these were cancelled, or are stopped by the leader now.
--
-- @arg graph str
-- @arg reason str
-- @arg before int
-- @arg limit int
-- @reply cancelled | gone
-- @include lib/although_full
-- @include lib/cancel_session
local state = redis.call('HGET', keys.graph(graph), 'state')
if state ~= 'sealed' and state ~= 'open' then return { 'gone' } end
local first, cancelled = math.max(0, before - limit), 0
local jobs = before > 0 and redis.call('LRANGE', keys.graph_jobs(graph), first, before - 1) or {}
for at = #jobs, 1, -1 do
    local word = cancel_session(string.match(jobs[at], '^%S+'), reason)
    if word == 'cancelled' or word == 'accepted' then cancelled = cancelled + 1 end
end
return { 'cancelled', tostring(first), tostring(cancelled) }
