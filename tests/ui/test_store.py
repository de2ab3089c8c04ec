"""The labelling folder without a server: order, assignments, undo, and what a crash leaves."""

import json
import os
import subprocess
import sys
from contextlib import closing

import pytest
from ui.made_up import FIRST, SECOND, sample, sample_rows, write_samples

from verigrad import append_log as log_module
from verigrad.append_log import AppendLog
from verigrad.errors import ConfigError, DataError, RunError
from verigrad.preferences.records import Pair, Ranking, cut_off_of, read_records, write_records
from verigrad.training.sft import read_demonstrations
from verigrad.types import Message
from verigrad.ui.export import export_pairs
from verigrad.ui.folder import open_store, read_store
from verigrad.ui.items import limit_per_task, ordered, read_items, score_margins


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def samples(tmp_path):
    return write_samples(tmp_path / "samples.jsonl")


@pytest.fixture
def opened(tmp_path, samples):
    """`opened(...)`: the store of one folder, closed in the end; opening again closes the one before."""
    stores = []

    def build(**settings):
        if stores:
            stores.pop().close()
        stores.append(open_store(tmp_path / "labels", samples, **{"overlap": 0.0, **settings}))
        return stores[-1]

    yield build
    if stores:
        stores.pop().close()


def log_rows(folder):
    return [json.loads(line) for line in (folder / "annotations.jsonl").read_text().splitlines()]


def judge_all(store, annotator, preferred="a"):
    judged = []
    while (item := store.next_item(annotator)) is not None:
        store.choose(item.id, annotator, preferred)
        judged.append(item.id)
    return judged


# ---------------------------------------------------------------------------------------------- items


def test_pairs_are_formed_within_each_task_of_what_can_be_compared(tmp_path):
    rows = [sample(0, number, program, 1) for number, program in enumerate([FIRST, SECOND, FIRST, "x = 1\n"])]
    rows += [sample(1, 0, FIRST, 5), sample(2, 0, FIRST, 5), sample(2, 1, FIRST + "\n", 5)]
    rows += [{**sample(1, 1, SECOND, 0), "status": "error"}, {**sample(1, 2, SECOND, 0), "completion": " "}]
    rows += [{**sample(1, 3, SECOND, 0), "turns": 2}]  # an answer to more than the task
    items = read_items(write_samples(tmp_path / "s.jsonl", rows))
    assert len(items) == 3 and {item.task_id for item in items} == {"made-up@1/0"}
    assert len({item.id for item in items}) == 3


def test_which_answer_is_a_does_not_follow_from_the_file(tmp_path):
    rows = sample_rows(40)
    forward = read_items(write_samples(tmp_path / "f.jsonl", rows))
    backward = read_items(write_samples(tmp_path / "b.jsonl", rows[::-1]))
    assert {item.id: item.a for item in forward} == {item.id: item.a for item in backward}
    better_is_a = sum(item.a.score > item.b.score for item in forward)
    assert 10 < better_is_a < 30


def test_scores_come_from_a_column_or_from_the_tests(tmp_path):
    rows = [{**sample(0, 0, FIRST, 3), "score": -1.5}, sample(0, 1, SECOND, 3)]
    (item,) = read_items(write_samples(tmp_path / "s.jsonl", rows))
    assert {item.a.score, item.b.score} == {-1.5, 0.6}
    assert score_margins([item]) == [pytest.approx(2.1)]


def test_preference_records_are_items_too(tmp_path):
    prompt = (Message("user", "Say it."),)
    write_records(
        tmp_path / "p.jsonl",
        [
            Pair(prompt=prompt, chosen="```python\nx = 1\n```", rejected="no", margin=0.5),
            Ranking(prompt=prompt, completions=("one", "two", "three"), rewards=(0.0, 1.0, 1.0)),
        ],
    )
    items = read_items(tmp_path / "p.jsonl")
    assert len(items) == 4
    assert sorted(score_margins(items)) == [0.0, 0.5, 1.0, 1.0]
    assert len({item.task_id for item in items}) == 1  # none is named, and the prompt is the same
    programs = {items[0].a.program, items[0].b.program}
    assert programs == {"x = 1", None}


