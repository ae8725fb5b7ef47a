-- What wrk asks, and how it tells what it saw. Arguments: number of hosts (0: the one of the URL), bytes to upload (0: none).
local requests, turn = {}, 0

function init(args)
  local hosts, upload = tonumber(args[1]), tonumber(args[2])
  if upload > 0 then
    wrk.method = 'POST'
    wrk.body = string.rep('x', upload)
  end
  if hosts > 0 then
    for i = 1, hosts do
      wrk.headers['Host'] = 'site-' .. (i - 1) .. '.example.com'
      requests[i] = wrk.format()
    end
    -- Only where it is needed: with a function, wrk asks Lua for each request.
    request = function()
      turn = turn % #requests + 1
      return requests[turn]
    end
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"us":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f,"errors":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), latency:percentile(99.9),
    e.connect + e.read + e.write + e.status + e.timeout))
end
