-- A subscriber took something: failures in a row are over, and with them what is known of an outage.
-- @include lib/emit
local function took(name, key)
    local down = redis.call('HGET', key, 'down_since')
    redis.call('HDEL', key, 'failures', 'error', 'next_at', 'down_since', 'for_good', 'chances')
    if down then emit('subscriber.resumed', 'subscriber', name, 'reason', 'it takes events again') end
end
