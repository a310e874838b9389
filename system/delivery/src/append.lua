#!lua name=holdfast_v1
-- The log's functions. Function names are global to a server, so they carry a version: two releases of a chat node can
-- share a cluster while one replaces the other. Never change one of these; add a _v2.

-- A room begins with an entry that is never delivered: there is always an anchor to resume from, and 0-0 is no offset.
local function born(stream, rooms, room_limit)
  if redis.call('EXISTS', stream) == 1 then
    return true
  end
  if tonumber(redis.call('GET', rooms) or '0') >= tonumber(room_limit) then
    return false
  end
  redis.call('INCR', rooms)
  redis.call('XADD', stream, '*', 'b', '1')
  return true
end

-- By age only, by this server's clock. The newest entry older than the window stays: it is the anchor of those who
-- have been away for exactly that long.
local function trim(stream, window)
  local now = redis.call('TIME')
  local edge = now[1] * 1000 + math.floor(now[2] / 1000) - tonumber(window)
  local anchor = redis.call('XREVRANGE', stream, string.format('%.0f', edge), '-', 'COUNT', 1)[1]
  if anchor then
    return redis.call('XTRIM', stream, 'MINID', '~', anchor[1])
  end
  return 0
end

-- keys: stream, dedupe, rooms; args: dedupe window, room limit, length limit, history window or 0 for no trim,
-- sender, id, content, traceparent or ''. A known id is written to as well (PEXPIRE): since Redis 7.2 only a command
-- that propagates gives WAIT something to wait for.
local function append(keys, args)
  local stream, dedupe, rooms = keys[1], keys[2], keys[3]
  local known = redis.call('GET', dedupe)
  if known then
    redis.call('PEXPIRE', dedupe, args[1])
    return { 'known', known }
  end
  if not born(stream, rooms, args[2]) then
    return { 'room_limit' }
  end
  if redis.call('XLEN', stream) >= tonumber(args[3]) then
    return { 'room_full' }
  end
  local id
  if args[8] == '' then
    id = redis.call('XADD', stream, '*', 's', args[5], 'i', args[6], 'c', args[7])
  else
    id = redis.call('XADD', stream, '*', 's', args[5], 'i', args[6], 'c', args[7], 't', args[8])
  end
  redis.call('SET', dedupe, id, 'PX', args[1])
  if args[4] ~= '0' then
    trim(stream, args[4])
  end
  return { 'new', id }
end

-- keys: stream, rooms; args: room limit, the offset that somebody comes back with or ''.
local function enter(keys, args)
  if not born(keys[1], keys[2], args[1]) then
    return { 'room_limit' }
  end
  local head = redis.call('XREVRANGE', keys[1], '+', '-', 'COUNT', 1)[1]
  if not head then
    return { 'empty' }
  end
  local held = args[2] ~= '' and #redis.call('XRANGE', keys[1], args[2], args[2]) or 0
  return { 'head', head[1], held }
end

-- keys: streams of one partition. For each: the last entry's id, sender and message id; nothing for one that is gone.
local function heads(keys)
  local found = {}
  for at, stream in ipairs(keys) do
    local last = redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1]
    local head = {}
    if last then
      head[1] = last[1]
      for field = 1, #last[2], 2 do
        if last[2][field] == 's' then head[2] = last[2][field + 1] end
        if last[2][field] == 'i' then head[3] = last[2][field + 1] end
      end
    end
    found[at] = head
  end
  return found
end

redis.register_function('holdfast_append_v1', append)
redis.register_function('holdfast_enter_v1', enter)
redis.register_function('holdfast_trim_v1', function(keys, args) return trim(keys[1], args[1]) end)
redis.register_function{ function_name = 'holdfast_heads_v1', callback = heads, flags = { 'no-writes' } }
