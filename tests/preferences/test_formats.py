"""Other projects' preference files: one row of each worked by hand, round trips, and what cannot be said in them."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verigrad.errors import ConfigError, DataError
from verigrad.preferences.formats import (
    FORMATS,
    detect,
    export_rows,
    import_rows,
    read_preferences,
    write_preferences,
)
from verigrad.preferences.records import Pair, Ranking, Rated
from verigrad.types import Message

PROMPT = (Message("user", "2 + 2?"),)
PAIR = Pair(prompt=PROMPT, chosen="4", rejected="5")
ASKED = {"role": "user", "content": "2 + 2?"}
SYSTEM = {"role": "system", "content": "Be brief."}
HH = {"chosen": "\n\nHuman: 2 + 2?\n\nAssistant: 4", "rejected": "\n\nHuman: 2 + 2?\n\nAssistant: 5"}


def said(text):
    return {"role": "assistant", "content": text}


OPENAI = {"input": {"messages": [ASKED]}, "preferred_output": [said("4")], "non_preferred_output": [said("5")]}
BINARIZED = {"prompt": "2 + 2?", "chosen": [ASKED, said("4")], "rejected": [ASKED, said("5")]}

ROWS = [
    ("trl", {"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}),
    ("trl", {"prompt": [ASKED], "chosen": [said("4")], "rejected": [said("5")]}),
    ("trl-implicit", {"chosen": [ASKED, said("4")], "rejected": [ASKED, said("5")]}),
    ("ultrafeedback", {**BINARIZED, "messages": [], "score_chosen": None, "score_rejected": None}),
    ("hh", HH),
    ("openai", OPENAI),
    ("openai", {**OPENAI, "input": {"messages": [ASKED], "tools": [], "parallel_tool_calls": True}}),
    ("acecode", {"instruction": "2 + 2?", "input": "", "chosen": "4", "rejected": "5", "id": 7}),
    ("verigrad", {"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "meta": {}}),
]


@pytest.mark.parametrize(("format", "row"), ROWS)
def test_every_format_says_the_same_pair(format, row):
    assert detect(row) == format
    assert import_rows([row]) == import_rows([row], format) == [PAIR]


def test_of_two_texts_without_a_prompt_the_words_they_share_are_it():
    row = {"chosen": "The sky is green.", "rejected": "The sky is grey."}
    assert detect(row) == "trl-implicit"
    (pair,) = import_rows([row])
    assert (pair.prompt, pair.chosen, pair.rejected) == ((Message("user", "The sky is"),), " green.", " grey.")
    (pair,) = import_rows([{"chosen": "The sky is", "rejected": "The sky is blue"}])
    assert (pair.prompt[0].content, pair.chosen, pair.rejected) == ("The sky", " is", " is blue")
    (pair,) = import_rows([{"chosen": "The sky is deep blue now", "rejected": "The sky is dead now"}])
    assert (pair.prompt[0].content, pair.chosen, pair.rejected) == ("The sky is", " deep blue now", " dead now")
    with pytest.raises(DataError, match="prompt is missing, and chosen and rejected do not begin alike"):
        import_rows([{"chosen": "green", "rejected": "grey"}])


def test_kto_labels():
    rows = [
        {"prompt": "2 + 2?", "completion": "4", "label": True},
        {"prompt": [ASKED], "completion": [said("5")], "label": False},
    ]
    assert [detect(row) for row in rows] == ["kto", "kto"]
    wanted = [Rated(prompt=PROMPT, completion=text, desirable=text == "4") for text in ("4", "5")]
    assert import_rows(rows) == wanted
    assert export_rows(wanted, "kto") == [
        {"prompt": [ASKED], "completion": [said("4")], "label": True},
        {"prompt": [ASKED], "completion": [said("5")], "label": False},
    ]
    assert export_rows([PAIR], "kto") == export_rows(wanted, "kto")


@pytest.mark.parametrize(
    ("high", "low"),
    [
        ("score_chosen", "score_rejected"),
        ("chosen_score", "rejected_score"),
        ("chosen-rating", "rejected-rating"),
        ("chosen_rating", "rejected_rating"),
    ],
)
def test_two_scores_are_a_margin(high, low):
    (pair,) = import_rows([{**BINARIZED, high: 8, low: 6.5}])
    assert (pair.prompt, pair.margin) == (PROMPT, 1.5)
    assert pair.meta == {"score_chosen": 8, "score_rejected": 6.5}


def test_ultrafeedbacks_prompt_is_part_of_its_conversations():
    """The prompt field is one message of the conversation, whatever else was said before or between."""
    talk = [SYSTEM, {"role": "user", "content": "Hi"}, said("Hello."), ASKED]
    row = {"prompt": "Hi", "chosen": [*talk, said("4")], "rejected": [*talk, said("5")]}
    (pair,) = import_rows([{**row, "score_chosen": 2, "score_rejected": 1}])
    assert [message.content for message in pair.prompt] == ["Be brief.", "Hi", "Hello.", "2 + 2?"]


def test_hh_dialogues():
    row = {
        "chosen": "\n\nHuman: Hi\n\nAssistant:  Hello.\n\nHow are you?\n\nHuman: Code:\n\n    x\n\nAssistant: y",
        "rejected": "\n\nHuman: Hi\n\nAssistant:  Hello.\n\nHow are you?\n\nHuman: Code:\n\n    x\n\nAssistant: z",
    }
    (pair,) = import_rows([row])
    assert pair.prompt == (
        Message("user", "Hi"),
        Message("assistant", " Hello.\n\nHow are you?"),
        Message("user", "Code:\n\n    x"),
    )
    assert (pair.chosen, pair.rejected) == ("y", "z")
    assert export_rows([pair], "hh") == [row]


def test_openais_developer_is_a_system_message():
    row = {**OPENAI, "input": {"messages": [{**SYSTEM, "role": "developer"}, ASKED]}}
    assert import_rows([row])[0].prompt == (Message("system", "Be brief."), *PROMPT)


def test_acecodes_input_follows_its_instruction():
    row = {"instruction": "Add.", "input": "2 and 2", "chosen": "4", "rejected": "5"}
    assert import_rows([row])[0].prompt == (Message("user", "Add.\n2 and 2"),)


def test_what_each_format_looks_like_when_written():
    pair = Pair(prompt=PROMPT, chosen="4", rejected="5", margin=1.5)
    assert export_rows([pair], "verigrad") == [{"prompt": "2 + 2?", "chosen": "4", "rejected": "5", "margin": 1.5}]
    explicit = {"prompt": [ASKED], "chosen": [said("4")], "rejected": [said("5")]}
    assert export_rows([pair], "trl") == [{**explicit, "margin": 1.5}]
    assert export_rows([PAIR], "trl") == [explicit]
    assert export_rows([pair, PAIR], "trl") == [explicit, explicit]  # no column with holes
    assert export_rows([pair], "trl-implicit") == [{"chosen": [ASKED, said("4")], "rejected": [ASKED, said("5")]}]
    assert export_rows([pair], "trl-text") == [{"prompt": "2 + 2?", "chosen": "4", "rejected": "5"}]
    assert export_rows([pair], "ultrafeedback") == [{**BINARIZED, "score_chosen": 1.5, "score_rejected": 0.0}]
    assert export_rows([PAIR], "ultrafeedback") == [{**BINARIZED, "score_chosen": None, "score_rejected": None}]
    assert export_rows([pair], "hh") == [HH]
    inputs = {"messages": [ASKED], "tools": [], "parallel_tool_calls": True}
    assert export_rows([pair], "openai") == [{**OPENAI, "input": inputs}]
    assert export_rows([pair], "acecode") == [
        {"instruction": "2 + 2?", "input": "", "chosen": "4", "rejected": "5", "id": 0}
    ]


def test_scores_go_out_as_they_came_in():
    row = {**BINARIZED, "score_chosen": 8.0, "score_rejected": 6.5}
    assert export_rows(import_rows([row]), "ultrafeedback") == [row]


def test_rankings_become_pairs_and_labels():
    ranking = Ranking(prompt=PROMPT, completions=("a", "b", "c"), rewards=(1.0, 0.5, 0.0))
    assert [(row["chosen"], row["rejected"]) for row in export_rows([ranking], "trl-text")] == [
        ("a", "b"),
        ("a", "c"),
        ("b", "c"),
    ]
    assert [row["label"] for row in export_rows([ranking], "kto")] == [True, False]
    assert import_rows(export_rows([ranking], "verigrad")) == [ranking]


# -------------------------------------------------------------------------------------------- round trips

contents = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)
users = contents.map(lambda text: (Message("user", text),))
talks = st.tuples(contents, contents, contents).map(
    lambda said: (Message("user", said[0]), Message("assistant", said[1]), Message("user", said[2]))
)
systems = contents.map(lambda text: (Message("system", text), *PROMPT))


def pairs_of(prompts):
    pairs = st.builds(Pair, prompt=prompts, chosen=contents, rejected=contents)
    return pairs.filter(lambda pair: pair.chosen != pair.rejected)


@pytest.mark.parametrize("format", FORMATS)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_what_a_format_can_say_comes_back(format, data):
    prompts = users if format in ("trl-text", "acecode") else users | talks
    if format not in ("trl-text", "acecode", "hh"):
        prompts |= systems
    pair = data.draw(pairs_of(prompts))
    try:
        rows = json.loads(json.dumps(export_rows([pair], format)))
    except DataError as error:
        assert format == "hh" and "hh's own marks" in str(error)
        return
    if format == "kto":
        wanted = [
            Rated(prompt=pair.prompt, completion=text, desirable=text == pair.chosen)
            for text in (pair.chosen, pair.rejected)
        ]
    else:
        wanted = [pair]
    assert import_rows(rows, format) == wanted
    if format not in ("verigrad", "trl-text"):  # whose rows are also TRL's
        assert detect(rows[0]) == format
    assert import_rows(rows) == wanted


def test_files(tmp_path):
    write_preferences(tmp_path / "hh.jsonl", [PAIR], "hh")
    assert [json.loads(line) for line in (tmp_path / "hh.jsonl").read_text().splitlines()] == [HH]
    assert read_preferences(tmp_path / "hh.jsonl") == [PAIR]
    with pytest.raises(DataError, match=r"hh\.jsonl:1 \(openai.*: input is None"):
        read_preferences(tmp_path / "hh.jsonl", "openai")


# -------------------------------------------------------------------------------------------------- errors


def test_an_unknown_form_is_refused_with_those_we_know():
    with pytest.raises(DataError) as error:
        import_rows([{"question": "2 + 2?", "good": "4"}])
    assert "row 1: fields 'question', 'good' are of no known format:" in str(error.value)
    for name, known in FORMATS.items():
        assert f"  {name}" in str(error.value) and known.summary in str(error.value)
    with pytest.raises(ConfigError, match=r"unknown format 'trll' .did you mean 'trl'"):
        import_rows([HH], "trll")
    with pytest.raises(ConfigError, match="unknown format 'dpo'"):
        export_rows([PAIR], "dpo")


@pytest.mark.parametrize(
    ("format", "row", "says"),
    [
        ("hh", {**HH, "rejected": "\n\nHuman: 2 + 2?"}, "rejected is a conversation that does not end with the assist"),
        ("hh", {**HH, "rejected": "\n\nHuman: 2 + 2?\n\nAssistant: "}, "rejected is empty"),
        ("hh", {**HH, "rejected": "5"}, "rejected is not a text that begins with"),
        ("hh", {"chosen": HH["chosen"]}, "rejected is not a text that begins with"),
        ("hh", {**HH, "rejected": "\n\nHuman: 3?\n\nAssistant: 5"}, "do not continue the same prompt"),
        ("openai", {**OPENAI, "input": "2"}, "input is '2', wanted an object with messages"),
        ("openai", {**OPENAI, "input": {"messages": [ASKED], "tools": [{}]}}, "input has tools"),
        ("openai", {**OPENAI, "preferred_output": "4"}, "preferred_output is '4', wanted a list of messages"),
        (
            "openai",
            {**OPENAI, "preferred_output": [said("")]},
            "whose preferred_output is chosen and .*: chosen is empty",
        ),
        ("ultrafeedback", {**BINARIZED, "score_chosen": "8", "score_rejected": 1}, "score_chosen is '8', wanted a num"),
        (
            "ultrafeedback",
            {**BINARIZED, "score_chosen": 1, "score_rejected": 2},
            "margin is -1.0, so rejected would be",
        ),
        ("acecode", {"instruction": "x", "chosen": "4"}, "rejected is missing"),
        ("acecode", {"instruction": 3, "chosen": "4", "rejected": "5"}, "instruction is 3, wanted text"),
        ("acecode", {"instruction": "", "chosen": "4", "rejected": "5"}, "prompt is empty"),
        ("kto", {"prompt": "p", "completion": "4", "label": "good"}, 'label is "good", wanted true or false'),
    ],
)
def test_a_malformed_row_is_named_or_left_out(format, row, says):
    good = next(
        row for name, row in [*ROWS, ("kto", {"prompt": "p", "completion": "4", "label": True})] if name == format
    )
    with pytest.raises(DataError, match=rf"here:2 \({format}.*{says}"):
        import_rows([good, row], format, places=["here:1", "here:2"])
    malformed = []
    assert len(import_rows([good, row, good], format, malformed=malformed)) == 2
    assert len(malformed) == 1 and malformed[0].startswith(f"row 2 ({format}")


@pytest.mark.parametrize("format", ["trl-text", "acecode"])
def test_formats_of_one_text_refuse_a_conversation(format):
    pair = Pair(prompt=(Message("system", "s"), *PROMPT), chosen="4", rejected="5")
    with pytest.raises(DataError, match=r"pair 2: .* has room for one user message, and this prompt is system, user"):
        export_rows([PAIR, pair], format)


def test_hh_refuses_what_it_cannot_say():
    pair = Pair(prompt=(Message("system", "s"), *PROMPT), chosen="4", rejected="5")
    with pytest.raises(DataError, match="pair 1: hh has users and assistants only"):
        export_rows([pair], "hh")
    pair = Pair(prompt=PROMPT, chosen="4\n\nHuman: no\n\nAssistant: yes", rejected="5")
    with pytest.raises(DataError, match="pair 1: a message holds hh's own marks"):
        export_rows([pair], "hh")
