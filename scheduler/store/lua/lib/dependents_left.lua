-- How many dependents, or sessions of a graph, this script may still deal with: as many as the first move
-- that asks for some says, for all of them together.
local left_to_tell

local function may_tell(limit)
    left_to_tell = left_to_tell or limit
    return math.min(limit, left_to_tell)
end

local function were_told(count) left_to_tell = left_to_tell - count end
