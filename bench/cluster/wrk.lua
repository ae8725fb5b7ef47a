-- Asks the cluster's API. Each thread asks one member: PORTS holds their ports, as many as there are threads.
-- Argument: what to do: put, or the path to get.
local ports, threads = {}, 0
number = 0
for port in string.gmatch(os.getenv('PORTS') or '', '%d+') do ports[#ports + 1] = port end

function setup(thread)
  threads = threads + 1
  thread:set('number', threads)
  thread.addr = wrk.lookup('127.0.0.1', ports[threads])[1]
end

function init(args)
  if args[1] ~= 'put' then
    wrk.path = args[1]
    return wrk.format()
  end
  wrk.method = 'PUT'
  wrk.headers['content-type'] = 'application/json'
  wrk.body = '{"value":"' .. string.rep('x', 100) .. '"}'
  local requests, turn = {}, 0
  for i = 1, 1000 do requests[i] = wrk.format(nil, '/api/ha/state/bench-' .. number .. '-' .. i) end
  request = function()
    turn = turn % 1000 + 1
    return requests[turn]
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"us":%d,"p50":%.1f,"p99":%.1f,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
