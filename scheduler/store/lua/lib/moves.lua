-- The table the moves of the leader stand in, by verb.
local moves = {}
