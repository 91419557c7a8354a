-- Keep how the decisions of the group's shadow differ from those in force; an empty text forgets it.
--
-- @op group, text
-- @item done
function moves.compare(op)
    if op.text == '' then
        redis.call('DEL', keys.shadow(op.group))
    else
        redis.call('SET', keys.shadow(op.group), op.text)
    end
    return 'done'
end
