-- Give back every scope a session holds, with the slots that count there. What it holds goes with the
-- record of it, so doing it twice changes nothing; and since when it did is forgotten, too.
-- @include lib/charge
-- @include lib/scope_count
local function release_held(id, held)
    if not held then return end
    hold(charge_of(held), id, -1)
    redis.call('HDEL', keys.session(id), 'held', 'placed_at')
end

local function release_scopes(id) release_held(id, redis.call('HGET', keys.session(id), 'held')) end
