"""Conversations that a model's template does not take are refused, with the model's name and the record's place."""

import copy

import pytest
from tiny import END, tiny_tokenizer

from verigrad.errors import ConfigError, DataError
from verigrad.models.chat import prompt_ids
from verigrad.models.diffusion import unused_ids
from verigrad.preferences.records import Pair, as_pairs, as_rankings, as_rated, read_records
from verigrad.training.examples import examples_of
from verigrad.training.sft import demonstration_rows, read_demonstrations
from verigrad.types import Message

USER, SYSTEM, ASSISTANT = (Message(role, f"the {role}") for role in ("user", "system", "assistant"))
# As Mistral's and Gemma's: no system message, and turns that alternate.
STRICT = (
    "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate user/assistant') }}{% endif %}"
    "{{ '<|im_start|>' + message['content'] }}{% endfor %}"
)


def tokenizer_with(template):
    tokenizer = copy.deepcopy(tiny_tokenizer())
    tokenizer.chat_template, tokenizer.name_or_path = template, "models/base"
    return tokenizer


def test_without_a_template_one_user_message_is_a_paragraph_and_nothing_else_is_guessed():
    bare = tokenizer_with(None)
    assert bare.decode(prompt_ids(bare, [USER])) == "the user\n\n"
    for messages in ([SYSTEM, USER], [USER, ASSISTANT, USER], [SYSTEM], []):
        with pytest.raises(ConfigError, match="'models/base' has no chat template"):
            prompt_ids(bare, messages)


def test_a_template_that_raises_is_a_setting_that_is_wrong():
    strict = tokenizer_with(STRICT)
    assert strict.decode(prompt_ids(strict, [USER])) == "<|im_start|>the user"
    for messages in ([SYSTEM, USER], [USER, USER]):
        with pytest.raises(ConfigError, match=r"template of 'models/base' refuses messages of .*roles must alternate"):
            prompt_ids(strict, messages)


def test_an_answer_that_was_cut_off_has_no_end_to_learn():
    """Its writer did not end there. For a reward model the last token is there twice, be it the end or not."""
    pair = Pair(prompt=(USER,), chosen="ab", rejected="cd", meta={"rejected_cut_off": True})
    tokenizer = tiny_tokenizer()
    for closing, wanted in ((False, [(*b"ab", END), tuple(b"cd")]), (True, [(*b"ab", END, END), tuple(b"cdd")])):
        for turned in (as_pairs, as_rankings, as_rated):
            found = examples_of(tokenizer, turned([pair]), system=None, max_length=99, closing=closing)
            rows = [row for example in found for row in example.rows]
            assert [row.ids[row.prompt_length :] for row in rows] == wanted
            assert all(sum(row.mask) == len(ids) for row, ids in zip(rows, wanted, strict=True))


def test_the_record_is_named_by_file_and_line(tmp_path):
    file = tmp_path / "pairs.jsonl"
    good = '{"prompt": "p", "chosen": "a", "rejected": "b"}\n'
    two = '{"prompt": [{"role": "user", "content": "p"}, {"role": "user", "content": "q"}], '
    file.write_text(good + two + '"chosen": "a", "rejected": "b"}\n')
    records = read_records(file)
    for template in (None, STRICT):
        tokenizer = tokenizer_with(template)
        for turned in (as_pairs, as_rated, as_rankings):
            with pytest.raises(DataError, match=r"pairs\.jsonl:2: .*'models/base'"):
                examples_of(tokenizer, turned(records), system=None, max_length=99)
        with pytest.raises(DataError, match=r"pairs\.jsonl:1: .*'models/base'"):
            examples_of(tokenizer, records, system="Be brief.", max_length=99)
    demonstrations = tmp_path / "answers.jsonl"
    demonstrations.write_text(two + '"completion": "a"}\n')
    with pytest.raises(DataError, match=r"answers\.jsonl:1: the chat template of 'models/base' refuses"):
        demonstration_rows(tokenizer_with(STRICT), read_demonstrations(demonstrations), None, 99)


def test_a_mask_id_is_found_whatever_the_template_takes():
    for template in (None, STRICT, tiny_tokenizer().chat_template):
        assert unused_ids(tokenizer_with(template), 260) == [259]
