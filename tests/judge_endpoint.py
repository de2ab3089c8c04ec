"""An endpoint on the loopback interface that is shown two answers, for the tests of judges that are models."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Endpoint", "served"]


class Endpoint(ThreadingHTTPServer):
    """Answers each request with `reply(first answer, second answer)`, a text or a status."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.reply, self.received, self.lock = None, [], threading.Lock()
        self.in_flight = self.most_in_flight = 0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        text = body["messages"][-1]["content"]
        first, second = (text.split(f"<answer_{n}>\n")[1].split(f"\n</answer_{n}>")[0] for n in (1, 2))
        with server.lock:
            server.received.append((dict(self.headers), body))
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        said = server.reply(first, second)
        with server.lock:
            server.in_flight -= 1
        choice = {"message": {"role": "assistant", "content": said}, "finish_reason": "stop"}
        data = json.dumps({"choices": [choice]}).encode()
        self.send_response(said if isinstance(said, int) else 200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client may have given up waiting
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served():
    """An endpoint that answers while the block runs."""
    server = Endpoint()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