def test_rated_completions_of_one_prompt_are_compared(tmp_path):
    meta = {"task_id": "t", "completion": "of another tool"}
    rows = [{"prompt": "p", "completion": f"x = {number}", "label": number > 0, "meta": meta} for number in range(3)]
    items = read_items(write_samples(tmp_path / "r.jsonl", rows))
    assert sorted(score_margins(items)) == [0.0, 1.0, 1.0]
    assert {item.task_id for item in items} == {"t"}


def test_orders(tmp_path):
    """Task t passes t of 5 tests on one side and 5 on the other, so margins fall from task 0 to task 4."""
    items = read_items(write_samples(tmp_path / "s.jsonl", sample_rows(5)))
    assert [item.task_id[-1] for item in ordered(items, "file", 0)] == list("01234")
    assert [item.task_id[-1] for item in ordered(items, "active", 0)] == list("43210")
    lots = {tuple(item.task_id[-1] for item in ordered(items, "random", seed)) for seed in range(20)}
    assert len(lots) > 10
    assert ordered(items, "random", 3) == ordered(items[::-1], "random", 3)


def test_a_margins_hook_decides_the_active_order_and_unknown_margins_come_last(tmp_path):
    items = read_items(write_samples(tmp_path / "s.jsonl", sample_rows(4)))
    found = {"0": 2.0, "1": None, "2": 1.0, "3": 3.0}
    asked = ordered(items, "active", 0, lambda items: [found[item.task_id[-1]] for item in items])
    assert [item.task_id[-1] for item in asked] == list("2031")
    with pytest.raises(ConfigError, match="1 margins for 4 items"):
        ordered(items, "active", 0, lambda items: [0.0])


def test_few_comparisons_of_each_task(tmp_path):
    rows = [sample(0, number, f"x = {number}\n", number) for number in range(5)]
    items = read_items(write_samples(tmp_path / "s.jsonl", rows))
    assert len(items) == 10
    assert len(limit_per_task(items, 3)) == 3 and len(limit_per_task(items, 0)) == 10


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"task_id": 1, "completion": "x"}\n', "s.jsonl:1: prompt is None"),
        ('{"task_id": 1, "completion": "x", "prompt": "p", "program": 3}\n', "program is a int"),
        ('{"task_id": 1, "completion": "x", "prompt": "p"}\n{"task_id": 1\n', "s.jsonl:2: not JSON"),
        ('{"task_id": 1, "completion": "x", "prompt": "p"}\n', "no task has two different answers"),
        (
            '{"task_id": 1, "completion": "x", "prompt": "p"}\n{"task_id": 1, "completion": "y", "prompt": "q"}\n',
            "another prompt",
        ),
    ],
)
def test_malformed_samples_are_named(tmp_path, text, says):
    (tmp_path / "s.jsonl").write_text(text)
    with pytest.raises(DataError, match=says):
        read_items(tmp_path / "s.jsonl")


def test_samples_are_read_as_every_other_file_of_rows(tmp_path):
    """A line separator within a string ends no line, a byte order mark is no text, and other encodings are named."""
    rows = [{"task_id": "t", "prompt": "p", "completion": text} for text in ("one\u2028line", "two")]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (tmp_path / "s.jsonl").write_bytes(b"\xef\xbb\xbf" + text.encode())
    (item,) = read_items(tmp_path / "s.jsonl")
    assert {item.a.completion, item.b.completion} == {"one\u2028line", "two"}
    (tmp_path / "latin.jsonl").write_bytes(b'{"task_id": "\xff"}\n')
    with pytest.raises(DataError, match=r"latin\.jsonl is not UTF-8 text"):
        read_items(tmp_path / "latin.jsonl")


# ---------------------------------------------------------------------------------------- judgements


