-- Move a session from one state's index to another's. Where it begins or ceases to wait, its scopes
-- count that, too; charge is what it charges them, if the caller knows.
-- @include lib/emit
-- @include lib/charge
-- @include lib/scope_count
local function enter_state(id, group, from, to, score, charge)
    redis.call('ZREM', keys.state(group, from), id)
    redis.call('ZADD', keys.state(group, to), int(score), id)
    if WAITING[from] ~= WAITING[to] then
        charge = charge or charge_of_request(redis.call('HGET', keys.session(id), 'request'))
        wait(charge, WAITING[to] and 1 or -1)
    end
end
