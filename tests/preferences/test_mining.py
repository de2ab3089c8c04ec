"""Miners on answers small enough to work out by hand, and mutual ranking against loops over lists."""

from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verigrad.errors import DataError
from verigrad.evaluation.benchmark import sample_rows
from verigrad.preferences.mining import (
    MINERS,
    Scored,
    TaskAnswers,
    acecoder,
    best_of_n,
    distinct,
    efficiency,
    from_groups,
    from_rows,
    mine,
    mutual_ranking,
    mutual_scores,
    normalised,
    pass_fail,
    why_none,
)
from verigrad.rollout import Group
from verigrad.types import CostPoint, Costs, Message, Rollout, Score, Task, TestResult, Turn, Verdict

PROMPT = (Message("user", "Write f."),)


def answer(name, fraction=1.0, **more):
    """An answer whose text is `name` and whose program is its own unless given."""
    more = {"program": f"{name} = 1", "passed": fraction == 1.0, **more}
    return Scored(prompt=PROMPT, text=name, fraction=fraction, **more)


def texts(pairs):
    return [(pair.chosen, pair.rejected) for pair in pairs]


# ---------------------------------------------------------------------------------------------- distinct


def test_layout_and_comments_make_no_difference():
    assert normalised("def f(x):\n    return x+1  # more\n") == normalised("def f( x ) : return (x + 1)")
    assert normalised("def f(x): return x") != normalised("def f(y): return y")


@pytest.mark.parametrize("source", ["def f(:", "(" * 5000, "\0", "-" * 19_000 + "1", "x = 1\n" * 10_000, "a 'b", ""])
def test_what_cannot_be_parsed_is_compared_by_its_words(source):
    assert normalised(source) == normalised(f"  {source}\n") == " ".join(source.split()) or source == ""


def test_text_with_an_invalid_escape_warns_of_nothing():
    assert normalised("'\\d'") == normalised("'\\d' # digits")


def test_one_answer_a_program_and_none_that_both_passed_and_failed():
    twice = [answer("a", program="f(1,2)"), answer("b", program="f(1, 2)")]
    shaky = [answer("c", program="g()"), answer("d", 0.5, program="g()")]
    cut = [answer("e", program="h()", finished=False), answer("f", program="h( )")]
    no_code = [answer(name, 0.0, program=None) for name in ("I cannot.", "I  cannot.", "Sorry.")]
    found = distinct([*twice, *shaky, *cut, *no_code])
    assert [one.text for one in found] == ["a", "f", "I cannot.", "Sorry."]


# ------------------------------------------------------------------------------------------------ miners

GRADED = [answer(name, fraction) for name, fraction in zip("abcdef", (1.0, 0.9, 0.8, 0.5, 0.1, 0.0), strict=True)]


def test_acecoder_takes_clear_gaps_above_a_bound_and_nothing_hopeless():
    """Chosen above 0.8: a, b. Rejected above 0: not f. More than 0.4 apart: a-d 0.5, a-e 0.9, b-e 0.8; not b-d, 0.4."""
    found = acecoder(GRADED)
    assert texts(found) == [("a", "d"), ("a", "e"), ("b", "e")]
    assert [pair.margin for pair in found] == pytest.approx([0.5, 0.9, 0.8])
    assert found[0].meta == {"chosen_fraction": 1.0, "rejected_fraction": 0.5}


def test_acecoder_as_released_takes_the_bounds_too():
    assert texts(acecoder(GRADED, inclusive=True)) == [("a", "d"), ("a", "e"), ("b", "d"), ("b", "e"), ("c", "e")]


def test_what_a_limit_draws_keeps_its_order():
    everything = texts(acecoder(GRADED, gap=0.0, chosen_above=0.0))
    drawn = [texts(acecoder(GRADED, gap=0.0, chosen_above=0.0, max_records=4, seed=seed)) for seed in range(20)]
    assert all(some == sorted(some, key=everything.index) for some in drawn)
    assert len({tuple(some) for some in drawn}) > 10


def test_a_gap_of_two_fifths_is_one_in_floats_too():
    assert 0.7 - 0.3 < 0.4 < 0.9 - 0.5 + 1e-12
    for high, low in ((0.7, 0.3), (0.9, 0.5), (1.0, 0.6)):
        both = [answer("a", high), answer("b", low)]
        assert acecoder(both, chosen_above=0.5) == []
        assert len(acecoder(both, chosen_above=0.5, inclusive=True)) == 1