def test_a_choice_is_recorded_with_all_that_was_known(opened, tmp_path):
    clock = Clock()
    store = opened(clock=clock)
    item = store.next_item("ann")
    clock.now += 12.5
    store.show_tests(item.id, "ann")
    store.choose(item.id, "ann", "b", left="b")
    _, row = log_rows(tmp_path / "labels")
    assert row == {
        "event": "choice",
        "number": 2,
        "item": item.id,
        "annotator": "ann",
        "annotator_kind": "person",
        "preferred": "b",
        "left": "b",
        "tests_shown": True,
        "seconds": 12.5,
        "at": 1012.5,
        "meta": {},
    }


def test_what_makes_no_sense_is_refused_and_leaves_no_trace(opened, tmp_path):
    store = opened()
    item = store.next_item("ann").id
    with pytest.raises(ConfigError, match="no item"):
        store.choose("nowhere", "ann", "a")
    with pytest.raises(ConfigError, match="wanted one of a, b, tie, skip"):
        store.choose(item, "ann", "left")
    with pytest.raises(ConfigError, match="empty"):
        store.demonstrate(item, "ann", " \n")
    assert log_rows(tmp_path / "labels") == []
    store.choose(item, "ann", "a")
    with pytest.raises(ConfigError, match="judged this item already"):
        store.choose(item, "ann", "b")
    with pytest.raises(ConfigError, match="belongs to a person annotator"):
        store.choose(store.next_item("bob").id, "ann", "b", kind="model")


def test_sides_are_dealt_by_lot_for_each_person_and_stay(opened):
    store = opened()
    sides = {name: [store.left_of(item, name) for item in store.items] for name in ("ann", "bob", "cid", "dan")}
    assert all(len(set(dealt)) == 2 for dealt in sides.values())
    assert len(set(map(tuple, sides.values()))) > 1
    again = opened()
    assert [again.left_of(item, "ann") for item in again.items] == sides["ann"]


def test_undo_takes_back_any_number_of_steps_and_deletes_nothing(opened, tmp_path):
    store = opened()
    judged = judge_all(store, "ann")
    assert len(judged) == 6 and store.next_item("ann") is None
    for item in reversed(judged):
        assert store.undo("ann").item == item
        assert store.next_item("ann").id == item  # it comes again, whatever the order
    assert store.undo("ann") is None
    rows = log_rows(tmp_path / "labels")
    assert [row["event"] for row in rows] == ["choice"] * 6 + ["retraction"] * 6
    assert [row["retracts"] for row in rows[6:]] == [6, 5, 4, 3, 2, 1]
    assert store.ratings() == {item: {} for item in store.items}
    assert judge_all(store, "ann", "b") == judged


def test_undo_is_of_ones_own(opened):
    store = opened(overlap=1.0)
    first = store.next_item("ann")
    store.choose(first.id, "ann", "a")
    store.choose(first.id, "bob", "b")
    assert store.undo("ann").annotator == "ann"
    assert store.ratings()[first.id] == {"bob": "b"}


def test_demonstrations_are_what_sft_reads_and_can_be_taken_back(opened, tmp_path):
    store = opened()
    item = store.next_item("ann")
    file = tmp_path / "labels" / "demonstrations.jsonl"
    store.demonstrate(item.id, "ann", "```python\nx = 1\n```", "a")
    store.demonstrate(item.id, "ann", "```python\nx = 2\n```")
    first, second = read_demonstrations(file)
    assert first.messages == item.prompt and first.answer == "```python\nx = 1\n```"
    assert second.answer == "```python\nx = 2\n```"
    assert store.next_item("ann").id == item.id
    assert store.undo("ann").completion == "```python\nx = 2\n```"
    assert len(read_demonstrations(file)) == 1
    file.write_text("")  # as a crash between the log and this file might leave it
    store = opened()
    assert len(read_demonstrations(file)) == 1
    before = file.read_text()
    store.undo("ann")
    file.write_text(before)  # as a crash leaves it that comes once the last one was taken back
    opened()
    assert file.read_text() == ""


