-- Write what scopes count and what placed sessions hold, worked out anew, into data of an older layout;
-- with the last of it, or with nothing, the next layout.
--
-- mark is the last event when it was worked out: if anything happened since, or somebody who knows the
-- older layout only leads, nothing is written. The numbers are whole, so a repeat changes nothing.
--
-- @arg version int
-- @arg target int
-- @arg mark str
-- @arg scopes json
-- @arg held json
-- @arg last int
-- @reply written | finished | known | led | disturbed
-- @include lib/clock_ms
-- @include lib/int
-- @include lib/undisturbed
-- @include lib/write_uses
if tonumber(redis.call('HGET', keys.schema(), 'version') or '0') ~= version then return { 'known' } end
for _, group in ipairs(redis.call('SMEMBERS', keys.groups())) do
    if redis.call('EXISTS', keys.lock(group)) == 1 then return { 'led', group } end
end
if not undisturbed(mark) then return { 'disturbed' } end
write_uses(scopes)
for _, each in ipairs(held) do redis.call('HSET', keys.session(each.session), 'held', each.charge) end
if last == 0 then return { 'written' } end
redis.call('HSET', keys.schema(), 'version', target, 'stamped_at', int(now))
return { 'finished' }
