"""The endpoint engine against a real HTTP server on the loopback interface."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from endpoint import Endpoint, answer, served

from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.openai import OpenAIEngine
from verigrad.errors import ConfigError, EngineError
from verigrad.types import Message

KEY = "sk-very-secret"


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with served(Endpoint) as server:
        yield server


@pytest.fixture
def make(endpoint):
    """Engines on the endpoint, closed at the end."""
    made = []

    def build(**settings):
        made.append(OpenAIEngine(endpoint.url, "coder", KEY, **({"backoff_s": 0.001} | settings)))
        return made[-1]

    yield build
    for engine in made:
        asyncio.run(engine.close())


def ask(text="hi", **params):
    return Request(messages=(Message("system", "s"), Message("user", text)), params=SamplingParams(**params), seed=4)


def failure(engine, request=None):
    with pytest.raises(EngineError) as caught:
        generate(engine, [request or ask()])
    return str(caught.value)


def test_sends_the_protocol_and_reads_the_answer(endpoint, make):
    endpoint.script = [answer("print(1)", "length")]
    (completion,) = generate(make(), [ask(temperature=0.5, top_p=0.9, max_tokens=7, stop=("\n\n",))])
    assert (completion.text, completion.stop_reason) == ("print(1)", "length")
    assert completion.ids == completion.sampler_logprobs == ()
    ((path, headers, body),) = endpoint.received
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert body == {
        "model": "coder",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "top_p": 0.9,
        "max_tokens": 7,
        "stop": ["\n\n"],
        "seed": 4,
    }


def test_without_a_key_none_is_sent(endpoint):
    endpoint.script = [answer("a")]
    engine = OpenAIEngine(endpoint.url + "/", "coder")
    generate(engine, [ask()])
    asyncio.run(engine.close())
    assert "Authorization" not in endpoint.received[0][1]
    assert "stop" not in endpoint.received[0][2]


@pytest.mark.parametrize(
    ("finish_reason", "stop_reason"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_stop"), (None, "stop")],
)
def test_stop_reasons(endpoint, make, finish_reason, stop_reason):
    endpoint.script = [answer(None, finish_reason)]
    (completion,) = generate(make(), [ask()])
    assert (completion.text, completion.stop_reason) == ("", stop_reason)


def test_tries_again_after_passing_failures(endpoint, make):
    endpoint.script = [(429, {}, {"Retry-After": "0"}), (500, {}), (503, b"busy"), None, answer("done")]
    assert generate(make(), [ask()])[0].text == "done"
    assert len(endpoint.received) == 5


def test_gives_up_after_the_last_try_and_says_why(endpoint, make):
    endpoint.script = [(503, {"error": "overloaded"})] * 3
    text = failure(make(retries=2))
    assert "status 503" in text and "overloaded" in text and "after 3 tries" in text and endpoint.url in text
    assert len(endpoint.received) == 3


def test_a_refusal_is_not_tried_again_and_the_key_is_hidden(endpoint, make):
    endpoint.script = [(401, {"error": f"incorrect key {KEY}"})]
    engine = make()
    text = failure(engine)
    assert "status 401" in text and "incorrect key [key]" in text
    assert KEY not in text + repr(engine)
    assert len(endpoint.received) == 1


@pytest.mark.parametrize(
    "body",
    [b"<html>", b"[]", b'"text"', b'{"choices": []}', b'{"choices": [{"message": null}]}', b'{"error": "no"}'],
)
def test_malformed_answers_fail_at_once(endpoint, make, body):
    endpoint.script = [(200, body)]
    assert "wanted a chat completion, got" in failure(make())
    assert len(endpoint.received) == 1


def test_a_withheld_answer_is_an_error_not_an_empty_completion(endpoint, make):
    endpoint.script = [answer("", "content_filter")]
    assert "content_filter" in failure(make())


def test_a_slow_answer_times_out(endpoint, make):
    release = threading.Event()

    def slow(body):
        release.wait(10)

    endpoint.script = [slow, slow]
    text = failure(make(timeout_s=0.05, retries=1))
    release.set()
    assert "Timeout" in text and "after 2 tries" in text


def test_nobody_listening_is_an_engine_error(endpoint):
    engine = OpenAIEngine("http://127.0.0.1:1/v1", "coder", retries=1, backoff_s=0.001)
    assert "ConnectError" in failure(engine)
    asyncio.run(engine.close())


def test_concurrency_is_bounded_and_results_keep_the_order_of_requests(endpoint, make):
    both_here = threading.Barrier(2)

    def echo(body):
        both_here.wait(10)  # breaks, and the test fails, unless two run together
        return answer(body["messages"][1]["content"])

    endpoint.script = [echo] * 6
    completions = generate(make(max_concurrency=2), [ask(str(number)) for number in range(6)])
    assert [completion.text for completion in completions] == list("012345")
    assert endpoint.most_in_flight == 2


def test_serves_one_event_loop_after_another(endpoint, make):
    endpoint.script = [answer("a"), answer("b")]
    engine = make()
    assert [generate(engine, [ask()])[0].text for _ in range(2)] == ["a", "b"]


def test_closing_ends_the_wait_for_the_next_try(endpoint, make):
    endpoint.script = [(503, {})]

    async def close_while_waiting(engine):
        waiting = asyncio.create_task(engine.sample(ask()))
        while not endpoint.received:
            await asyncio.sleep(0.01)
        await engine.close()
        await waiting

    with pytest.raises(EngineError, match="closed"):
        asyncio.run(close_while_waiting(make(backoff_s=60)))


def test_what_cannot_be_sent_is_refused(endpoint, make):
    engine = make()
    assert not engine.exact
    assert "takes messages" in failure(engine, Request(prompt_ids=(1,)))
    assert "top_k" in failure(engine, ask(top_k=5))
    assert "kept" in failure(engine, ask(kept=True))
    with pytest.raises(EngineError, match="serves its own"):
        asyncio.run(engine.update_weights("base", 1, iter(())))
    assert endpoint.received == []


@pytest.mark.parametrize("around", ["\n", "\r\n", " "])
def test_white_space_around_the_key_is_not_sent(endpoint, around):
    """A file read without `strip` ends in a line break."""
    endpoint.script = [answer("a")]
    engine = OpenAIEngine(endpoint.url, "coder", around + KEY + around)
    generate(engine, [ask()])
    asyncio.run(engine.close())
    assert endpoint.received[0][1]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("key", ["sk-very secret", "sk-very\nsecret", "sk-véry-secret"])
def test_a_key_that_cannot_be_sent_is_refused_unshown(endpoint, key):
    with pytest.raises(ConfigError, match="the API key has spaces") as caught:
        OpenAIEngine(endpoint.url, "coder", key)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["localhost:8000/v1", "ftp://localhost/v1", "http://", "http://me:password@localhost:port/v1"]
)
def test_an_address_says_how_it_is_spoken_to(url):
    with pytest.raises(ConfigError, match=r"base_url is .*; wanted .*http://localhost:8000/v1") as caught:
        OpenAIEngine(url, "coder")
    assert "password" not in str(caught.value)


def test_contents_that_cannot_be_decoded_are_tried_again(endpoint, make):
    endpoint.script = [(200, b"no gzip", {"Content-Encoding": "gzip"}), answer("a")]
    assert generate(make(), [ask()])[0].text == "a"
    endpoint.script = [(200, b"no gzip", {"Content-Encoding": "gzip"})] * 2
    assert "DecodingError" in failure(make(retries=1))


def test_a_finish_reason_that_is_no_word_is_an_engine_error(endpoint, make):
    endpoint.script = [answer("a", {"type": "stop"})]
    assert "finish_reason {'type': 'stop'}" in failure(make())


def test_half_a_character_is_an_engine_error(endpoint, make):
    assert r"holds '\ud83d', half a character" in failure(make(), ask("lone \ud83d"))
    assert endpoint.received == []


def test_a_closed_engine_refuses(make):
    engine = make()
    asyncio.run(engine.close())
    assert "closed" in failure(engine)


def test_a_request_given_up_is_asked_no_more_and_leaves_its_place(endpoint, make):
    """One place, held by a request that hangs for longer than the test; the next has it at once."""
    release = threading.Event()
    endpoint.script = [lambda body: release.wait(20) and None, answer("next")]
    engine = make(max_concurrency=1, timeout_s=15)

    async def play():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await engine.sample(ask())
        async with asyncio.timeout(10):
            return await engine.sample(ask("again"))

    assert asyncio.run(play()).text == "next"
    assert [body["messages"][1]["content"] for _, _, body in endpoint.received] == ["hi", "again"]
    release.set()


def test_a_request_given_up_between_tries_is_asked_no_more(endpoint, make):
    endpoint.script = [(503, {})] * 9
    engine = make(backoff_s=0.2)

    async def play():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await engine.sample(ask())
        asked = len(endpoint.received)
        await asyncio.sleep(0.6)  # two more pauses
        return asked

    assert asyncio.run(play()) == len(endpoint.received)


_ASK_A_SILENT_SERVER = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell has what it starts in the background ignore it
from verigrad.engines.base import Request
from verigrad.engines.openai import OpenAIEngine
from verigrad.types import Message

async def main():
    engine = OpenAIEngine(sys.argv[1], "m", timeout_s=60)
    try:
        await engine.sample(Request(messages=(Message("user", "hi"),)))
    finally:
        await engine.close()

asyncio.run(main())
"""


def test_an_interrupt_ends_the_program_with_a_request_under_way():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        program = subprocess.Popen(
            [sys.executable, "-c", _ASK_A_SILENT_SERVER, url],
            env={**os.environ, "NO_PROXY": "*"},
            stderr=subprocess.PIPE,
        )
        connection, _ = server.accept()
        with connection:
            connection.recv(1)  # the request is there
            program.send_signal(signal.SIGINT)
            try:
                _, said = program.communicate(timeout=20)  # seconds, of the 60 it would wait for an answer
            finally:
                program.kill()
    assert b"KeyboardInterrupt" in said
