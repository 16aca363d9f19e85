"""The Lua script of a segment: its members and their history in one step.

The history has the form of a route's (see gateway/state/script.py), without small keys: N-0 holds
the ids that came and went, N-1 the head, each chained to the one before.
"""

from __future__ import annotations

from gateway.state.chain import CHAIN_LUA
from gateway.state.list_script import LIST_LUA

# KEYS  1 members  2 history  3 leader
# ARGV  1 expected revision, or "" = whatever it is   2 stream entries to keep
#       3 name in the history   4 term the leader must hold, or ""
#       5 number of head fields, then name and value of each
#       then ids as gateway/state/list_script.py takes them
# Answer {"ok" | "same" | "conflict" | "term", revision, time in ms}, or {"type", number of the key
#       that is of another type, 0}, or {"full", 0, time} when the history takes no further number
SEGMENT = (
    CHAIN_LUA
    + LIST_LUA
    + """
for i, wanted in ipairs({'set', 'stream'}) do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= wanted then return {'type', i, 0} end
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local revision, last_at = 0, 0
if newest then
  revision = tonumber(string.match(newest[1], '^%d+'))
  last_at = tonumber(field_of(newest[2], 'at')) or 0
end
if ARGV[4] ~= '' then
  local lease = redis.pcall('GET', KEYS[3])
  if type(lease) ~= 'string' or string.match(lease, '^%d+') ~= ARGV[4] then
    return {'term', revision, now}
  end
end
if ARGV[1] ~= '' and string.format('%d', revision) ~= ARGV[1] then
  return {'conflict', revision, now}
end

local next_revision = revision + 1
local info = redis.pcall('XINFO', 'STREAM', KEYS[2])
for i = 1, #info - 1, 2 do
  if info[i] == 'last-generated-id' then
    next_revision = math.max(revision, tonumber(string.match(info[i + 1], '^%d+'))) + 1
  end
end
if next_revision > 2 ^ 53 then return {'full', 0, now} end

local first = 6 + 2 * ARGV[5]
local delta, gained, lost = change_ids(KEYS[1], first, #ARGV)
local head = {}
for i = 6, first - 1 do head[#head + 1] = ARGV[i] end
if delta == '' and field_of(head, 'op') ~= 'delete' then return {'same', revision, last_at} end

now = math.max(now, last_at + 1)
local earlier = newest and field_of(newest[2], 'chain') or ''
local lists = {}
if delta ~= '' then
  lists = {ARGV[3], delta}
  redis.call('XADD', KEYS[2], string.format('%d-0', next_revision), unpack(lists))
  head[#head + 1] = 'lists'
  head[#head + 1] = ARGV[3] .. ' +' .. gained .. ' -' .. lost
end
for _, word in ipairs({'at', string.format('%d', now), 'prev', earlier}) do
  head[#head + 1] = word
end
local id = string.format('%d-1', next_revision)
local chain = chain_of(earlier, id, lists, head)
head[#head + 1] = 'chain'
head[#head + 1] = chain
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[2], id, unpack(head))
return {'ok', next_revision, now}
"""
)
