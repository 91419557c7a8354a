-- Remember, for `explain`, why a kind of request does not run now; an empty text forgets it.
--
-- @op group, request, text
-- @item done
function moves.note(op)
    if op.text == '' then
        redis.call('HDEL', keys.verdicts(op.group), op.request)
    else
        redis.call('HSET', keys.verdicts(op.group), op.request, op.text)
    end
    return 'done'
end
