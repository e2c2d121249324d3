--[[
  Stores many answers in one step. Safe to run twice.

  KEYS    the answers
  ARGV[1] their sizes in bytes, a JSON array
  ARGV[2] their bytes, one after the other
  ARGV[3] how long each is kept, in milliseconds, a JSON array
]]
local sizes, lives = cjson.decode(ARGV[1]), cjson.decode(ARGV[3])
local from = 1
for at = 1, #KEYS do
  local after = from + sizes[at]
  redis.call('SET', KEYS[at], string.sub(ARGV[2], from, after - 1), 'PX', lives[at])
  from = after
end
