"""Where an answer ends, as the chat template has it, whatever the tokenizer's own end token is."""

import copy
from types import SimpleNamespace

import pytest
from tiny import END, tiny_model, tiny_tokenizer

from verigrad.cli.evaluate import _agent
from verigrad.errors import ConfigError
from verigrad.models.chat import answer_ids, end_id, end_ids_of, prompt_ids
from verigrad.types import Message

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA = (  # trims contents, and has no newline behind the end
    "{% for m in messages %}{{ '<|start|>' + m.role + '<|stop|>\n\n' + m.content | trim + '<|eot|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start|>assistant<|stop|>\n\n' }}{% endif %}"
)
LLAMA_2 = (
    "{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }} </s>"
    "{% endif %}{% endfor %}"
)
PLAIN = "{% for m in messages %}{{ '### ' + m.role + '\n' + m.content + '\n' }}{% endfor %}"
NO_ANSWERS = "{% for m in messages %}{% if m.role == 'assistant' %}{{ raise_exception('no') }}{% endif %}{% endfor %}"
FORGETS = "{% for m in messages %}{{ m.role }}{% endfor %}"


def tokenizer_of(template, *tokens, eos="<|endoftext|>"):
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|endoftext|>", *tokens]})
    tokenizer.eos_token, tokenizer.chat_template = eos, template
    return tokenizer


@pytest.mark.parametrize(
    ("template", "tokens", "end"),
    [
        (CHATML, [], "<|im_end|>"),
        (LLAMA, ["<|start|>", "<|stop|>", "<|eot|>"], "<|eot|>"),
        (LLAMA_2, ["</s>"], "</s>"),
        (PLAIN, [], "<|endoftext|>"),
        (NO_ANSWERS, [], "<|endoftext|>"),
        (FORGETS, [], "<|endoftext|>"),
        (None, [], "<|endoftext|>"),
    ],
    ids=["chatml", "llama 3", "llama 2", "no end token", "refuses answers", "leaves the answer out", "no template"],
)
def test_an_answer_ends_as_the_template_ends_a_turn(template, tokens, end):
    tokenizer = tokenizer_of(template, *tokens)
    wanted = tokenizer.convert_tokens_to_ids(end)
    assert answer_ids(tokenizer, "Yo") == (*b"Yo", wanted)
    model, _ = tiny_model()
    assert end_ids_of(model, tokenizer) == {tokenizer.eos_token_id, END, wanted}  # END is of the generation config


@pytest.mark.parametrize("template", [CHATML, LLAMA])
def test_prompt_and_answer_are_the_beginning_of_the_conversation_as_it_is_written(template):
    """With a system message, and with text behind the end that belongs to the next turn."""
    tokenizer = tokenizer_of(template, "<|start|>", "<|stop|>", "<|eot|>")
    messages = [Message("system", "Be brief."), Message("user", "Say hi.")]
    written = [{"role": m.role, "content": m.content} for m in (*messages, Message("assistant", "Hi."))]
    whole = tokenizer.encode(tokenizer.apply_chat_template(written, tokenize=False), add_special_tokens=False)
    ids = [*prompt_ids(tokenizer, messages), *answer_ids(tokenizer, "Hi.")]
    assert whole[: len(ids)] == ids and tokenizer.decode(whole[len(ids) :]).strip() == ""


def test_nothing_changes_where_the_two_are_the_same():
    tokenizer = tiny_tokenizer()
    assert end_id(tokenizer) == tokenizer.eos_token_id == END


def test_without_template_and_end_token_the_error_says_what_to_set():
    tokenizer = tokenizer_of(None)
    tokenizer.eos_token = None
    with pytest.raises(ConfigError, match=r"no eos_token, .* set tokenizer.eos_token"):
        answer_ids(tokenizer, "Yo")


def test_vllm_is_told_where_a_turn_ends():
    tokenizer = tokenizer_of(CHATML)
    options = SimpleNamespace(max_tokens=8, temperature=0.0, top_p=1.0, system=None, engine="vllm")
    assert _agent(options, tokenizer).params.stop_ids == (END,)
    options.engine = "auto"
    assert _agent(options, tokenizer).params.stop_ids == ()
