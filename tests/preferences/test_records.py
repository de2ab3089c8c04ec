"""Preference files: what is read, what is refused and in which words, and one kind of record as another."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from verigrad.errors import ConfigError, DataError
from verigrad.preferences.records import (
    Pair,
    Ranking,
    Rated,
    as_pairs,
    as_rankings,
    as_rated,
    cut_off_of,
    fractions_of,
    parse_record,
    read_records,
    record_row,
    write_records,
    write_rows,
)
from verigrad.types import Message

PROMPT = (Message("user", "2 + 2?"),)
ASKED = {"role": "user", "content": "2 + 2?"}
SYSTEM = {"role": "system", "content": "Be brief."}


def said(text):
    return {"role": "assistant", "content": text}


def written(tmp_path, *rows):
    """A file of these rows, or lines where they are text."""
    file = tmp_path / "data.jsonl"
    file.write_text(
        "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), encoding="utf-8"
    )
    return file


# ------------------------------------------------------------------------------------------------ reading


def test_the_three_kinds_are_read(tmp_path):
    file = written(
        tmp_path,
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "margin": 1, "meta": {"by": "me"}},
        "",
        {"prompt": "2 + 2?", "completion": "4", "label": True},
        {"prompt": [SYSTEM, ASKED], "completions": ["4", [said("5")]], "rewards": [1, 0.5]},
    )
    pair, rated, ranking = read_records(file)
    assert pair == Pair(prompt=PROMPT, chosen="4", rejected="5", margin=1.0, meta={"by": "me"})
    assert isinstance(pair.margin, float)
    assert rated == Rated(prompt=PROMPT, completion="4", desirable=True)
    assert ranking.prompt == (Message("system", "Be brief."), *PROMPT)
    assert (ranking.completions, ranking.rewards) == (("4", "5"), (1.0, 0.5))


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"},
        {"prompt": [ASKED], "chosen": [said("4")], "rejected": [said("5")]},
        {"chosen": [ASKED, said("4")], "rejected": [ASKED, said("5")]},
        {"prompt": "2 + 2?", "chosen": [ASKED, said("4")], "rejected": [ASKED, said("5")]},
        {"prompt": "2 + 2?", "chosen": [ASKED, said("4")], "rejected": "5"},
        {"prompt": [], "chosen": [ASKED, said("4")], "rejected": [ASKED, said("5")]},
    ],
)
def test_every_form_of_a_pair_says_its_prompt_once(row):
    assert parse_record(row, "here") == Pair(prompt=PROMPT, chosen="4", rejected="5")


def test_a_conversation_may_put_a_system_message_before_the_prompt():
    row = {"prompt": "2 + 2?", "chosen": [SYSTEM, ASKED, said("4")], "rejected": [SYSTEM, ASKED, said("5")]}
    assert parse_record(row, "here").prompt == (Message("system", "Be brief."), *PROMPT)


def test_a_conversation_may_continue_the_prompt():
    row = {"prompt": [SYSTEM], "chosen": [ASKED, said("4")], "rejected": [ASKED, said("5")]}
    assert parse_record(row, "here").prompt == (Message("system", "Be brief."), *PROMPT)


def test_characters_that_look_like_line_ends_stay_in_their_strings(tmp_path):
    row = json.dumps({"prompt": "a\u2028b", "chosen": "c\x85d", "rejected": "e"}, ensure_ascii=False)
    (pair,) = read_records(written(tmp_path, row))
    assert (pair.prompt[0].content, pair.chosen) == ("a\u2028b", "c\x85d")


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    file = tmp_path / "data.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"prompt": "p", "chosen": "a", "rejected": "b"}\r\n\r\n')
    assert len(read_records(file)) == 1


GOOD = {"prompt": "p", "chosen": "a", "rejected": "b"}
RANKED = {"prompt": "p", "completions": ["a", "b"], "rewards": [1, 0]}
USER = {"role": "user", "content": "p"}


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ('{"prompt": ', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1, 2]", "[1, 2] is not an object"),
        ("null", "null is not an object"),
        ({}, "has no field; wanted chosen and rejected, or completion and label"),
        ({"prompt": "p", "text": "a"}, "has 'prompt', 'text'; wanted chosen and rejected"),
        ({"prompt": "p", "chosen": "a"}, "rejected is missing"),
        ({"prompt": "p", "rejected": "a"}, "chosen is missing"),
        ({"chosen": "a", "rejected": "b"}, "prompt is missing, and chosen holds no messages before the answer"),
        ({"prompt": [], "chosen": "a", "rejected": "b"}, "prompt is missing"),
        ({**GOOD, "rejected": "a"}, "chosen and rejected are the same text"),
        ({**GOOD, "chosen": [said("b")]}, "chosen and rejected are the same text"),
        ({**GOOD, "chosen": "  \n"}, "chosen is empty"),
        ({**GOOD, "rejected": [said("")]}, "rejected is empty"),
        ({**GOOD, "chosen": 3}, "chosen is 3, wanted text or a list of messages"),
        ({**GOOD, "chosen": None}, "chosen is null, wanted text"),
        ({**GOOD, "chosen": []}, "chosen is a conversation that does not end with the assistant"),
        ({**GOOD, "chosen": [USER]}, "chosen is a conversation that does not end with the assistant"),
        ({**GOOD, "chosen": ["a"]}, 'chosen[0] is "a", wanted an object with role and content'),
        ({**GOOD, "chosen": [{"role": "assistant", "content": None}]}, "chosen[0] is {"),
        ({**GOOD, "chosen": [{"role": "gpt", "content": "a"}]}, "role 'gpt', wanted one of system, user, assistant"),
        ({**GOOD, "chosen": [{**said("a"), "tool_calls": [{}]}]}, "chosen[0] has tool_calls"),
        ({**GOOD, "prompt": ""}, "prompt is empty"),
        ({**GOOD, "prompt": {"text": "p"}}, 'prompt is {"text": "p"}, wanted text or a list of messages'),
        ({**GOOD, "prompt": [{"role": "user"}]}, 'prompt[0] is {"role": "user"}, wanted an object'),
        ({"chosen": [USER, said("a")], "rejected": [ASKED, said("b")]}, "do not continue the same prompt"),
        ({**GOOD, "margin": "1"}, 'margin is "1", wanted a finite number'),
        ({**GOOD, "margin": True}, "margin is true, wanted a finite number"),
        ('{"prompt": "p", "chosen": "a", "rejected": "b", "margin": NaN}', "margin is NaN, wanted a finite number"),
        ({**GOOD, "margin": 10**400}, "wanted a finite number"),
        ({**GOOD, "margin": -0.5}, "margin is -0.5, so rejected would be the better one"),
        ({**GOOD, "meta": None}, "meta is null, wanted an object"),
        ({**GOOD, "meta": "x"}, 'meta is "x", wanted an object'),
        ({"prompt": "p", "completion": "a"}, "label is missing, wanted true or false"),
        ({"prompt": "p", "completion": "a", "label": 1}, "label is 1, wanted true or false"),
        ({"prompt": "p", "completion": " ", "label": True}, "completion is empty"),
        ({"prompt": "p", "completions": "a", "rewards": [1]}, 'completions is "a", wanted a list'),
        ({"prompt": "p", "completions": ["a", "b"]}, "rewards is missing, wanted a list"),
        ({"prompt": "p", "completions": ["a", "b"], "rewards": [1]}, "2 completions and 1 rewards"),
        ({"prompt": "p", "completions": ["a"], "rewards": [1]}, "1 completions and 1 rewards"),
        ({**RANKED, "rewards": [1, "0"]}, 'rewards[1] is "0", wanted a finite number'),
        ({**RANKED, "rewards": [1, False]}, "rewards[1] is false, wanted a finite number"),
        ({**RANKED, "completions": ["a", ""]}, "completions[1] is empty"),
        (
            {"completions": [[USER, said("a")], [ASKED, said("b")]], "rewards": [1, 0]},
            "completions do not all continue the same prompt",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_field(tmp_path, row, says):
    file = written(tmp_path, GOOD, row)
    with pytest.raises(DataError) as error:
        read_records(file)
    assert str(error.value).startswith(f"{file}:2: ")
    assert says in str(error.value)
    assert len(str(error.value)) < 500


def test_a_file_that_is_missing_empty_or_no_text(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*absent\.jsonl"):
        read_records(tmp_path / "absent.jsonl")
    with pytest.raises(DataError, match="holds no row; wanted a JSON object a line"):
        read_records(written(tmp_path, "", ""))
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_records(tmp_path / "bytes.jsonl")


# ------------------------------------------------------------------------------------------------ writing


def test_rows_are_plain_where_they_can_be():
    pair = Pair(prompt=PROMPT, chosen="4", rejected="5")
    assert record_row(pair) == {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}
    rated = Rated(prompt=(Message("system", "Be brief."), *PROMPT), completion="4", desirable=False, meta={"n": 1})
    assert record_row(rated) == {"prompt": [SYSTEM, ASKED], "completion": "4", "label": False, "meta": {"n": 1}}


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (Pair(prompt=PROMPT, chosen="4", rejected="4"), "record 2: chosen and rejected are the same"),
        (Pair(prompt=PROMPT, chosen="4", rejected="5", margin=float("nan")), "record 2: margin is NaN"),
        (Pair(prompt=(), chosen="4", rejected="5"), "record 2: prompt is missing"),
        (Rated(prompt=PROMPT, completion=" ", desirable=True), "record 2: completion is empty"),
        (Rated(prompt=PROMPT, completion="4", desirable=True, meta={"x": {1}}), "row 2 cannot be written as JSON"),
        (Rated(prompt=PROMPT, completion="4", desirable=True, meta={"x": float("inf")}), "row 2 cannot be written"),
    ],
)
def test_what_could_not_be_read_back_is_not_written(tmp_path, record, says):
    file = tmp_path / "data.jsonl"
    file.write_text("as it was")
    with pytest.raises(DataError, match=says):
        write_records(file, [Rated(prompt=PROMPT, completion="4", desirable=True), record])
    assert file.read_text() == "as it was"
    assert [path.name for path in tmp_path.iterdir()] == ["data.jsonl"]


def test_folders_are_made_and_a_place_that_cannot_be_written_is_named(tmp_path):
    write_records(tmp_path / "new" / "data.jsonl", [Rated(prompt=PROMPT, completion="4", desirable=True)])
    assert len(read_records(tmp_path / "new" / "data.jsonl")) == 1
    with pytest.raises(ConfigError, match="cannot write"):
        write_rows(tmp_path / "new" / "data.jsonl" / "inside", [{}])


text = st.text(min_size=1).filter(str.strip)
messages = st.builds(Message, st.sampled_from(["system", "user", "assistant", "tool"]), st.text())
prompts = st.one_of(text.map(lambda content: (Message("user", content),)), st.lists(messages, min_size=1).map(tuple))
prompts = prompts.filter(lambda prompt: len(prompt) > 1 or prompt[0].content.strip())
values = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False, allow_infinity=False), text)
metas = st.dictionaries(st.text(), st.one_of(values, st.lists(values)), max_size=2)
finite = st.floats(allow_nan=False, allow_infinity=False)
margins = st.one_of(st.none(), st.floats(0, 1e300))
pairs = st.builds(Pair, prompt=prompts, chosen=text, rejected=text, margin=margins, meta=metas)
pairs = pairs.filter(lambda pair: pair.chosen != pair.rejected)
rated = st.builds(Rated, prompt=prompts, completion=text, desirable=st.booleans(), meta=metas)
rankings = st.lists(st.tuples(text, finite), min_size=2, max_size=4).flatmap(
    lambda scored: st.builds(
        Ranking,
        prompt=prompts,
        completions=st.just(tuple(completion for completion, _ in scored)),
        rewards=st.just(tuple(reward for _, reward in scored)),
        meta=metas,
    )
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(pairs, rated, rankings), min_size=1, max_size=4))
def test_what_is_written_is_read_back(tmp_path, records):
    write_records(tmp_path / "data.jsonl", records)
    assert read_records(tmp_path / "data.jsonl") == records


# -------------------------------------------------------------------------------------------- conversions


def test_pairs_of_every_kind():
    pair = Pair(prompt=PROMPT, chosen="4", rejected="5", margin=2.0)
    # Rewards 1, 0.5, 0.5, 0: the best beats three, each middle one beats the last; the two in the middle tie.
    ranking = Ranking(prompt=PROMPT, completions=("a", "b", "c", "d"), rewards=(1.0, 0.5, 0.5, 0.0), meta={"n": 1})
    good = [Rated(prompt=PROMPT, completion=answer, desirable=True, meta={"by": "me"}) for answer in ("4", "four")]
    bad = Rated(prompt=PROMPT, completion="5", desirable=False, meta={"by": "you", "n": 2})
    lonely = Rated(prompt=(Message("user", "other"),), completion="x", desirable=False)
    found = as_pairs([pair, bad, ranking, *good, lonely])
    assert found[0] == pair
    assert [(p.chosen, p.rejected, p.margin) for p in found[1:6]] == [
        ("a", "b", 0.5),
        ("a", "c", 0.5),
        ("a", "d", 1.0),
        ("b", "d", 0.5),
        ("c", "d", 0.5),
    ]
    assert found[1].meta == {"n": 1}
    assert [(p.chosen, p.rejected, p.margin) for p in found[6:]] == [("4", "5", None), ("four", "5", None)]
    assert found[6].meta == {"by": "me", "n": 2}


def test_pairs_of_rated_answers_keep_to_each_answer_what_it_passed():
    """Two pairs of one prompt taken apart and made anew: each answer's share of tests goes where the answer goes."""
    passed = {"a": 1.0, "b": 0.25, "c": 0.75, "d": 0.5}
    pairs = [
        Pair(
            prompt=PROMPT,
            chosen=chosen,
            rejected=rejected,
            meta={"task_id": "t", "chosen_fraction": passed[chosen], "rejected_fraction": passed[rejected]},
        )
        for chosen, rejected in ("ab", "cd")
    ]
    bare = [
        Rated(prompt=PROMPT, completion=text, desirable=text in "ac", meta={"fraction": passed[text]})
        for text in passed
    ]
    for rated in (as_rated(pairs), bare):
        made = as_pairs(rated)
        assert [(pair.chosen, pair.rejected) for pair in made] == [*(("a", "b"), ("a", "d")), *(("c", "b"), ("c", "d"))]
        for pair in made:
            assert fractions_of(pair) == [passed[pair.chosen], passed[pair.rejected]]
    assert made[0].meta.keys() == {"chosen_fraction", "rejected_fraction"}
    (half,) = as_pairs([bare[0], replace(bare[1], meta={})])
    assert fractions_of(half) == [1.0, None]


