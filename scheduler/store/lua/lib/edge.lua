-- An edge as a session's parents hash keeps it: unmet, met or held, and its policy where it is not cancel.
local function read_edge(text)
    local word, policy = string.match(text or '', '^(%S+) ?(%S*)$')
    return word, policy ~= '' and policy or 'cancel'
end

local function edge_text(word, policy)
    return policy == 'cancel' and word or word .. ' ' .. policy
end

-- Whether a parent in this state meets an edge.
local function meets(state, policy)
    return state == 'SUCCEEDED' or (policy == 'ignore' and FINAL[state] ~= nil)
end
