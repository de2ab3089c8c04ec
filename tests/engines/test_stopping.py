"""Texts of completions where the tokenizer leaves out the space a text begins with, as Llama 2's and Mistral's do."""

import asyncio

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers
from transformers import PreTrainedTokenizerFast

from verigrad.agents.single_turn import SingleTurn
from verigrad.engines.base import Completion, Request, SamplingParams
from verigrad.engines.stopping import Stopping
from verigrad.types import Task

WORDS = ["<unk>", "</s>", "▁def", "▁", "▁▁", "▁▁▁▁", "return", "▁x", "<0x0A>", "x"]
END = WORDS.index("</s>")


@pytest.fixture
def tokenizer():
    backend = Tokenizer(models.BPE({word: n for n, word in enumerate(WORDS)}, [], unk_token="<unk>"))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>")


def ids(*words):
    return tuple(WORDS.index(word) for word in words)


BEGUN = ids("▁def", "▁x", "<0x0A>")
BODY = ids("▁▁▁▁", "return", "▁x", "</s>")


def asked(begun, **params):
    return Request(prompt_ids=(END, *BEGUN), params=SamplingParams(**params), begun=begun)


def test_an_answer_that_was_begun_keeps_its_indentation(tokenizer):
    stopping = Stopping(tokenizer, frozenset({END}))
    assert stopping.text(BODY, asked(0)) == "   return x"  # the beginning of a text: one space is the tokenizer's own
    assert stopping.text(BODY, asked(len(BEGUN))) == "    return x"
    assert asked(2).begun_ids == ids("▁x", "<0x0A>") and asked(0).begun_ids == ()


def test_stop_texts_see_the_same_text(tokenizer):
    """Four spaces end the completion only where there are four."""
    stopping = Stopping(tokenizer, frozenset({END}))
    for begun, ends in ((0, False), (len(BEGUN), True)):
        request = asked(begun, stop=("    ret",), max_tokens=9)
        assert (stopping.reason(BODY[:2], request, 9) == "stop") is ends
        assert stopping.text(BODY[:2], request) == ("" if ends else "   return")


def test_an_agent_says_how_much_it_began(tokenizer, monkeypatch):
    """What is judged is the beginning and the text behind it."""
    stopping = Stopping(tokenizer, frozenset({END}))

    class Engine:
        async def sample(self, request):
            self.request = request
            text = stopping.text(BODY, request)
            return Completion(ids=BODY, sampler_logprobs=(0.0,) * len(BODY), text=text, stop_reason="stop")

    class Tokens:
        chat_template = None

        def encode(self, text, add_special_tokens=True):
            return [END] if add_special_tokens else list(BEGUN)

    engine = Engine()
    agent = SingleTurn(Tokens(), SamplingParams(), prefill=lambda task: "def x\n")
    task = Task(id="t@1/0", prompt="write", language="python", entry_point="x")
    attempt = asyncio.run(agent.attempt(task, engine, seed=0))
    assert attempt.text == "def x\n    return x" and engine.request.begun_ids == BEGUN