def test_what_was_cut_off_is_known_of_the_answer_in_every_kind_of_record():
    cut = Pair(prompt=PROMPT, chosen="a", rejected="b", meta={"rejected_cut_off": True})
    whole = Pair(prompt=PROMPT, chosen="c", rejected="d")
    assert [cut_off_of(pair) for pair in (cut, whole)] == [(False, True), (False, False)]
    rated = as_rated([cut, whole])
    assert {answer.completion: cut_off_of(answer) for answer in rated} == {
        "a": (False,),
        "b": (True,),
        "c": (False,),
        "d": (False,),
    }
    again = {(pair.chosen, pair.rejected): cut_off_of(pair) for pair in as_pairs(rated)}
    assert again == {("a", "b"): (False, True), ("a", "d"): (False, False), ("c", "b"): (False, True)} | {
        ("c", "d"): (False, False)
    }
    assert [cut_off_of(ranking) for ranking in as_rankings([cut, whole])] == [(False, True), (False, False)]


def test_no_pair_of_equal_texts():
    ranking = Ranking(prompt=PROMPT, completions=("a", "a"), rewards=(1.0, 0.0))
    both = [Rated(prompt=PROMPT, completion="a", desirable=desirable) for desirable in (True, False)]
    assert as_pairs([ranking, *both]) == []