def test_a_conversation_as_prompt_makes_a_demonstration_of_messages(tmp_path):
    prompt = (Message("system", "Be short."), Message("user", "Say it."))
    write_records(tmp_path / "p.jsonl", [Pair(prompt=prompt, chosen="one", rejected="two")])
    store = open_store(tmp_path / "labels", tmp_path / "p.jsonl")
    store.demonstrate(next(iter(store.items)), "ann", "three")
    store.close()
    (found,) = read_demonstrations(tmp_path / "labels" / "demonstrations.jsonl")
    assert (found.messages, found.answer) == (prompt, "three")


# ---------------------------------------------------------------------------------------- assignments


def test_without_overlap_people_share_the_items(opened):
    store = opened()
    judged = {"ann": [], "bob": []}
    for turn in range(6):
        name = ("ann", "bob")[turn % 2]
        item = store.next_item(name).id
        store.choose(item, name, "a")
        judged[name].append(item)
    assert store.next_item("ann") is store.next_item("bob") is None
    assert sorted(judged["ann"] + judged["bob"]) == sorted(store.items)


def test_what_is_on_one_screen_is_not_on_another_until_long_ago(opened):
    clock = Clock()
    store = opened(clock=clock)
    seen = store.next_item("ann").id
    assert store.next_item("ann").id == seen
    assert store.next_item("bob").id != seen
    clock.now += 3600
    assert store.next_item("cid").id == seen


def test_what_is_on_the_screen_stays_there_when_an_earlier_item_opens_again(opened):
    store = opened()
    first = store.next_item("ann").id
    seen = store.next_item("bob").id
    store.choose(first, "ann", "skip")
    assert store.next_item("bob").id == seen
    store.choose(seen, "bob", "a")
    assert store.next_item("bob").id == first


def test_with_full_overlap_two_judge_everything_and_a_third_nothing(opened):
    store = opened(overlap=1.0)
    assert len(judge_all(store, "ann")) == len(judge_all(store, "bob")) == 6
    assert store.next_item("cid") is None


def test_a_share_of_the_items_is_judged_twice(tmp_path):
    file = write_samples(tmp_path / "many.jsonl", sample_rows(300))
    store = open_store(tmp_path / "labels", file, overlap=0.25)
    assert len(judge_all(store, "ann")) == 300
    twice = judge_all(store, "bob")
    store.close()
    assert 50 < len(twice) < 100
    more = open_store(tmp_path / "labels", overlap=0.5)
    assert len(judge_all(more, "bob")) > 40  # those judged twice at 0.25 are among those at 0.5
    more.close()


def test_a_skipped_item_goes_to_somebody_else(opened):
    store = opened()
    skipped = judge_all(store, "ann", "skip")
    assert len(skipped) == 6 and judge_all(store, "bob") == skipped
    assert store.progress("ann").judged == 6


def test_programs_do_not_take_items_away_from_people(opened):
    store = opened()
    for item in store.items:
        store.choose(item, "simulated", "a", kind="simulated")
    assert len(judge_all(store, "ann")) == 6
    assert store.annotators == {"simulated": "simulated", "ann": "person"}


def test_progress(opened):
    clock = Clock()
    store = opened(clock=clock)
    assert store.progress("ann").per_hour is None
    for seconds in (10, 20, 5000):  # a coffee break
        item = store.next_item("ann")
        clock.now += seconds
        store.choose(item.id, "ann", "a")
    found = store.progress("ann")
    assert (found.done, found.left, found.judged, found.wanted) == (3, 3, 3, 6)
    assert found.per_hour == 180 and found.seconds_left == 60


# ----------------------------------------------------------------------------------- crash and restart


def test_a_restart_goes_on_where_it_stopped(opened):
    store = opened(order="random", seed=5)
    for _ in range(3):
        store.choose(store.next_item("ann").id, "ann", "a")
    store.undo("ann")
    before = store.next_item("ann").id, store.ratings(), store.progress("ann").done
    again = opened()
    assert again.settings.order == "random" and again.settings.seed == 5
    assert (again.next_item("ann").id, again.ratings(), again.progress("ann").done) == before


