# Python without a library. genuine() takes request.get_data() of Flask and request.body of Django.
import hashlib, hmac, os, re, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = os.environ["WEBHOOK_SECRET"].encode()
if not SECRET:
    raise SystemExit("WEBHOOK_SECRET is empty")


def genuine(header: str | None, body: bytes) -> bool:
    """body is the raw bytes: JSON that was parsed and printed again has another signature."""
    m = re.fullmatch(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", header or "")
    if not m:
        return False
    want = hmac.new(SECRET, m[1].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(want, m[2]) and abs(time.time() - int(m[1])) <= 300


def store(trace: str, body: bytes) -> None:
    """Keep the event here, before it is answered. A trace id that you have already is a repeat."""
    print(trace, len(body), flush=True)


class Hooks(BaseHTTPRequestHandler):
    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if not 0 <= length <= 32 << 20:
            return self.answer(413)
        body = self.rfile.read(length)
        if not genuine(self.headers["terra-signature"], body):
            return self.answer(401)
        store(self.headers["x-terra-trace-id"], body)
        self.answer(200)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()


# Behind a proxy that speaks TLS.
ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", 3000))), Hooks).serve_forever()
