-- Take the slots of kernels [[agent, slots, order]] from their agents: all of them, or none and why not.
-- "away": another boot, silent, drained or gone; "full": not so much is free.
-- @include lib/batch_agents
local function has_slots(agent, amounts)
    for at = 1, #amounts, 2 do
        if agent.free[amounts[at]] < amounts[at + 1] then return false end
    end
    return true
end

local function change_slots(agent, amounts, sign)
    for at = 1, #amounts, 2 do
        local slot = amounts[at]
        agent.free[slot] = agent.free[slot] + sign * amounts[at + 1]
        agent.changed[slot] = true
    end
end

local function take_slots(kernels)
    for index, kernel in ipairs(kernels) do
        local agent, amounts = agent_of(kernel[1]), batch.slots[kernel[2]][2]
        if agent.away or not has_slots(agent, amounts) then
            for taken = 1, index - 1 do
                change_slots(agent_of(kernels[taken][1]), batch.slots[kernels[taken][2]][2], 1)
            end
            return agent.away and 'away' or 'full'
        end
        change_slots(agent, amounts, -1)
    end
end