def test_each_event_is_on_the_disk_before_the_call_returns(opened, tmp_path, monkeypatch):
    """What fsync sees is the whole line; a choice without an fsync after it is not confirmed."""
    store = opened()
    file = tmp_path / "labels" / "annotations.jsonl"
    synced = []
    real = os.fsync
    monkeypatch.setattr(log_module.os, "fsync", lambda fd: (synced.append(file.read_text()), real(fd)))
    store.choose(store.next_item("ann").id, "ann", "a")
    store.undo("ann")
    assert len(synced) == 2 and all(text.endswith("}\n") for text in synced)
    assert synced[1].startswith(synced[0]) and file.read_text() == synced[1]


def test_a_full_disk_is_an_error_and_records_nothing(opened, tmp_path, monkeypatch):
    store = opened()
    first = store.next_item("ann").id

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(log_module.os, "fsync", fail)
    with pytest.raises(RunError, match=r"No space left.*nothing was recorded"):
        store.choose(first, "ann", "a")
    monkeypatch.undo()
    assert (tmp_path / "labels" / "annotations.jsonl").read_text() == ""
    assert store.next_item("ann").id == first
    store.choose(first, "ann", "a")
    assert len(log_rows(tmp_path / "labels")) == 1


def test_a_process_killed_at_any_moment_loses_nothing_it_confirmed(samples, tmp_path):
    """A child confirms choices on its output until it is killed; all of them are there again."""
    script = (
        "import sys, pathlib\nfrom verigrad.ui.folder import open_store\n"
        "store = open_store(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[1]), overlap=0.0)\n"
        "while True:\n"
        "    item = store.next_item('ann')\n"
        "    store.choose(item.id, 'ann', 'a') if item else store.undo('ann')\n"
        "    print(store._number, flush=True)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(samples), str(tmp_path / "labels")], stdout=subprocess.PIPE, text=True
    )
    for _ in range(40):
        child.stdout.readline()
    child.kill()
    confirmed = 40 + len(child.stdout.read().splitlines())
    child.wait()
    child.stdout.close()
    store = open_store(tmp_path / "labels")
    assert store._number >= confirmed
    store.close()


@pytest.mark.parametrize("torn", ['{"event": "choi', '{"event": "choice", "annotator": "Zo\u00eb'])
def test_half_a_line_is_set_aside_and_kept(opened, tmp_path, torn):
    store = opened()
    store.choose(store.next_item("ann").id, "ann", "a")
    store.close()
    file = tmp_path / "labels" / "annotations.jsonl"
    whole = file.read_bytes()
    file.write_bytes(whole + torn.encode())
    assert len(read_store(tmp_path / "labels").standing("ann")) == 1
    again = open_store(tmp_path / "labels")
    again.choose(again.next_item("ann").id, "ann", "tie")
    again.close()
    assert file.read_bytes().startswith(whole)
    rows = log_rows(tmp_path / "labels")
    assert [row["event"] for row in rows] == ["choice", "recovered", "choice"] and rows[1]["torn"] == torn
    last = opened()
    assert len(last.standing("ann")) == 2


def test_damage_in_the_middle_is_named(opened, tmp_path):
    opened().close()
    file = tmp_path / "labels" / "annotations.jsonl"
    file.write_text('{"event": "tests", "item": "x", "annotator": "ann"}\nnonsense\n{}\n')
    with pytest.raises(DataError, match=r"annotations.jsonl:2: damaged"):
        read_store(tmp_path / "labels")
    file.write_text('{"event": "dance"}\n')
    with pytest.raises(DataError, match=r"annotations.jsonl:1: not an event"):
        read_store(tmp_path / "labels")


def test_one_writer_at_a_time(opened, tmp_path):
    store = opened()
    with pytest.raises(RunError, match="in use"):
        AppendLog(tmp_path / "labels" / "annotations.jsonl")
    reading = read_store(tmp_path / "labels")
    assert len(reading.items) == 6
    with pytest.raises(RunError, match="for reading only"):
        reading.choose(next(iter(reading.items)), "ann", "a")
    store.close()
    AppendLog(tmp_path / "labels" / "annotations.jsonl").close()


