-- Include this where a script must work on a full Redis. It refuses scripts whose first write may
-- grow it, and lets one go on that begins by taking something away, if only nothing from nowhere.
redis.call('SREM', keys.groups(), '')
