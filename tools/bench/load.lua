-- One turn of load, described by the plan file that BENCH_PLAN names (written by load.py):
--   method, headers, paths (taken in turn), body, marker (replaced by the tag and a running number), tag, result.
-- The result file gets one JSON line.
local plan = dofile(os.getenv("BENCH_PLAN"))
local ready, path_parts, body_parts
local number = 0

local function split(text)
  local from, to = string.find(text, plan.marker, 1, true)
  if not from then
    return nil
  end
  return { string.sub(text, 1, from - 1), string.sub(text, to + 1) }
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
  if ready then
    return ready[(number - 1) % #ready + 1]
  end
  local name = plan.tag .. "-" .. number
  local path = plan.paths[(number - 1) % #plan.paths + 1]
  if path_parts then
    path = path_parts[1] .. name .. path_parts[2]
  end
  local body = plan.body
  if body_parts then
    body = body_parts[1] .. name .. body_parts[2]
  end
  return wrk.format(plan.method, path, plan.headers, body)
end

function done(summary, latency)
  local errors = summary.errors
  local file = assert(io.open(plan.result, "w"))
  file:write(string.format(
    '{"requests":%d,"duration_us":%d,"p50_us":%d,"p99_us":%d,"max_us":%d,"failed":%d,"refused":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency.max,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
  file:close()
end
