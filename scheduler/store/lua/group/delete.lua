-- Forget a group that holds nothing: no agents, no sessions, no leader. Its term number stays, so that
-- a group of the same name never repeats one.
--
-- @arg group str
-- @reply deleted | in_use | on_record | unknown_group
-- @include lib/emit
if redis.call('SISMEMBER', keys.groups(), group) == 0 then return { 'unknown_group' } end
local holds, ended = {}, 0
local function count(amount, what)
    if amount > 0 then holds[#holds + 1] = amount .. ' ' .. what end
end
count(redis.call('SCARD', keys.group_agents(group)), 'agents')
for state in pairs(SESSION_STATES) do
    local sessions = redis.call('ZCARD', keys.state(group, state))
    if FINAL[state] then ended = ended + sessions else count(sessions, 'sessions ' .. state) end
end
count(redis.call('ZCARD', keys.unseen(group)), 'sessions of graphs')
count(redis.call('EXISTS', keys.lock(group)), 'leader')
if #holds > 0 then
    table.sort(holds)
    return { 'in_use', table.concat(holds, ', ') }
end
if ended > 0 then return { 'on_record', int(ended) } end
redis.call('SREM', keys.groups(), group)
redis.call('DEL', keys.group(group), keys.group_revisions(group), keys.verdicts(group), keys.inbox(group),
    keys.reports(group), keys.timers(group), keys.resolve(group), keys.selector(group), keys.shadow(group),
    keys.tally(group), keys.positions(group), keys.graphs_loading(group), keys.chores_due(group),
    keys.chores_ran(group))
local today = math.floor(now / DAY_MS)
for day = today - KEPT_DAYS, today do redis.call('DEL', keys.use(group, int(day))) end
emit('group.deleted', 'group', group)
return { 'deleted' }
