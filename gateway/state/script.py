"""The Lua scripts: what must happen inside the store in one step."""

from __future__ import annotations

from gateway.state.chain import CHAIN_LUA
from gateway.state.list_script import LIST_LUA

# Checks that nobody wrote since the caller read, does the operations, and appends to the history:
# all of it or nothing. One revision is up to two stream entries: N-0 holds the ids that lists
# gained and lost (only when there are any; it can be megabytes), N-1 is the head: who, when, why,
# and the small keys as they are now. So the newest entry is always small and always enough to know
# where the route stands. The head ends with the hash of the entry before it (`prev`) and the hash
# over that and the whole entry (`chain`): see gateway/state/chain.py.
#
# KEYS  1 routes  2 route  3 versions  4 weights  5 rules  6 history  7 leader  8... lists, and
#       behind them, when a release is written too: release, commands, releases, finished
# ARGV  1 expected revision        2 expected fingerprint   3 term the leader must hold, or ""
#       4 stream entries to keep   5 "1" = a revision even when no operation changes anything
#       6 number of the key of the release, or 0   7 step that the release must be at
#       8 number of head fields, then name and value of each
#       then the operations: key number, command, number of arguments, arguments
#       A list operation has the command "list" and the arguments: name in the history, then ids
#       as gateway/state/list_script.py takes them
# Answer {"ok" | "same" | "conflict" | "term" | "step", revision, time in ms}, or {"type", number of
#       the key that is of another type, 0}, or {"full", 0, time} when the history takes no further
#       number
#
# Strings are compared byte by byte here: `<` would follow the locale that the store was started in.
WRITE = (
    CHAIN_LUA
    + LIST_LUA
    + """
local function before(a, b)
  local shorter = math.min(#a, #b)
  for i = 1, shorter do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

local function fingerprint()
  local out = {}
  for key = 2, 4 do
    local flat = redis.call('HGETALL', KEYS[key])
    local names, values = {}, {}
    for i = 1, #flat, 2 do
      names[#names + 1] = flat[i]
      values[flat[i]] = flat[i + 1]
    end
    table.sort(names, before)
    out[#out + 1] = 'h' .. #names .. '\\n'
    for _, name in ipairs(names) do
      out[#out + 1] = #name .. ':' .. name .. #values[name] .. ':' .. values[name]
    end
  end
  local rules = redis.call('LRANGE', KEYS[5], 0, -1)
  out[#out + 1] = 'l' .. #rules .. '\\n'
  for _, rule in ipairs(rules) do out[#out + 1] = #rule .. ':' .. rule end
  return redis.sha1hex(table.concat(out))
end

-- A command that fails half way would leave the first half done: look before writing anything.
local kinds = {'set', 'hash', 'hash', 'hash', 'list', 'stream', 'string'}
local release = tonumber(ARGV[6])
if release > 0 then
  for i, kind in ipairs({'hash', 'list', 'set', 'list'}) do kinds[release + i - 1] = kind end
end
for i, key in ipairs(KEYS) do
  local kind, wanted = redis.call('TYPE', key).ok, kinds[i] or 'set'
  if kind ~= 'none' and kind ~= wanted and (i ~= 7 or ARGV[3] ~= '') then
    return {'type', i, 0}
  end
end

local revision, last_at = 0, 0
local newest = redis.call('XREVRANGE', KEYS[6], '+', '-', 'COUNT', 1)[1]
if newest then
  revision = tonumber(string.match(newest[1], '^%d+'))
  last_at = tonumber(field_of(newest[2], 'at')) or 0
end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

if ARGV[3] ~= '' then
  local lease = redis.call('GET', KEYS[7]) or ''
  if string.match(lease, '^%d+') ~= ARGV[3] then return {'term', revision, now} end
end
if string.format('%d', revision) ~= ARGV[1] or fingerprint() ~= ARGV[2] then
  return {'conflict', revision, now}
end
if release > 0 and (redis.call('HGET', KEYS[release], 'step') or '0') ~= ARGV[7] then
  return {'step', revision, now}
end

-- The stream takes no id below any it ever had, not even below one that was removed by hand.
local next_revision = revision + 1
local info = redis.pcall('XINFO', 'STREAM', KEYS[6])
for i = 1, #info - 1, 2 do
  if info[i] == 'last-generated-id' then
    next_revision = math.max(revision, tonumber(string.match(info[i + 1], '^%d+'))) + 1
  end
end
if next_revision > 2 ^ 53 then return {'full', 0, now} end

local at = 9 + 2 * ARGV[8]
local changed = 0
local lists, summary = {}, {}
while at <= #ARGV do
  local key, command, count = KEYS[tonumber(ARGV[at])], ARGV[at + 1], tonumber(ARGV[at + 2])
  local first, last = at + 3, at + 2 + count
  if command == 'list' then
    local delta, gained, lost = change_ids(key, first + 1, last)
    if delta ~= '' then
      changed = changed + 1
      lists[#lists + 1] = ARGV[first]
      lists[#lists + 1] = delta
      summary[#summary + 1] = ARGV[first] .. ' +' .. gained .. ' -' .. lost
    end
  else
    local arguments = {}
    for i = first, last do arguments[#arguments + 1] = ARGV[i] end
    local done = redis.call(command, key, unpack(arguments))
    if command ~= 'SADD' and command ~= 'SREM' then done = 1 end
    changed = changed + done
  end
  at = last + 1
end

local head = {}
for i = 9, 8 + 2 * ARGV[8] do head[#head + 1] = ARGV[i] end
if changed == 0 and ARGV[5] ~= '1' then return {'same', revision, last_at} end

now = math.max(now, last_at + 1)
revision = next_revision
local earlier, id = newest and field_of(newest[2], 'chain') or '', string.format('%d-1', revision)
if #lists > 0 then
  redis.call('XADD', KEYS[6], string.format('%d-0', revision), unpack(lists))
end
head[#head + 1] = 'at'
head[#head + 1] = string.format('%d', now)
head[#head + 1] = 'print'
head[#head + 1] = fingerprint()
if #summary > 0 then
  head[#head + 1] = 'lists'
  head[#head + 1] = table.concat(summary, ', ')
end
head[#head + 1] = 'prev'
head[#head + 1] = earlier
local chain = chain_of(earlier, id, lists, head)
head[#head + 1] = 'chain'
head[#head + 1] = chain
redis.call('XADD', KEYS[6], 'MAXLEN', '~', ARGV[4], id, unpack(head))
return {'ok', revision, now}
"""
)