def test_pass_fail_uses_every_correct_answer_once_before_any_twice():
    good, bad = [answer(name) for name in "abc"], [answer(name, 0.25) for name in "xy"]
    for seed in range(20):
        found = texts(pass_fail([*good, *bad], seed=seed))
        assert sorted(found) == [(g, b) for g in "abc" for b in "xy"]
        assert sorted(chosen for chosen, _ in found[:3]) == ["a", "b", "c"]
        assert {rejected for _, rejected in found[:2]} == {"x", "y"}
        assert texts(pass_fail([*good, *bad], seed=seed, max_records=2)) == found[:2]
    assert len({tuple(texts(pass_fail([*good, *bad], seed=seed))) for seed in range(20)}) > 5
    assert pass_fail([good[0], bad[0]])[0].margin == 0.75


def test_pass_fail_can_match_lengths():
    ten, bad = (
        answer("a", tokens=10),
        [answer(name, 0.0, tokens=size) for name, size in (("x", 15), ("y", 16), ("z", 6))],
    )
    assert sorted(texts(pass_fail([ten, *bad], length_ratio=1.5))) == [("a", "x")]
    assert sorted(texts(pass_fail([ten, *bad], length_ratio=1.7))) == [("a", "x"), ("a", "y"), ("a", "z")]
    uncounted = answer("longer", 0.0)  # where one has no count of tokens, characters are compared: 6 and 1
    assert pass_fail([ten, uncounted], length_ratio=5.0) == []
    assert len(pass_fail([ten, uncounted], length_ratio=6.0)) == 1


def test_answers_that_were_cut_off_may_be_rejected_but_never_chosen():
    cut = {"finished": False, "cost": 1.0, "outcomes": (True,)}
    whole = {"cost": 9.0, "outcomes": (False,)}
    assert pass_fail([answer("a", **cut), answer("b", 0.5)]) == []
    (pair,) = pass_fail([answer("a"), answer("b", 0.5, finished=False)])
    assert (pair.chosen, pair.rejected) == ("a", "b")
    assert pair.meta == {"chosen_fraction": 1.0, "rejected_fraction": 0.5, "rejected_cut_off": True}
    assert acecoder([answer("a", **cut), answer("b", 0.5)]) == []
    assert efficiency([answer("a", **cut), answer("b", **whole)]) == []
    assert mutual_ranking([answer("a", **cut), answer("b", **whole)]) == []
    assert best_of_n([answer("a", **cut)]) == []


def test_efficiency_prefers_the_cheaper_of_two_correct_answers():
    """Bound 1.5: 10 beats 16 and 40 but not 14; 14 (21) and 16 (24) beat 40. A cost of 0 is a clock too coarse."""
    costs = {"a": 10.0, "b": 14.0, "c": 16.0, "d": 40.0, "e": 0.0, "f": None}
    answers = [answer(name, cpu_ms=cost) for name, cost in costs.items()]
    found = efficiency([*answers, answer("wrong", 0.5, cpu_ms=99.0)])
    assert texts(found) == [("a", "c"), ("a", "d"), ("b", "d"), ("c", "d")]
    assert found[0].margin is None
    assert (found[0].meta["chosen_cost"], found[0].meta["rejected_cost"]) == (10.0, 16.0)
    assert texts(efficiency(answers, cost_ratio=3.0)) == [("a", "d")]


def test_best_of_n_demonstrates_what_is_correct_and_distinct():
    slow, quick = answer("slow", cpu_ms=5.0, tokens=3), answer("quick", cpu_ms=2.0, tokens=9)
    short, unmeasured = answer("short", cpu_ms=2.0, tokens=4), answer("unmeasured", tokens=1)
    answers = [slow, quick, answer("again", program=slow.program), short, answer("wrong", 0.9), unmeasured]
    found = best_of_n(answers)
    assert [one.completion for one in found] == ["slow", "quick", "short", "unmeasured"]
    assert all(one.desirable for one in found)
    assert [one.completion for one in best_of_n(answers, only_best=True)] == ["short"]


def mutual_by_loops(passes, damping, iterations):
    """CodeDPO's update as it is printed, one number at a time, divided by the largest score at the very end."""
    programs, tests = [1.0] * len(passes), [1.0] * len(passes[0])
    for _ in range(iterations):
        new_programs = []
        for i in range(len(programs)):
            given = sum(tests[j] for j in range(len(tests)) if passes[i][j])
            new_programs.append((1 - damping) * programs[i] + damping * given)
        new_tests = []
        for j in range(len(tests)):
            given = sum(programs[i] for i in range(len(programs)) if passes[i][j])
            new_tests.append((1 - damping) * tests[j] + damping * given)
        programs, tests = new_programs, new_tests
    largest = max(programs + tests) or 1.0
    return [score / largest for score in programs], [score / largest for score in tests]


