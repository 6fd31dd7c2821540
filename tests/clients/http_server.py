"""A real HTTP server on this machine that does what a request's path says and remembers what it was sent."""

import contextlib
import http.server
import threading
import time


class _Listening(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # tests connect fifty times at once, and the kernel drops what has no place to wait


class Server:
    """`url` is its root; `seen` has method, path and headers (lower case) of each request, in order."""

    def __init__(self):
        self.seen = []
        self._server = _Listening(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"

    def headers(self, name):
        """What each request so far had in this header."""
        return [headers.get(name) for _, _, headers in self.seen]

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def _answer(server, path, query, headers, body):
    """Status, headers and body that a path asks for."""
    words = path.removeprefix(server.url).strip("/").split("/")  # a proxy is asked for the whole address
    if words[0] == "throttled":
        return 400, {"x-amzn-RequestId": "r"}, b'{"__type": "ThrottlingException", "message": "slower"}'
    if words[0] == "slow":  # /slow/0.5: after half a second
        time.sleep(float(words[1]))
    if body.startswith(b"Action="):  # an AWS service of the query protocol
        return 200, {}, b"<R><GetCallerIdentityResult/></R>"
    if words[0] == "status":
        return int(words[1]), {}, b"no"
    if words[0] == "redirect":  # /redirect/2: twice, then the end
        left = int(words[1]) - 1
        return 302, {"Location": f"/redirect/{left}" if left else "/end"}, b""
    if words[0] == "away":
        return 307, {"Location": query}, b""
    if words[0] == "flaky":  # /flaky/503/2: twice, then 200
        earlier = sum(1 for _, seen, _ in server.seen if seen.startswith("/flaky")) - 1
        return (int(words[1]) if earlier < int(words[2]) else 200), {}, b"hello"
    if words[0] == "digest" and "authorization" not in headers:
        return 401, {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}, b""
    return 200, {}, body or b"hello"


def _handler(server):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if "chunked" in (self.headers.get("transfer-encoding") or "").lower():
                # Not echoed; but what stays unread would be taken for the connection's next request.
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + 2)
                self.rfile.readline()
            headers = {k.lower(): ", ".join(self.headers.get_all(k)) for k in self.headers}
            server.seen.append((self.command, self.path, headers))
            path, _, query = self.path.partition("?")
            if path == "/drop":
                self.close_connection = True
                return
            status, more, sent = _answer(server, path, query, headers, body)
            with contextlib.suppress(ConnectionError):  # who gave up is gone
                self.send_response(status)
                for name, value in more.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

        def __getattr__(self, name):
            if name.startswith("do_"):
                return self.answer
            raise AttributeError(name)

        def log_message(self, *_):
            return

    return Handler


@contextlib.contextmanager
def running():
    server = Server()
    try:
        yield server
    finally:
        server.close()
