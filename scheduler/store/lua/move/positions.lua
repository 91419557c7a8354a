-- Keep in which order the group's waiting sessions would be tried; an empty text forgets it.
--
-- @op group, text ("ms scheduler", a line break, ids of the first thousand)
-- @item done
function moves.positions(op)
    if op.text == '' then
        redis.call('DEL', keys.positions(op.group))
    else
        redis.call('SET', keys.positions(op.group), op.text)
    end
    return 'done'
end