matrices = st.tuples(st.integers(1, 6), st.integers(1, 6)).flatmap(
    lambda size: st.lists(
        st.lists(st.booleans(), min_size=size[1], max_size=size[1]), min_size=size[0], max_size=size[0]
    )
)


@settings(max_examples=80, deadline=None)
@given(matrices, st.sampled_from([0.0, 0.5, 0.85, 1.0]), st.integers(1, 12))
def test_mutual_scores_agree_with_loops(passes, damping, iterations):
    programs, tests = mutual_scores(passes, damping=damping, iterations=iterations)
    wanted_programs, wanted_tests = mutual_by_loops(passes, damping, iterations)
    assert programs == pytest.approx(wanted_programs, abs=1e-12)
    assert tests == pytest.approx(wanted_tests, abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(matrices)
def test_mutual_scores_of_the_transposed_matrix_are_swapped(passes):
    programs, tests = mutual_scores(passes)
    turned_programs, turned_tests = mutual_scores([list(column) for column in zip(*passes, strict=True)])
    assert programs == pytest.approx(turned_tests)
    assert tests == pytest.approx(turned_programs)


def test_a_test_that_only_a_poor_program_passes_counts_little():
    """With d = 1 each of ten rounds doubles what two programs and two tests share, and leaves the lonely pair at 1."""
    programs, tests = mutual_scores([[True, True, False], [True, True, False], [False, False, True]], damping=1.0)
    assert programs == pytest.approx([1.0, 1.0, 2.0**-10])
    assert tests == pytest.approx([1.0, 1.0, 2.0**-10])


def test_mutual_scores_stay_finite_and_of_nothing_are_nothing():
    programs, tests = mutual_scores([[True] * 50] * 50, iterations=2000)
    assert programs == pytest.approx([1.0] * 50)
    assert tests == pytest.approx([1.0] * 50)
    assert mutual_scores([]) == ([], [])
    assert mutual_scores([[], []]) == ([1.0, 1.0], [])
    assert mutual_scores([[False]], damping=1.0) == ([0.0], [0.0])
    with pytest.raises(ValueError, match=r"rows of \[1, 2\] tests"):
        mutual_scores([[True], [True, False]])


def test_mutual_ranking_pairs_from_both_ends():
    """With d = 1 and one round a score is the number of tests passed: 3, 2, 1, 0, so 1, 2/3, 1/3, 0 of the best."""
    outcomes = {"b": (True, True, False), "d": (), "a": (True,) * 3, "c": (True, False, False)}
    answers = [answer(name, sum(passed) / 3, outcomes=passed) for name, passed in outcomes.items()]
    found = mutual_ranking(answers, damping=1.0, iterations=1)
    assert texts(found) == [("a", "d"), ("b", "c")]
    assert [pair.margin for pair in found] == pytest.approx([1.0, 1 / 3])
    assert texts(mutual_ranking(answers, damping=1.0, iterations=1, gap=0.5)) == [("a", "d")]
    assert texts(mutual_ranking(answers, max_records=1)) == [("a", "d")]


def test_mutual_ranking_of_equals_and_of_different_tests():
    assert mutual_ranking([answer("a", outcomes=(True,)), answer("b", outcomes=(True,))]) == []
    assert mutual_ranking([]) == []
    with pytest.raises(DataError, match=r"\[1, 2\] test results"):
        mutual_ranking([answer("a", outcomes=(True,)), answer("b", outcomes=(True, False))])


@pytest.mark.parametrize("name", MINERS)
def test_every_miner_keeps_the_limit_repeats_itself_and_takes_nothing_from_nothing(name):
    answers = [
        answer(
            f"{name}{number}",
            fraction,
            cost=float(4**number),
            outcomes=(True,) * round(4 * fraction) + (False,) * (4 - round(4 * fraction)),
        )
        for number, (name, fraction) in enumerate([("a", 1.0), ("b", 1.0), ("c", 1.0), ("d", 0.5), ("e", 0.25)])
    ]
    miner = MINERS[name]
    everything = miner(answers)
    assert len(everything) >= 2
    assert [len(miner(answers, max_records=limit)) for limit in (1, 2, 99)] == [1, 2, len(everything)]
    assert miner(answers, seed=3, max_records=2) == miner(answers, seed=3, max_records=2)
    assert miner([]) == []


# --------------------------------------------------------------------------------------------- one task


def test_records_say_their_task_and_draws_depend_on_it():
    answers = (*(answer(name) for name in "abcdefgh"), answer("x", 0.0))
    found = mine(TaskAnswers("one", answers), pass_fail, max_per_task=3, seed=1)
    assert [record.meta["task_id"] for record in found] == ["one"] * 3
    assert found == mine(TaskAnswers("one", answers), pass_fail, max_per_task=3, seed=1)
    assert texts(found) != texts(mine(TaskAnswers("other", answers), pass_fail, max_per_task=3, seed=1))
    assert texts(found) != texts(mine(TaskAnswers("one", answers), pass_fail, max_per_task=3, seed=2))
    assert mine(TaskAnswers("one", answers), partial(pass_fail, length_ratio=0.5)) == []


@pytest.mark.parametrize(
    ("miner", "answers", "says"),
    [
        ("pass_fail", [], "no usable answer: empty answer, infrastructure failure"),
        ("pass_fail", [answer("a", 0.5)], "no answer passes"),
        ("pass_fail", [answer("a"), answer("b")], "every answer passes"),
        ("pass_fail", [answer("a", finished=False), answer("b", 0.5)], "every correct answer was cut off"),
        (
            "pass_fail",
            [answer("a", program="f()"), answer("b", 0.5, program="f()")],
            "every program both passed and failed",
        ),
        ("acecoder", [answer("a"), answer("b", 0.9)], "no two meet the rule"),
        ("mutual_ranking", [answer("a"), answer("a")], "one distinct program"),
        ("mutual_ranking", [answer("a"), answer("b")], "all programs score alike"),
        ("efficiency", [answer("a", 0.5)], "no answer passes"),
        ("efficiency", [answer("a"), answer("b", 0.5)], "one distinct correct program"),
        ("efficiency", [answer("a"), answer("b")], "no cost was measured"),
        ("efficiency", [answer("a", cost=1.0), answer("b", cost=1.1)], "costs differ too little"),
        ("best_of_n", [answer("a", 0.5)], "no answer passes"),
        ("best_of_n", [answer("a", finished=False)], "every correct answer was cut off"),
    ],
)
def test_why_a_task_gave_nothing(miner, answers, says):
    task = TaskAnswers("t", tuple(answers), () if answers else ("infrastructure failure", "empty answer"))
    assert mine(task, MINERS[miner]) == []
    assert says in why_none(task, miner)


# ---------------------------------------------------------------------------------------------- builders


def rollout(number, text="```python\nf = 1\n```", statuses=("passed", "failed"), **more):
    results = tuple(TestResult(f"t{i}", status, cpu_ms=1.0) for i, status in enumerate(statuses))
    status = next((status for status in statuses if status != "passed"), "passed")
    verdict = Verdict(status=status, results=results, cpu_ms=7.5)
    turn = Turn(prompt_ids=(1,), completion_ids=(1, 2, 3), sampler_logprobs=(0.0,) * 3, text=text)
    fields = {"turns": (turn,), "status": "finished", "score": Score(1.0, evidence=verdict), "program": "f = 1"}
    usage = {"completion_tokens": 3}
    return Rollout(task_id="t", episode_id=f"t#{number}", group_id="t", usage=usage, **{**fields, **more})


def groups():
    cut = Turn(prompt_ids=(1,), completion_ids=(1,) * 3, sampler_logprobs=(0.0,) * 3, text="cut", stop_reason="length")
    rollouts = (
        rollout(0, statuses=("passed", "passed")),
        rollout(1),
        rollout(2, turns=(), status="error", score=Score(None), program=None),
        rollout(3, text=" "),
        rollout(4, turns=(cut,), status="truncated", score=Score(0.0), program=None),
    )
    return [Group(Task(id="t", prompt="Write f."), rollouts)]


def test_answers_of_rollouts():
    (task,) = from_groups(groups())
    assert task.left_out == ("infrastructure failure", "empty answer")
    good, bad, cut = task.answers
    assert good == Scored(
        prompt=PROMPT,
        text="```python\nf = 1\n```",
        program="f = 1",
        fraction=1.0,
        passed=True,
        outcomes=(True, True),
        cpu_ms=7.5,
        tokens=3,
    )
    assert (bad.fraction, bad.passed, bad.outcomes) == (0.5, False, (True, False))
    assert (cut.fraction, cut.passed, cut.outcomes, cut.program, cut.finished) == (0.0, False, (), None, False)


def test_rollouts_of_several_turns_are_left_out():
    (turn,) = rollout(0).turns
    group = Group(Task(id="t", prompt="p"), (rollout(0, turns=(turn, turn)),))
    assert from_groups([group]) == [TaskAnswers("t", (), ("several turns",))]
    assert from_rows(sample_rows([group])) == [TaskAnswers("t", (), ("several turns",))]


def test_rows_say_what_their_rollouts_say():
    """An answer that was not judged took no time, or none that is known."""
    rows = [{**row, "cpu_ms": 7.5 if row["total"] else None} for row in sample_rows(groups())]
    assert from_rows(rows) == from_groups(groups())


ROW = {"task_id": "t", "prompt": "p", "completion": "c", "status": "passed", "passed": 1, "total": 1}


def test_rows_are_grouped_by_task_and_prompt():
    rows = [ROW, {**ROW, "task_id": "u"}, {**ROW, "prompt": "q"}, {**ROW, "completion": "d"}]
    found = from_rows(rows)
    assert [(task.task_id, [one.text for one in task.answers]) for task in found] == [
        ("t", ["c", "d"]),
        ("u", ["c"]),
        ("t", ["c"]),
    ]


def test_prompts_can_come_from_elsewhere():
    row = {key: value for key, value in ROW.items() if key != "prompt"}
    (task,) = from_rows([row], prompts={"t": "from the source"})
    assert task.answers[0].prompt == (Message("user", "from the source"),)
    with pytest.raises(DataError, match="row 1: prompt is missing; name the task source"):
        from_rows([row], prompts={"u": "p"})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"task_id": None}, "task_id is None"),
        ({"completion": 3}, "completion is 3"),
        ({"status": None}, "status is None"),
        ({"passed": True}, "passed is True"),
        ({"total": "2"}, "total is '2'"),
        ({"results": "passed"}, "results is 'passed'"),
        ({"program": 3}, "program is 3"),
        ({"cpu_ms": "fast"}, "cpu_ms is 'fast'"),
        ({"tokens": None}, "tokens is None"),
        ({"turns": "two"}, "turns is 'two'"),
    ],
)
def test_a_row_that_is_wrong_is_named_with_its_field(change, says):
    with pytest.raises(DataError, match=rf"f\.jsonl:7: {says}; wanted rows as `verigrad eval --samples` writes them"):
        from_rows([ROW, {**ROW, **change}], places=["f.jsonl:6", "f.jsonl:7"])
    with pytest.raises(DataError, match=r"row 1: total is missing \(the row has 'task_id', 'prompt'"):
        from_rows([{key: value for key, value in ROW.items() if key != "total"}])