def test_rated_answers_of_every_kind():
    pair = Pair(prompt=PROMPT, chosen="4", rejected="5", meta={"n": 1})
    # The mean of 1, 0.5, 0 is 0.5: the first is above, the last below, the middle one neither.
    ranking = Ranking(prompt=PROMPT, completions=("a", "b", "c"), rewards=(1.0, 0.5, 0.0))
    rated = Rated(prompt=PROMPT, completion="x", desirable=False)
    found = as_rated([pair, ranking, rated])
    assert [(r.completion, r.desirable) for r in found] == [
        ("4", True),
        ("5", False),
        ("a", True),
        ("c", False),
        ("x", False),
    ]
    assert found[0].meta == {"n": 1}


def test_a_tie_is_no_rating_whatever_floats_sum_to():
    assert sum([0.1] * 3) / 3 > 0.1
    assert as_rated([Ranking(prompt=PROMPT, completions=("a", "b", "c"), rewards=(0.1, 0.1, 0.1))]) == []


def test_the_middle_of_evenly_spaced_decimals_is_no_rating():
    assert sum(map(Fraction, (0.7, 0.4, 0.1))) / 3 != Fraction(0.4)  # of the floats as they are
    found = as_rated([Ranking(prompt=PROMPT, completions=("a", "b", "c"), rewards=(0.7, 0.4, 0.1))])
    assert [(rated.completion, rated.desirable) for rated in found] == [("a", True), ("c", False)]