def test_a_second_file_adds_its_items_and_the_same_file_adds_none(opened, tmp_path):
    store = opened()
    judge_all(store, "ann")
    store.close()
    more = write_samples(tmp_path / "more.jsonl", sample_rows(8))
    both = open_store(tmp_path / "labels", more)
    assert len(both.items) == 8 and both.progress("ann").done == 6
    both.close()
    again = open_store(tmp_path / "labels", more, order="random", pairs_per_task=1)
    assert len(again.items) == 8
    again.close()


def test_another_number_of_comparisons_reads_a_file_anew_and_loses_no_judgement(tmp_path):
    """Four programs make six comparisons. The last item of all is judged, so it outlives any number."""
    file = write_samples(tmp_path / "s.jsonl", [sample(0, number, f"x = {number}\n", number) for number in range(4)])
    sizes = {}
    for number in (2, 0, None, 3, 1):
        with closing(open_store(tmp_path / "labels", file, order="file", pairs_per_task=number)) as store:
            sizes[number] = len(store.items)
            if number == 0:
                (*_, last) = store.items
                store.choose(last, "ann", "a")
    assert sizes == {2: 2, 0: 6, None: 6, 3: 4, 1: 2}
    with closing(open_store(tmp_path / "labels")) as store:
        assert list(store.choices(last)) == ["ann"] and len(store.items) == 2
    with pytest.raises(ConfigError, match="name the samples again"):
        open_store(tmp_path / "labels", pairs_per_task=5)
    with pytest.raises(ConfigError, match="pairs_per_task is -1, wanted 1 or more, or 0 for all"):
        open_store(tmp_path / "labels", file, pairs_per_task=-1)


def test_a_folder_that_kept_digests_alone_is_not_read_anew(tmp_path):
    file = write_samples(tmp_path / "s.jsonl", [sample(0, number, f"x = {number}\n", number) for number in range(4)])
    open_store(tmp_path / "labels", file, pairs_per_task=0).close()
    settings = tmp_path / "labels" / "settings.json"
    row = json.loads(settings.read_text())
    del row["pairs_per_task"]
    settings.write_text(json.dumps({**row, "sources": list(row["sources"])}))
    with closing(open_store(tmp_path / "labels", file)) as store:
        assert len(store.items) == 6


def test_folders_that_are_none(tmp_path):
    with pytest.raises(ConfigError, match="holds no items"):
        open_store(tmp_path / "labels")
    with pytest.raises(ConfigError, match="no labelling folder"):
        read_store(tmp_path / "elsewhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot make"):
        open_store(tmp_path / "file" / "labels")


# --------------------------------------------------------------------------------------------- export


def vote(store, **votes):
    """Give the first item the votes of the named annotators."""
    item = next(iter(store.items.values()))
    for name, preferred in votes.items():
        store.choose(item.id, name, preferred)
    return item


def test_pairs_are_read_as_training_reads_them(opened, tmp_path):
    store = opened()
    item = vote(store, ann="b", bob="b", cid="a")
    write_records(tmp_path / "pairs.jsonl", export_pairs(store, margin="agreement").pairs)
    (pair,) = read_records(tmp_path / "pairs.jsonl")
    assert (pair.prompt, pair.chosen, pair.rejected) == (item.prompt, item.b.completion, item.a.completion)
    assert pair.margin == pytest.approx(2 / 3)
    assert pair.meta["votes"] == {"chosen": 2, "rejected": 1, "tie": 0}
    assert pair.meta["annotators"] == ["ann", "bob", "cid"] and pair.meta["task_id"] == item.task_id
    for side, answer in (("chosen", item.b), ("rejected", item.a)):
        passed = [result["status"] == "passed" for result in answer.results]
        assert pair.meta[f"{side}_fraction"] == sum(passed) / len(passed)