# Writes what belongs to a release alone: no weight moves, so the history has nothing to tell.
# KEYS 1 release, 2 commands, 3 releases, 4 finished, 5 leader, 6 weights
# ARGV 1 term the leader must hold, or "", 2 step that the release must be at, 3 route
#      then the operations: key number, command, number of arguments, arguments
# Answer "ok", "term", "step", or "type" when a key is of another type.
SAVE = """
for i, wanted in pairs({'hash', 'list', 'set', 'list', [6] = 'hash'}) do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= wanted then return 'type' end
end
if ARGV[1] ~= '' then
  local lease = redis.pcall('GET', KEYS[5])
  if type(lease) ~= 'string' or string.match(lease, '^%d+') ~= ARGV[1] then return 'term' end
end
if (redis.call('HGET', KEYS[1], 'step') or '0') ~= ARGV[2] then return 'step' end
local at = 4
while at <= #ARGV do
  local last = at + 2 + ARGV[at + 2]
  local arguments = {}
  for i = at + 3, last do arguments[#arguments + 1] = ARGV[i] end
  redis.call(ARGV[at + 1], KEYS[tonumber(ARGV[at])], unpack(arguments))
  at = last + 1
end
-- Here, and not before, nobody can say anything in between to a release that is over.
if redis.call('HGET', KEYS[1], 'running') ~= '1' and redis.call('LLEN', KEYS[2]) == 0 then
  redis.call('SREM', KEYS[3], ARGV[3])
end
return 'ok'
"""

