-- Reads which processes are or were there, those that were seen last first.
-- KEYS[1] as for note-presence
-- Returns the time (ms since 1970), then each id and when it was seen last; at most 1,000 of them.
local time = redis.call('TIME')
local seen = redis.call('ZREVRANGE', KEYS[1], 0, 999, 'WITHSCORES')
table.insert(seen, 1, tostring(time[1] * 1000 + math.floor(time[2] / 1000)))
return seen
