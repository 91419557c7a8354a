-- Writes that were put off to the end of a script, for all that it did at once: one that fails, on a key
-- that somebody spoilt, must not keep the others from being written. The first failure is told by told().
local failure

local function write(...)
    local answer = redis.pcall(...)
    if type(answer) == 'table' and answer.err then failure = failure or answer.err end
end

local function told()
    if failure then error(failure, 0) end
end
