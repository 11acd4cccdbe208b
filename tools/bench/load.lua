-- One turn of load, described by the plan file that BENCH_PLAN names (written by load.py):
--   method, headers, paths (taken in turn), body, marker (replaced by the tag and a running number), tag, result,
--   mark (the number of an answer to time, or 0), stops (whether the turn ends with it).
-- The result file gets one JSON line.
local plan = dofile(os.getenv("BENCH_PLAN"))
local ffi = require("ffi")
ffi.cdef([[
  typedef struct { long seconds; long microseconds; } bench_time;
  int gettimeofday(bench_time *time, void *zone);
]])
local ready, path_parts, body_parts
local number = 0
local sender

local function now_us()
  local time = ffi.new("bench_time")
  ffi.C.gettimeofday(time, nil)
  return tonumber(time.seconds) * 1e6 + tonumber(time.microseconds)
end

function setup(thread)
  sender = thread
end

local function split(text)
  local parts, start = {}, 1
  while true do
    local from, to = string.find(text, plan.marker, start, true)
    if not from then
      break
    end
    table.insert(parts, string.sub(text, start, from - 1))
    start = to + 1
  end
  if start == 1 then
    return nil
  end
  table.insert(parts, string.sub(text, start))
  return parts
end

function init()
  wrk.method = plan.method
  wrk.headers = plan.headers
  body_parts = split(plan.body)
  path_parts = split(plan.paths[1])
  if not body_parts and not path_parts then
    -- Nothing changes from request to request, so all are written once, before the clock starts.
    ready = {}
    for index, path in ipairs(plan.paths) do
      ready[index] = wrk.format(plan.method, path, plan.headers, plan.body ~= "" and plan.body or nil)
    end
  end
end

function request()
  number = number + 1
  if number == 2 then
    -- Number 1 is only looked at. A global, as what is asked of the sender's state afterwards has to be.
    began_us = now_us()
  end
  if ready then
    return ready[(number - 1) % #ready + 1]
  end
  local name = plan.tag .. "-" .. number
  local path = plan.paths[(number - 1) % #plan.paths + 1]
  if path_parts then
    path = table.concat(path_parts, name)
  end
  local body = plan.body
  if body_parts then
    body = table.concat(body_parts, name)
  end
  return wrk.format(plan.method, path, plan.headers, body)
end

if plan.mark > 0 then
  local answered = 0

  function response()
    answered = answered + 1
    if answered == plan.mark then
      marked_us = now_us() - began_us
      if plan.stops then
        wrk.thread:stop()
      end
    end
  end
end

function done(summary, latency)
  local errors = summary.errors
  local marked = sender:get("marked_us") or 0
  local file = assert(io.open(plan.result, "w"))
  file:write(string.format(
    '{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"failed":%d,"refused":%d,"marked_us":%d}\n',
    summary.requests, plan.stops and marked or summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status, marked))
  file:close()
end