# Where a release stands, its oldest commands, and the candidate's weight, as of one moment. Anybody
# may push to the commands, so what is too long stays here, and of too many only the newest count:
# the last word may be the one that takes the traffic away.
# KEYS 1 release, 2 commands, 3 route, 4 weights
# ARGV 1 candidate, 2 commands to hear at once, 3 most that may wait, 4 most bytes of one
# Answer {step, release, running, term, stable, percent, commands passed over, command...}; an
#       integer instead of a command is the length of one that is too long.
LOOK = """
local own = redis.call('HMGET', KEYS[1], 'step', 'release', 'running', 'term')
local reply = {}
for i = 1, 4 do reply[i] = own[i] or '' end
reply[5] = redis.call('HGET', KEYS[3], 'stable') or ''
reply[6] = redis.call('HGET', KEYS[4], ARGV[1]) or ''
local waiting, at_once = redis.call('LLEN', KEYS[2]), tonumber(ARGV[2])
local first = 0
if waiting > tonumber(ARGV[3]) then first = waiting - at_once end
reply[7] = first
for i = first, math.min(waiting, first + at_once) - 1 do
  local text = redis.call('LRANGE', KEYS[2], i, i)[1]
  if #text > tonumber(ARGV[4]) then reply[#reply + 1] = #text else reply[#reply + 1] = text end
end
return reply
"""

# The lease never expires by itself: a value with its end in it keeps the term, so that it only
# ever grows. An end further away than any lease means that the clock of the store went back; nobody
# would lead until it is there again.
#
# A new term is at least the time in ms. Counted from the last one alone, a store that lost
# everything, or came back as it was some minutes ago, would give a number out twice, and a leader
# of before would pass for the leader of now: the step of its release, which begins anew as well,
# may be the same by then.
#
# Where no lease is found, the store lost it, and who led until then knows best what else is gone:
# others leave it the time of one lease, for which a term 0 of nobody stands.
# KEYS 1 leader; ARGV 1 own id, 2 lease in ms (0 = give it back), 3 "1" = another gateway led.
# Answer: the term when the lease is ours now, else 0.
LEASE = """
local term, holder, ends = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(.*):(%d+)$')
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
term, ends = tonumber(term) or 0, tonumber(ends) or 0
if holder ~= ARGV[1] then
  local is_bound = holder ~= '' or ARGV[3] == '1'
  local is_taken = ends > now and ends <= now + 10 * ARGV[2] and is_bound
  if is_taken or ARGV[2] == '0' then return 0 end
  if not holder and ARGV[3] == '1' then
    redis.call('SET', KEYS[1], string.format('0::%d', now + ARGV[2]))
    return 0
  end
  term = math.max(term + 1, now)
end
redis.call('SET', KEYS[1], string.format('%d:%s:%d', term, ARGV[1], now + ARGV[2]))
return term
"""

# Appends to what was refused, and to what was done to tokens, in one step with doing it.
# KEYS 1 audit stream, 2 tokens
# ARGV 1 stream entries to keep, 2 number of head fields, then name and value of each
#      then of each token: id, entry as it must be now ("" = none), entry to be ("" = none)
# Answer {"ok" | "conflict", number of the entry, time in ms}, or {"type", number of the key, 0}.
AUDIT = (
    CHAIN_LUA
    + """
local tokens = 3 + 2 * ARGV[2]
for i, wanted in ipairs({'stream', 'hash'}) do
  local kind = redis.call('TYPE', KEYS[i]).ok
  if kind ~= 'none' and kind ~= wanted and (i == 1 or ARGV[tokens]) then return {'type', i, 0} end
end
for i = tokens, #ARGV, 3 do
  if (redis.call('HGET', KEYS[2], ARGV[i]) or '') ~= ARGV[i + 1] then return {'conflict', 0, 0} end
end

local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
local number = 0
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
for i = 1, #info - 1, 2 do
  if info[i] == 'last-generated-id' then number = tonumber(string.match(info[i + 1], '^%d+')) end
end
-- Somebody who used the numbers up must not keep tokens from being taken back.
if number >= 2 ^ 53 then
  redis.call('DEL', KEYS[1])
  newest, number = nil, 0
end

for i = tokens, #ARGV, 3 do
  if ARGV[i + 2] == '' then redis.call('HDEL', KEYS[2], ARGV[i])
  else redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 2]) end
end
local clock = redis.call('TIME')
local now = string.format('%d', clock[1] * 1000 + math.floor(clock[2] / 1000))
local earlier = newest and field_of(newest[2], 'chain') or ''
local id = string.format('%d-1', number + 1)
local head = {}
for i = 3, tokens - 1 do head[#head + 1] = ARGV[i] end
for _, word in ipairs({'at', now, 'prev', earlier}) do head[#head + 1] = word end
local chain = chain_of(earlier, id, {}, head)
head[#head + 1] = 'chain'
head[#head + 1] = chain
redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], id, unpack(head))
return {'ok', number + 1, tonumber(now)}
"""
)
