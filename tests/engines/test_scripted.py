"""What a scripted engine plays, how it ends completions, and what it remembers."""

import asyncio

import pytest

from verigrad.engines import ENGINES
from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.scripted import ScriptedEngine, made_up_logprob
from verigrad.errors import EngineError
from verigrad.registry import resolve
from verigrad.types import Message


class Letters:
    """Text as character codes, with 0 for the end."""

    eos_token_id = 0

    def encode(self, text, *, add_special_tokens=False):
        return [ord(letter) for letter in text]

    def decode(self, ids, *, skip_special_tokens=False):
        return "".join(chr(token) for token in ids if token or not skip_special_tokens)


def ids(text: str) -> tuple[int, ...]:
    return tuple(map(ord, text))


def ask(answers, *requests: Request):
    return generate(ScriptedEngine(answers, Letters()), requests)


def test_plays_the_completions_of_a_prompt_in_order_over_and_over():
    asked = [Request(prompt_ids=ids("p"), seed=seed) for seed in range(3)]
    played = ask({"p": ["ab", "c"], "q": ["d"]}, *asked, Request(prompt_ids=ids("q")))
    assert [completion.text for completion in played] == ["ab", "c", "ab", "d"]
    assert played[0].ids == (97, 98, 0)
    # (7 * 97 + 0) % 11 = 8, (7 * 98 + 3) % 11 = 7, (0 + 6) % 11 = 6
    assert played[0].sampler_logprobs == (-0.9, -0.8, -0.7)
    assert played[0].stop_reason == "stop"


@pytest.mark.parametrize("key", [ids("full prompt"), "full prompt", "last message"])
def test_finds_the_answer_by_ids_by_text_or_by_last_message(key):
    messages = (Message("system", "s"), Message("user", "last message"))
    (played,) = ask({key: ["yes"]}, Request(prompt_ids=ids("full prompt"), messages=messages))
    assert played.text == "yes"


def test_a_function_answers_from_the_request():
    played = ask(lambda request: str(request.seed), Request(seed=7), Request(seed=8))
    assert [completion.text for completion in played] == ["7", "8"]


@pytest.mark.parametrize(
    ("params", "want_ids", "text", "stop_reason"),
    [
        (SamplingParams(), (*ids("one;two"), 0), "one;two", "stop"),
        (SamplingParams(max_tokens=8), (*ids("one;two"), 0), "one;two", "stop"),
        (SamplingParams(max_tokens=7), ids("one;two"), "one;two", "length"),
        (SamplingParams(max_tokens=2), ids("on"), "on", "length"),
        (SamplingParams(stop=("two", ";t")), ids("one;t"), "one", "stop"),
        (SamplingParams(stop=(";",), max_tokens=3), ids("one"), "one", "length"),
        (SamplingParams(stop_ids=(ord(";"),)), ids("one;"), "one", "stop"),
    ],
)
def test_ends_as_an_engine_would(params, want_ids, text, stop_reason):
    (played,) = ask({"p": ["one;two"]}, Request(prompt_ids=ids("p"), params=params))
    assert (played.ids, played.text, played.stop_reason) == (want_ids, text, stop_reason)
    assert len(played.sampler_logprobs) == len(want_ids)


def test_made_up_logprobs_are_logprobs_and_tell_tokens_apart():
    values = [made_up_logprob(position, token) for position in range(4) for token in range(11)]
    assert all(-1.1 <= value <= -0.1 for value in values)
    assert len(set(values[:11])) == 11


def test_an_unknown_prompt_is_an_engine_error():
    with pytest.raises(EngineError, match="no scripted answer for the prompt 'x'"):
        ask({"p": ["a"]}, Request(prompt_ids=ids("x")))


def test_remembers_requests_and_versions():
    engine = ScriptedEngine(lambda request: "a", Letters())
    request = Request(seed=3)
    sent = []

    def tensors():
        sent.append("read to the end")
        yield from ()

    assert engine.exact
    assert generate(engine, [request])[0].policy_version == 0
    asyncio.run(engine.update_weights("base", 5, tensors()))
    assert generate(engine, [request])[0].policy_version == 5
    assert sent == ["read to the end"]
    assert engine.requests == [request, request]


@pytest.mark.parametrize("name", ["scripted", "openai", "vllm"])
def test_table_names_engines_that_import_without_their_backends(name):
    engine = resolve(name, ENGINES, what="engine")
    assert {"sample", "update_weights", "close", "exact"} <= set(dir(engine))
