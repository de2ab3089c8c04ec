"""`verigrad sample --engine openai` against a loopback endpoint."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from verigrad.cli.main import main

ASKED = []


class Endpoint(BaseHTTPRequestHandler):
    """Answers every chat request with one program and notes who asked."""

    def do_POST(self):
        ASKED.append(self.headers["Authorization"])
        self.rfile.read(int(self.headers["Content-Length"]))
        choice = {"message": {"content": "print(1)"}, "finish_reason": "stop"}
        body = json.dumps({"choices": [choice], "usage": {"completion_tokens": 3}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_the_key_of_the_environment_is_sent(monkeypatch, capsys):
    """The help promises it."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        address = f"http://127.0.0.1:{server.server_port}/v1"
        assert main(["sample", "say one", "--engine", "openai", "--base-url", address, "--model", "m"]) == 0
    finally:
        server.shutdown()
        server.server_close()
    assert ASKED == ["Bearer secret"]
    assert "print(1)" in capsys.readouterr().out


def test_what_a_canvas_is_filled_by_is_not_for_an_endpoint(capsys):
    words = ["sample", "x", "--engine", "openai", "--base-url", "http://127.0.0.1:1/v1", "--model", "m"]
    assert main([*words, "--denoise", "steps=4"]) == 1
    assert "--denoise says how the engine `denoise` samples, not 'openai'; leave it out" in capsys.readouterr().err
