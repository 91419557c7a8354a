-- Write what placed sessions hold, worked out anew, into data of an older layout; and with the last of it
-- what scopes count and may have, {"kind name": text}, and the next layout. gone are keys that it does not know.
--
-- mark is the last event when it was worked out: if anything happened since, or somebody who knows the
-- older layout only leads, nothing is written. All of it is whole, so a repeat changes nothing.
--
-- @arg version int
-- @arg target int
-- @arg mark str
-- @arg held json
-- @arg counts json
-- @arg limits json
-- @arg gone json
-- @arg last int
-- @reply written | finished | known | led | disturbed
-- @include lib/clock_ms
-- @include lib/int
-- @include lib/scope_text
-- @include lib/undisturbed
if tonumber(redis.call('HGET', keys.schema(), 'version') or '0') ~= version then return { 'known' } end
for _, group in ipairs(redis.call('SMEMBERS', keys.groups())) do
    if redis.call('EXISTS', keys.lock(group)) == 1 then return { 'led', group } end
end
if not undisturbed(mark) then return { 'disturbed' } end
for _, each in ipairs(held) do redis.call('HSET', keys.session(each.session), 'held', each.charge) end
if last == 0 then return { 'written' } end
redis.call('DEL', keys.scope_use(), keys.scope_limits())
write_scope_texts(keys.scope_use(), counts)
write_scope_texts(keys.scope_limits(), limits)
for _, key in ipairs(gone) do redis.call('UNLINK', key) end
redis.call('HSET', keys.schema(), 'version', target, 'stamped_at', int(now))
return { 'finished' }
