--[[
  Begins both commands that take from a budget. Time is the server's. `cost` is 0 for a report that has been counted.

  KEYS[2] (with ARGV[5] only) the last report of a sender
  ARGV[3] cost: how much is taken
  ARGV[4] how much must be left for it; -1: take whatever is left
  ARGV[5] number of this report by its sender, rising. A report that has been counted is not counted again: its
          sender saw no answer and repeats it
  ARGV[6] how long that is remembered, in milliseconds
]]
local cost, need = tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

if KEYS[2] then
  if tonumber(redis.call('GET', KEYS[2]) or 0) >= tonumber(ARGV[5]) then
    cost = 0
  else
    redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[6])
  end
end