def test_pairs_say_what_share_of_the_tests_was_passed_where_that_is_known(opened, samples, tmp_path):
    """An answer without a program passes nothing; of preference records nobody knows."""
    rows = [
        {**sample(0, 0, FIRST, 3)},
        {**sample(0, 1, SECOND, 0), "program": None, "status": "no_code", "results": []},
    ]
    write_samples(samples, rows)
    store = opened()
    item = vote(store, ann="a")
    (pair,) = export_pairs(store).pairs
    expected = {True: 0.6, False: 0.0}
    assert pair.meta["chosen_fraction"] == expected[item.a.program is not None]
    assert pair.meta["rejected_fraction"] == expected[item.b.program is not None]
    write_records(tmp_path / "p.jsonl", [Pair(prompt=(Message("user", "Say it."),), chosen="one", rejected="two")])
    with closing(open_store(tmp_path / "others", tmp_path / "p.jsonl", overlap=0.0)) as store:
        vote(store, ann="a")
        (pair,) = export_pairs(store).pairs
    assert not {"chosen_fraction", "rejected_fraction"} & pair.meta.keys()


def test_the_share_of_tests_passed_is_known_without_the_results(opened, samples):
    """Four of five and none of five, by the counts of rows that keep no results."""
    rows = [
        {**sample(0, number, text, passed), "results": []} for number, text, passed in ((0, FIRST, 4), (1, SECOND, 0))
    ]
    write_samples(samples, rows)
    store = opened()
    item = vote(store, ann="a")
    (pair,) = export_pairs(store).pairs
    first = item.a.completion == rows[0]["completion"]
    assert (pair.meta["chosen_fraction"], pair.meta["rejected_fraction"]) == ((0.8, 0.0) if first else (0.0, 0.8))


def test_pairs_say_which_answer_was_cut_off(opened, samples):
    rows = [
        {**sample(0, 0, FIRST, 5), "stop_reason": "stop"},
        {**sample(0, 1, SECOND, 0), "stop_reason": "length"},
    ]
    write_samples(samples, rows)
    store = opened()
    item = vote(store, ann="a")
    (pair,) = export_pairs(store).pairs
    assert cut_off_of(pair) == tuple(side.completion == rows[1]["completion"] for side in (item.a, item.b))


@pytest.mark.parametrize(
    ("votes", "majority", "plurality", "unanimous"),
    [
        ("a", "a", "a", "a"),
        ("aab", "a", "a", "disagreements"),
        ("ab", "disagreements", "disagreements", "disagreements"),
        ("at", "disagreements", "a", "disagreements"),
        ("bbtt", "disagreements", "b", "disagreements"),
        ("abt", "disagreements", "disagreements", "disagreements"),
        ("tta", "ties", "a", "disagreements"),
        ("tt", "ties", "ties", "ties"),
        ("s", "skipped", "skipped", "skipped"),
        ("sb", "b", "b", "b"),
    ],
)
def test_verdicts(opened, votes, majority, plurality, unanimous):
    store = opened()
    words = {"a": "a", "b": "b", "t": "tie", "s": "skip"}
    item = vote(store, **{f"p{number}": words[said] for number, said in enumerate(votes)})
    for rule, wanted in {"majority": majority, "plurality": plurality, "unanimous": unanimous}.items():
        found = export_pairs(store, disagreements=rule)
        if wanted in ("a", "b"):
            (pair,) = found.pairs
            assert pair.chosen == {"a": item.a, "b": item.b}[wanted].completion
        else:
            assert found.pairs == () and found.left_out == {wanted: 1}


def test_ties_may_go_to_the_higher_score(opened):
    store = opened()
    item = vote(store, ann="tie")
    high, low = sorted((item.a, item.b), key=lambda candidate: -candidate.score)
    (pair,) = export_pairs(store, ties="score", margin="score").pairs
    assert pair.chosen == high.completion and pair.margin == pytest.approx(high.score - low.score)


def test_whose_votes_count(opened):
    store = opened()
    vote(store, ann="a", bob="b", cid="b")
    assert len(export_pairs(store, annotators=["ann"]).pairs) == 1
    assert export_pairs(store, annotators=["ann", "bob"]).left_out == {"disagreements": 1}
    assert export_pairs(store, min_annotators=4).left_out == {"too few votes": 1}
    with pytest.raises(ConfigError, match="no annotator 'dan'"):
        export_pairs(store, annotators=["dan"])
    with pytest.raises(ConfigError, match="wanted one of drop, score"):
        export_pairs(store, ties="keep")
