-- The record index, for the scripts that follow this text. Its state is in the key `index`: without it
-- there is no index. See record_index.py.

local function records_of(value) -- their JSON text: values are written by Entry.to_json
  local from = value and string.find(value, '"records": [', 1, true)
  local to = from and string.find(value, '], "warnings": ', from, true)
  return to and string.sub(value, from, to) or ""
end

local function sets_of(index, records)
  local sets = {}
  for id in string.gmatch(records, '/([^/"]+)"') do
    local hash = 0
    for _, byte in ipairs({string.byte(id, -4, -1)}) do hash = hash * 131 + byte end
    sets[#sets + 1] = index .. ":" .. hash % 4093
  end
  return sets
end

local function member_of(number)
  return string.match(number, "^%+(%d+)$") or "=" .. number
end

local function index_by_records(index, number, before, value) -- `before` is nil for a new entry
  local old, new = records_of(before), records_of(value)
  local member, sets = member_of(number), sets_of(index, new)
  if old ~= new then
    for _, set in ipairs(sets_of(index, old)) do redis.call("SREM", set, member) end
  elseif not sets[1] or redis.call("SISMEMBER", sets[1], member) == 1 then
    return -- the usual case: it is there already, unless Redis has lost the set
  end
  for _, set in ipairs(sets) do redis.call("SADD", set, member) end
end
