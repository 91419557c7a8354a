-- Whether the caller still leads the group: the live lock value and the term number must both be
-- its own. After a failover an INCR can be handed out twice, so the number alone is no fence.
local function leads(group, nonce, term)
    return redis.call('GET', keys.lock(group)) == nonce
        and redis.call('HGET', keys.leadership(group), 'term') == term
end
