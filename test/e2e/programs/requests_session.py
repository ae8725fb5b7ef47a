"""The requests library: a session with kept connections, uploads from a generator and from a form."""
import hashlib, json, sys
import requests

base, ca = sys.argv[1:3]
made = requests.Session()
made.verify = ca
made.trust_env = False
sha = lambda data: hashlib.sha256(data).hexdigest()
body = bytes(i % 251 for i in range(200_000))
out = {}


def ask(name, method, path, **how):
    got = made.request(method, base + path, timeout=60, **how)
    out[name] = [got.status_code, sha(got.content)]


ask("small", "GET", "/bytes?n=10")
ask("large", "GET", "/bytes?n=1048576")
ask("head", "HEAD", "/bytes?n=1000")
ask("post", "POST", "/echo", data=body)
ask("chunked", "PUT", "/echo", data=(body[i : i + 7001] for i in range(0, len(body), 7001)))
ask("delete", "DELETE", "/gone")
ask("missing", "GET", "/status/404")
ask("redirected", "GET", "/moved")
out["kept"] = [made.get(f"{base}/number/{i}", timeout=60).text for i in range(50)]
print(json.dumps(out))
