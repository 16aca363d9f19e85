"""What both write scripts do to a list: ids come and go, and what was new of it is told."""

from __future__ import annotations

# `change_ids(key, first, last)` takes the ids from ARGV[first] to ARGV[last], each with "+" or "-"
# before it; with "=" before that nothing is written, and told only if it is so. "=?" as the first
# says that the list changed in more ways than are known. It returns the text of the history, how
# many ids came, and how many went.
#
# A thousand ids at a time: one call for each took five times as long, and meanwhile the store does
# nothing else. A store before 6.2, or a user who may not ask, has them written one by one.
LIST_LUA = """
local function change_ids(key, first, last)
  local delta, counts = {}, {['+'] = 0, ['-'] = 0}
  local at = first
  if ARGV[at] == '=?' then
    delta[1], at = '?', at + 1
  end
  while at <= last do
    -- A run of ids to which the same happens.
    local sign = string.match(ARGV[at], '^=?[+-]')
    local size, ids = #sign, {}
    while at <= last and #ids < 1000 and string.sub(ARGV[at], 1, size) == sign do
      ids[#ids + 1] = string.sub(ARGV[at], size + 1)
      at = at + 1
    end
    local is_told = size == 2
    if is_told then sign = string.sub(sign, 2) end
    local command, news = sign == '+' and 'SADD' or 'SREM', {}
    local found = redis.pcall('SMISMEMBER', key, unpack(ids))
    local wanted = (sign == '+') == is_told and 1 or 0
    for i, id in ipairs(ids) do
      local is_new
      if not found.err then is_new = found[i] == wanted
      elseif is_told then is_new = redis.call('SISMEMBER', key, id) == wanted
      else is_new = redis.call(command, key, id) == 1 end
      if is_new then
        news[#news + 1] = id
        delta[#delta + 1] = sign .. #id .. ':' .. id
      end
    end
    if #news > 0 and not is_told and not found.err then redis.call(command, key, unpack(news)) end
    counts[sign] = counts[sign] + #news
  end
  return table.concat(delta), counts['+'], counts['-']
end
"""
