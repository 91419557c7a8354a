-- An operator says that an agent's machine is certainly dead; the leader rescues its sessions.
--
-- Whoever beats is alive, whatever the operator thinks: its sessions would run twice. An agent
-- beats at least three times in a lease, so one that did within a third of it beats.
--
-- @arg agent str
-- @arg force int
-- @reply accepted | beats | gone
-- @include lib/although_full
-- @include lib/announce
-- @include lib/clock_ms
local group, boot, lease_ms = unpack(redis.call('HMGET', keys.record(agent), 'group', 'boot', 'lease_ms'))
if not group then return { 'gone' } end
local read, beat = pcall(cjson.decode, redis.call('GET', keys.beat(agent)) or '')
if force == 0 and read and type(beat) == 'table' and beat.boot == boot then
    local silence = now - (tonumber(beat.at) or 0)
    if silence * 3 <= (tonumber(lease_ms) or 30000) then return { 'beats', string.format('%.0f', silence) } end
end
announce(group, 'lost', agent .. ' ' .. (boot or ''))
return { 'accepted' }
