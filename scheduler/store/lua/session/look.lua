-- Read a session's record, and a digest by which a later change can tell whether it is still as it was read.
--
-- The reply goes on with the digest, and with a list of the fields and values of the record.
--
-- @arg session str
-- @reply found | gone
-- @include lib/digest_of
local digest, row = digest_of(session)
if not row[1] then return { 'gone' } end
return { 'found', digest, row }
