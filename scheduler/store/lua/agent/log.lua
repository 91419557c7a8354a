-- Append a piece of a kernel's output to its log, unless the log is full or memory is short.
--
-- @arg agent str
-- @arg order str
-- @arg stream str
-- @arg text str
-- @arg cap int
-- @arg ttl_s int
-- @reply kept | full
local key = keys.log(agent, order)
local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
local size = 0
if last then
    for index = 1, #last[2], 2 do
        if last[2][index] == 'size' then size = tonumber(last[2][index + 1]) end
        if last[2][index] == 'stream' and last[2][index + 1] == 'cut' then return { 'full' } end
    end
end
if size + #text > cap then
    local text_of_cut = 'output beyond ' .. cap .. ' bytes was dropped\n'
    redis.call('XADD', key, '*', 'stream', 'cut', 'text', text_of_cut, 'size', size)
    redis.call('EXPIRE', key, ttl_s)
    return { 'full' }
end
redis.call('XADD', key, '*', 'stream', stream, 'text', text, 'size', size + #text)
redis.call('EXPIRE', key, ttl_s)
return { 'kept' }
