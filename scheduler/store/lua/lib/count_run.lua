-- Count how a run of an office's job ended, in the digest of its role; job is "office" or "office/role".
--
-- Called by the move that ends the attempt, and only where that move closed it, so each run counts
-- once. What nobody adds to for ninety days is forgotten.
-- @include lib/clock_ms
-- @include lib/int
local PER_OCTAVE, FORGOTTEN_AFTER_S = 8, 90 * 86400

local function count_run(job, outcome, running_at)
    local field, key = 'timed_out', keys.durations(job)
    if outcome == 'SUCCEEDED' then
        local ms = math.max(1, now - (tonumber(running_at or '') or now))
        field = int(math.ceil(math.log(ms) / math.log(2) * PER_OCTAVE))
    end
    if redis.pcall('HINCRBY', key, field, 1) == 1 then redis.call('ZADD', keys.digests(), 0, job) end
    redis.call('EXPIRE', key, FORGOTTEN_AFTER_S)
end
