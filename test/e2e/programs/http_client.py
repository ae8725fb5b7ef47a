"""http.client of Python's own library: one connection for everything."""
import hashlib, http.client, json, ssl, sys
from urllib.parse import urlsplit

base, ca = urlsplit(sys.argv[1]), sys.argv[2]
if base.scheme == "https":
    made = http.client.HTTPSConnection(base.hostname, base.port, context=ssl.create_default_context(cafile=ca))
else:
    made = http.client.HTTPConnection(base.hostname, base.port)
sha = lambda data: hashlib.sha256(data).hexdigest()
body = bytes(i % 251 for i in range(200_000))
out = {}


def ask(name, method, path, sent=None, fields={}, chunked=False):
    made.request(method, path, body=sent, headers=fields, encode_chunked=chunked)
    got = made.getresponse()
    out[name] = [got.status, sha(got.read())]


ask("small", "GET", "/bytes?n=10")
ask("large", "GET", "/bytes?n=1048576")
ask("head", "HEAD", "/bytes?n=1000")
ask("post", "POST", "/echo", body, {"Content-Type": "application/octet-stream"})
ask("chunked", "PUT", "/echo", (body[i : i + 7001] for i in range(0, len(body), 7001)), {"Transfer-Encoding": "chunked"}, True)
ask("delete", "DELETE", "/gone")
ask("missing", "GET", "/status/404")
out["kept"] = []
for i in range(50):
    made.request("GET", f"/number/{i}")
    out["kept"].append(made.getresponse().read().decode())
print(json.dumps(out))