def test_rankings_of_every_kind():
    ranking = Ranking(prompt=PROMPT, completions=("a", "b"), rewards=(0.1, 0.2))
    by_margin = [Pair(prompt=PROMPT, chosen="4", rejected="5", margin=margin) for margin in (2.5, None, 0.0)]
    rated = [
        Rated(prompt=PROMPT, completion=answer, desirable=desirable)
        for answer, desirable in (("4", True), ("5", False), ("four", True))
    ]
    lonely = Rated(prompt=(Message("user", "other"),), completion="x", desirable=True)
    found = as_rankings([rated[0], ranking, *by_margin, *rated[1:], lonely])
    assert found[0] == ranking
    assert [r.rewards for r in found[1:4]] == [(2.5, 0.0), (1.0, 0.0), (1.0, 0.0)]
    assert (found[4].completions, found[4].rewards) == (("4", "5", "four"), (1.0, 0.0, 1.0))
    assert len(found) == 5


@settings(max_examples=60, deadline=None)
@given(rankings)
def test_pairs_of_a_ranking_are_the_pairs_of_its_reversal(ranking):
    turned = Ranking(prompt=ranking.prompt, completions=ranking.completions[::-1], rewards=ranking.rewards[::-1])
    ours = {(pair.chosen, pair.rejected, pair.margin) for pair in as_pairs([ranking])}
    assert ours == {(pair.chosen, pair.rejected, pair.margin) for pair in as_pairs([turned])}
    assert all(margin > 0 for _, _, margin in ours)
