"""The ids of a conversation are those of its chat template, each special token once."""

import copy

import pytest
from tiny import tiny_tokenizer

from verigrad.models.chat import prompt_ids
from verigrad.types import Message

START, END = 257, 258
ASKED = [*b"user\n", *b"Hi"]
TURN = [START, *ASKED, END, *b"\n"]
OPEN = [START, *b"assistant\n"]


@pytest.mark.parametrize(
    ("messages", "ids"),
    [
        ([Message("user", "Hi")], TURN + OPEN),
        ([Message("system", "Be"), Message("user", "Hi")], [START, *b"system\nBe", END, *b"\n", *TURN, *OPEN]),
        (
            [Message("user", "Hi"), Message("assistant", "Yo"), Message("user", "Hi")],
            [*TURN, START, *b"assistant\nYo", END, *b"\n", *TURN, *OPEN],
        ),
    ],
)
def test_the_template_is_followed_to_the_letter(messages, ids):
    assert prompt_ids(tiny_tokenizer(), messages) == tuple(ids)


def test_special_tokens_are_not_added_a_second_time():
    """A tokenizer that puts its start token before every text: the template has written it."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer._tokenizer.post_processor = TemplateProcessing("<|im_start|> $A", None, [("<|im_start|>", START)])
    assert tokenizer.encode("Hi") == [START, *b"Hi"]
    assert prompt_ids(tokenizer, [Message("user", "Hi")]) == tuple(TURN + OPEN)
