-- Append signed reports to the group's stream. A report told twice is dropped by the leader's guards.
--
-- @arg group str
-- @arg reports json
-- @reply told
-- Ends of work must get through to a full Redis: see leader/apply.
redis.call('SREM', keys.groups(), '')
for _, report in ipairs(reports) do
    redis.call('XADD', keys.reports(group), '*', 'body', report.body, 'mac', report.mac)
end
return { 'told' }
