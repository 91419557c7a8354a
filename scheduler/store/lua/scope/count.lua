-- Write what scopes count, worked out anew: where the record of a session was lost, what it had counted
-- is given back by nobody. Leaders read it with their next sweep.
--
-- mark is the last event when it was worked out: if anything happened since, nothing is written. The
-- numbers are whole, so a repeat changes nothing. counts: {"kind name": text}, see
-- lib/scope_text.
--
-- @arg mark str
-- @arg counts json
-- @reply counted | disturbed
-- @include lib/although_full
-- @include lib/undisturbed
-- @include lib/scope_text
if not undisturbed(mark) then return { 'disturbed' } end
write_scope_texts(keys.scope_use(), counts)
return { 'counted' }
