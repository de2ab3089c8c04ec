"""An OpenAI-compatible endpoint on the loopback interface that answers as a test wants."""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Endpoint", "JudgeEndpoint", "answer", "served"]


def answer(text, finish_reason="stop"):
    """Status and body of a completion."""
    return 200, {"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish_reason}]}


class Endpoint(ThreadingHTTPServer):
    """Plays a list of answers, each `(status, body[, headers])`, None (hang up) or a callable that makes one.

    What it received is kept as (path, headers, body).
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.script, self.received, self.lock = [], [], threading.Lock()
        self.in_flight = self.most_in_flight = 0
        self.url = f"http://127.0.0.1:{self.server_port}/v1"

    def next(self):
        """What is played now; called by one request at a time."""
        return self.script.pop(0)


class JudgeEndpoint(Endpoint):
    """Is shown two answers and says `reply(first answer, second answer)`, a text or a status."""

    reply = None

    def next(self):
        return self.judged

    def judged(self, body):
        text = body["messages"][-1]["content"]
        said = self.reply(*(text.split(f"<answer_{n}>\n")[1].split(f"\n</answer_{n}>")[0] for n in (1, 2)))
        return (said, {}) if isinstance(said, int) else answer(said)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.received.append((self.path, dict(self.headers), body))
            play = server.next()
            server.in_flight += 1
            server.most_in_flight = max(server.most_in_flight, server.in_flight)
        play = play(body) if callable(play) else play
        with server.lock:
            server.in_flight -= 1
        if play is None:
            self.connection.close()
            return
        status, content, headers = (*play, {})[:3]
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(data))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # the client may have given up waiting
            self.wfile.write(data)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served(kind):
    """An endpoint of that kind, which answers while the block runs."""
    server = kind()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
