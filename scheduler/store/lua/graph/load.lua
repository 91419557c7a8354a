-- Load further sessions of a graph, unseen, with edges between its jobs: at most 200 and 1,000 of them.
--
-- start is how many were loaded before; a repeat finds its own and writes none twice. sessions and requests
-- are as of session/submit, beside which a session has its name, how many jobs of the graph it needs
-- (none: it waits for the seal), and parents outside of the graph, which count once it is seen. edges:
-- {session: {parent: edge}}. They count as waiting in their scopes from now on.
--
-- @arg graph str
-- @arg start int
-- @arg requests json
-- @arg sessions json
-- @arg edges json
-- @arg patience int
-- @reply loaded | gone | sealed | unsatisfiable | no_parent | full | over_pending
-- @reply unknown_office | unknown_role
-- @include lib/add_parents
-- @include lib/may_wait
-- @include lib/office_known
-- @include lib/reachable
-- @include lib/store_session
local key = keys.graph(graph)
local stands, group, loaded = unpack(redis.call('HMGET', key, 'state', 'group', 'loaded'))
if not stands or stands == 'discarding' then return { 'gone' } end
if stands ~= 'loading' then return { 'sealed' } end
local fresh = tonumber(loaded) == start and sessions or {}
local options, fitting = {}, {}
options.grows, options.reachable, options.full =
    unpack(redis.call('HMGET', keys.group(group), 'grows', 'reachable', 'full'))
if options.full and options.full ~= '' then return { 'full', options.full } end
for _, asked in ipairs(fresh) do
    local request = asked.request
    if fitting[request] == nil then
        local stranger = unknown_office(requests[request].scopes)
        if stranger then return stranger end
        fitting[request] = reachable(options, requests[request].need)
    end
    if not fitting[request] then return { 'unsatisfiable', request, group } end
    local unknown = missing_parent(asked.parents)
    if unknown then return { 'no_parent', unknown } end
end
local over = let_wait(fresh, requests)
if over then return over end
redis.call('ZADD', keys.graphs_loading(group), int(now + patience), graph)
local seq = redis.call('HINCRBY', keys.counters(), 'submitted', #fresh) - #fresh
local uses, jobs, roots, children = {}, {}, {}, {}
for index, asked in ipairs(fresh) do
    uses[asked.request] = (uses[asked.request] or 0) + 1
    local root = asked.needs == 0
    -- One more than a root has parents stands for the seal, which every other job waits for through its parents.
    store_session(asked, seq + index, 'PENDING', root and 1 or asked.needs, root, requests[asked.request].job)
    put_into(keys.unseen(group), seq + index, asked.id)
    jobs[#jobs + 1] = asked.id .. ' ' .. asked.name
    if root then roots[#roots + 1] = asked.id end
end
flush_sessions()
count_uses(uses, requests)
if jobs[1] then redis.call('RPUSH', keys.graph_jobs(graph), unpack(jobs)) end
if roots[1] then redis.call('SADD', keys.graph_roots(graph), unpack(roots)) end
redis.call('HINCRBY', key, 'loaded', #jobs)
for child, parents in pairs(edges) do
    local fields = {}
    for parent, edge in pairs(parents) do
        fields[#fields + 1], fields[#fields + 2] = parent, edge
        children[parent] = children[parent] or {}
        table.insert(children[parent], child)
    end
    redis.call('HSET', keys.parents(child), unpack(fields))
end
for parent, theirs in pairs(children) do redis.call('SADD', keys.dependents(parent), unpack(theirs)) end
return { 'loaded' }
