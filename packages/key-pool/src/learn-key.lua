--[[
  Notes that a key may ask a product, and how much its records hold. Safe to run twice.

  Arguments: a Lesson (key-store.ts).
]]
local scope = scope_of(given.id, given.product)
local is_known = number_at(lessons_key, scope .. ':until') > now
if given.richness then
  local before = is_known and number_at(lessons_key, scope .. ':richness') or 0
  redis.call('HSET', lessons_key, scope .. ':richness', math.max(before, given.richness))
elseif not is_known then
  redis.call('HDEL', lessons_key, scope .. ':richness')
end
redis.call('HSET', lessons_key, scope .. ':until', digits(now + given.forMs))
redis.call('HDEL', lessons_key, scope .. ':learning')
keep(lessons_key, given.forMs)