def test_counts_take_the_place_of_times_where_they_were_measured_of_all():
    """Twice and half the reference's cost by the count; the others have times alone, so beside them all do.

    By times of 3 ms for three and 9 ms for `plain`, it is the one that costs more than 1.5 times the others.
    """
    costs = {"slow": Costs((CostPoint(1, 20, 10),)), "quick": Costs((CostPoint(1, 5, 10),)), "odd": Costs(reason="?")}
    passed = Verdict(status="passed", results=(TestResult("a", "passed"),), cpu_ms=3.0)

    def rollout(number, name):
        turn = Turn(prompt_ids=(1,), completion_ids=(2,), sampler_logprobs=(0.0,), text=name)
        taken = 9.0 if name == "plain" else 3.0
        score = Score(1.0, evidence=replace(passed, costs=costs.get(name), cpu_ms=taken))
        made = {"task_id": "t", "episode_id": f"t#{number}", "group_id": "t", "turns": (turn,), "status": "finished"}
        return Rollout(**made, score=score, program=name, usage={"completion_tokens": 1})

    group = Group(Task(id="t", prompt="Do it."), tuple(rollout(*item) for item in enumerate([*costs, "plain"])))
    (by_group,), (by_row,) = from_groups([group]), from_rows(sample_rows([group]))
    for found in (by_group, by_row):
        assert [answer.cost for answer in found.answers] == [2.0, 0.5, None, None]
        assert [answer.cpu_ms for answer in found.answers] == [3.0, 3.0, 3.0, 9.0]
    (pair,) = efficiency(by_group.answers[:2])
    assert (pair.chosen, pair.rejected) == ("quick", "slow")
    assert (pair.meta["chosen_cost"], pair.meta["rejected_cost"]) == (0.5, 2.0)
    assert texts(efficiency(by_group.answers)) == [("slow", "plain"), ("quick", "plain"), ("odd", "plain")]


def test_counts_are_not_compared_with_times():
    """8 times the reference's count in 40 ms is slower than a program of 15 ms, of which no count is known."""
    slow, fast = answer("slow", cost=8.0, cpu_ms=40.0), answer("fast", cpu_ms=15.0)
    assert texts(efficiency([slow, fast])) == [("fast", "slow")]
    assert [one.completion for one in best_of_n([slow, fast], only_best=True)] == ["fast"]
