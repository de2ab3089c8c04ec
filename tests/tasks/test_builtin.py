"""The built-in suite keeps what it promises, on every instance of every family and split."""

import hashlib
import os
import re
import subprocess
import sys
from copy import deepcopy
from dataclasses import replace
from functools import cache
from itertools import combinations

import pytest

from verigrad.errors import ConfigError, TaskError
from verigrad.tasks.builtin import Family, load, load_easy, wrong_programs
from verigrad.tasks.builtin.adequacy import agree, constant_pass_rate
from verigrad.tasks.builtin.easy_subset import EASY_FAMILIES
from verigrad.tasks.builtin.family import DIFFICULTIES, TOPICS
from verigrad.tasks.builtin.instance import make_instance
from verigrad.tasks.builtin.prompt import assertion, literal
from verigrad.tasks.builtin.suite import FAMILIES, HELD_OUT, MODULES, SPLITS
from verigrad.types import CallTest, Comparator
from verigrad.values import decode, encode

FAMILY_SPLITS = ("train", "validation", "unseen_instances")
INSTANCES = 3


@cache
def loaded(split):
    return load(split, instances=INSTANCES)


def every_task():
    return [(loaded(split), task) for split in SPLITS for task in loaded(split).tasks]


def same(value, wanted):
    """Equality with types at every level."""
    if type(value) is not type(wanted):
        return False
    if isinstance(value, list | tuple):
        return len(value) == len(wanted) and all(map(same, value, wanted))
    if isinstance(value, dict):
        return value.keys() == wanted.keys() and all(same(value[key], wanted[key]) for key in wanted)
    return value == wanted


def right(value, wanted, comparator):
    """A second, plain opinion on the comparators that the suite uses."""
    if comparator.mode == "any_of":
        return any(same(value, item) for item in wanted)
    if comparator.mode == "multiset":
        return type(value) is type(wanted) and sorted(map(repr, value)) == sorted(map(repr, wanted))
    if comparator.mode == "set":
        return {repr(item) for item in value} == {repr(item) for item in wanted}
    assert comparator.mode == "exact"
    if comparator.atol and isinstance(wanted, int | float):
        kinds = (type(wanted),) if comparator.strict else (int, float)
        return type(value) in kinds and abs(value - wanted) <= comparator.atol
    return same(value, wanted) if comparator.strict else value == wanted


def num_passed(program, task, oracle):
    namespace = {"__name__": "candidate"}
    exec(program, namespace)
    passed = 0
    for test in oracle.tests:
        try:
            value = namespace[task.entry_point](*deepcopy(test.args))
        except Exception:
            continue
        passed += right(value, test.expected, oracle.comparator)
    return passed


# ------------------------------------------------------------------------------------------- families


def test_size_of_the_suite():
    assert len(FAMILIES) >= 120
    assert sum(family.difficulty == "easy" for family in FAMILIES.values()) >= 52
    assert {family.difficulty for family in FAMILIES.values()} == set(DIFFICULTIES)
    assert len({family.topic for family in FAMILIES.values()}) >= 10


def test_keys_are_unique_over_all_modules():
    assert sum(len(module.FAMILIES) for module in MODULES) == len(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.key)
def test_family_is_complete(family):
    assert family.topic in TOPICS and family.difficulty in DIFFICULTIES
    assert len(set(family.statements)) == len(family.statements) >= 5
    assert len(set(family.names)) == len(family.names) >= 4
    assert all(name.isidentifier() for name in family.names)
    assert len(family.wrong) >= 2
    assert f"def $name({family.signature})" in family.gold


def test_held_out_families_are_one_in_six_and_cover_difficulties_and_most_topics():
    assert FAMILIES.keys() >= HELD_OUT
    for difficulty in DIFFICULTIES:
        keys = {key for key, family in FAMILIES.items() if family.difficulty == difficulty}
        assert 1 / 7 <= len(keys & HELD_OUT) / len(keys) <= 1 / 5
    topics = {family.topic for family in FAMILIES.values()}
    assert len({FAMILIES[key].topic for key in HELD_OUT}) >= 0.7 * len(topics)


# ------------------------------------------------------------------------------------------ instances


@pytest.mark.parametrize("split", SPLITS)
def test_every_family_of_a_split_gives_every_instance(split):
    tasks = loaded(split).tasks
    keys = {key for key in FAMILIES if (key in HELD_OUT) == (split == "unseen_families")}
    assert {task.id for task in tasks} == {f"builtin@1/{split}/{key}/{n}" for key in keys for n in range(INSTANCES)}
    for task in tasks:
        family = FAMILIES[task.tag("family")]
        assert (task.tag("source"), task.tag("topic"), task.difficulty) == ("builtin", family.topic, family.difficulty)
        assert f"def {task.entry_point}({family.signature}):" in task.prompt
        assert task.prompt.count("assert ") == len(task.public_tests) == 2


def test_gold_passes_everything_and_wrong_programs_fail():
    for tasks, task in every_task():
        oracle = tasks.oracle(task)
        total = len(oracle.tests)
        assert num_passed(oracle.gold, task, oracle) == total, task.id
        for program in wrong_programs(task):
            assert num_passed(program, task, oracle) < total, (task.id, program)


def test_gold_passes_the_asserts_in_the_prompt():
    for tasks, task in every_task():
        lines = task.prompt.split("Your code should pass these tests:\n\n")[1]
        exec(tasks.oracle(task).gold + "\n" + lines, {"__name__": "candidate"})


def test_hidden_and_public_inputs_differ_and_all_values_are_plain():
    for tasks, task in every_task():
        tests = tasks.oracle(task).tests + task.public_tests
        assert len(tasks.oracle(task).tests) >= 8
        assert len({literal(test.args) for test in tests}) == len(tests), task.id
        for test in tests:
            value = (test.args, test.expected)
            assert same(decode(encode(value)), value)


def test_no_constant_program_passes_much():
    """The slow way: try every expected value (or acceptable element) as the constant, by the second opinion."""
    for tasks, task in every_task():
        oracle = tasks.oracle(task)
        wanted = [test.expected for test in oracle.tests]
        constants = [item for value in wanted for item in value] if oracle.comparator.mode == "any_of" else wanted
        best = max(sum(right(constant, value, oracle.comparator) for value in wanted) for constant in constants)
        assert oracle.constant_pass_rate == best / len(wanted) < 0.7, task.id


# --------------------------------------------------------------------------------------------- splits


def pattern(template):
    """A regular expression for what a statement's template can render to."""
    pieces = re.split(r"\$\{?\w+\}?", template.replace("$$", "\0"))
    return re.compile(".+?".join(re.escape(piece.replace("\0", "$")) for piece in pieces))


def test_splits_share_no_wording_and_no_function_name():
    own = {"validation": (3, 2), "unseen_instances": (4, 3)}  # (statement, name)
    for split in FAMILY_SPLITS:
        for task in loaded(split).tasks:
            family = FAMILIES[task.tag("family")]
            statement = task.prompt.split("\n\n", 1)[1].split("\n\nYour code should pass")[0]
            matching = {i for i, template in enumerate(family.statements) if pattern(template).fullmatch(statement)}
            name = family.names.index(task.entry_point)
            if split in own:
                assert (matching, name) == ({own[split][0]}, own[split][1]), task.id
            else:
                assert len(matching) == 1 and matching.isdisjoint({3, 4}) and name not in {2, 3}, task.id


def test_splits_draw_their_inputs_from_streams_of_their_own():
    """Of the hidden inputs drawn for a split, few were drawn in another (where a family has few inputs)."""
    for first, second in combinations(FAMILY_SPLITS, 2):
        shared = drawn_inputs(first) & drawn_inputs(second)
        assert len(shared) < 0.1 * len(drawn_inputs(second))


@cache
def drawn_inputs(split):
    tasks = loaded(split)
    return {
        (task.tag("family"), literal(test.args))
        for task in tasks.tasks
        for test in tasks.oracle(task).tests
        if test.name.startswith("drawn")
    }


def test_load_easy_sizes():
    """12, 1, 5 and 5 instances a family; at least 200 unseen instances over at least 40 families."""
    easy = {key for key, family in FAMILIES.items() if family.difficulty == "easy"}
    for split, count in {"train": 12, "validation": 1, "unseen_instances": 5, "unseen_families": 5}.items():
        tasks = load_easy(split)
        keys = easy & HELD_OUT if split == "unseen_families" else set(EASY_FAMILIES)
        assert tasks.name == f"builtin-easy@1/{split}"
        assert len(tasks) == len(tasks.oracles) == count * len(keys)
        assert {task.tag("family") for task in tasks.tasks} == keys
    assert set(EASY_FAMILIES) <= easy - HELD_OUT
    assert len(EASY_FAMILIES) == 61


def test_the_easy_subset_has_no_other_families():
    assert {task.tag("family") for task in load_easy("train", families=("is_even",)).tasks} == {"is_even"}
    for split, key in (("train", "second_largest"), ("train", "edit_distance"), ("unseen_families", "lru_cache")):
        with pytest.raises(ConfigError, match=f"'{key}' is not in builtin-easy@1/{split}"):
            load_easy(split, families=(key,))


def test_filters():
    keys = ("is_even", "sum_list")
    assert {task.tag("family") for task in load("train", families=keys).tasks} == set(keys)
    assert load("train", families=keys, difficulty="hard").tasks == ()
    assert {task.difficulty for task in load("validation", difficulty="easy").tasks} == {"easy"}
    (task,) = load("train", families=("is_even",), instances=1, num_tests=20, num_public=0).tasks
    assert task.public_tests == () and "assert" not in task.prompt
    with pytest.raises(ConfigError, match="did you mean 'train'"):
        load("trian")
    with pytest.raises(ConfigError, match=r"unknown family 'is_evn'.*did you mean"):
        load("train", families=("is_evn",))
    with pytest.raises(ConfigError, match="'is_even' is not in split 'unseen_families'"):
        load("unseen_families", families=("is_even",))
    with pytest.raises(ConfigError, match="difficulty 'simple'"):
        load("train", difficulty="simple")


# ---------------------------------------------------------------------------------------- determinism


def digest():
    """Of all that the suite says, for one instance of every family and split."""
    lines = []
    for split in SPLITS:
        tasks = load(split, instances=1)
        for task in tasks.tasks:
            oracle = tasks.oracle(task)
            tests = literal([(test.name, test.args, test.expected) for test in oracle.tests])
            lines += [task.id, task.prompt, oracle.gold, tests]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def test_two_loads_are_equal():
    assert load("train", instances=INSTANCES) == loaded("train")
    first = load("train", instances=1).tasks
    assert first == loaded("train").tasks[: len(first)]


def test_string_hashing_does_not_change_the_suite():
    """Another process with another PYTHONHASHSEED makes the same prompts and tests."""
    script = (
        f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); import test_builtin as t; print(t.digest())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    out = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == digest()


def test_ids_are_stable():
    """The ids of one family never change; those of the easy training split are pinned by a digest."""
    ids = [task.id for task in load("unseen_instances", families=("is_even",), instances=3).tasks]
    assert ids == [f"builtin@1/unseen_instances/is_even/{n}" for n in range(3)]
    easy = sorted(task.id for task in load_easy("train").tasks)
    assert hashlib.sha256("\n".join(easy).encode()).hexdigest()[:16] == "804e3b69017000e8"


def test_other_seeds_give_other_instances():
    first, other = (load("train", families=("sum_list",), instances=2, seed=seed) for seed in (0, 3))
    assert [task.id for task in other.tasks] == ["builtin@1/train/sum_list/0-3", "builtin@1/train/sum_list/1-3"]
    assert first.tasks[0].public_tests != other.tasks[0].public_tests


# ------------------------------------------------------------------------------------------ the parts


def test_wrong_programs_are_those_of_the_instance():
    """The parameter k and the name are the instance's own: the gold differs from wrong program 0 only in the sign."""
    tasks = load("train", families=("add_constant",), instances=3)
    for task in tasks.tasks:
        assert wrong_programs(task)[0] == tasks.oracle(task).gold.replace("n + ", "n - ")


def test_wrong_programs_of_another_suite_are_refused():
    (task,) = load("train", families=("is_even",), instances=1).tasks
    for id in ("humaneval@1/0", "builtin@0/train/is_even/0", "builtin@1/train/nothing/0"):
        with pytest.raises(TaskError, match="wanted a task of builtin@1"):
            wrong_programs(replace(task, id=id))


@pytest.mark.parametrize(
    ("value", "expected", "comparator", "wanted"),
    [
        (1, 1.0, Comparator(), False),
        (1, 1.0, Comparator(strict=False), True),
        ([1, (2,)], [1, [2]], Comparator(strict=False), False),
        ([1, True], [1, 1], Comparator(), False),
        (0.1 + 0.2, 0.3, Comparator(), False),
        (0.1 + 0.2, 0.3, Comparator(atol=1e-9), True),
        (101.0, 100.0, Comparator(rtol=0.02), True),
        ({"a": [0.5]}, {"a": [0.5000001]}, Comparator(atol=1e-6), True),
        ({"a": 1}, {"a": 1, "b": 2}, Comparator(), False),
        ([2, 1, 2], [1, 2, 2], Comparator("multiset"), True),
        ([2, 1, 1], [1, 2, 2], Comparator("multiset"), False),
        ([2, 1, 1], [1, 2, 2], Comparator("set"), True),
        (3, [1, 2], Comparator("any_of"), False),
        (2, [1, 2], Comparator("any_of"), True),
        ([0], True, Comparator("truthy"), True),
        (None, [1], Comparator("multiset"), False),
    ],
)
def test_agree(value, expected, comparator, wanted):
    assert agree(value, expected, comparator) is wanted


def test_constant_pass_rate_by_hand():
    """Of [1, 2] [2, 3] [4] the constant 2 satisfies two of three; the constant [1, 2] as a multiset two of three."""
    assert constant_pass_rate([[1, 2], [2, 3], [4]], Comparator("any_of")) == 2 / 3
    assert constant_pass_rate([[1, 2], [2, 1], [4]], Comparator("multiset")) == 2 / 3
    assert constant_pass_rate([[1, 2], [2, 1], [4]], Comparator()) == 1 / 3


def test_assertions_say_what_the_comparator_checks():
    def shown(expected, comparator):
        return assertion("f", CallTest("example_1", ({"b", "a"}, [1]), expected, comparator=comparator))

    call = "f({'a', 'b'}, [1])"
    assert shown(True, None) == f"assert {call} == True"
    assert shown([2, 1], Comparator("multiset")) == f"assert sorted({call}) == [1, 2]"
    assert shown([2, 1, 2], Comparator("set")) == f"assert set({call}) == {{1, 2}}"
    assert shown([3, 4], Comparator("any_of")) == f"assert {call} in [3, 4]"
    assert shown(False, Comparator("truthy")) == f"assert not {call}"
    assert shown(0.5, Comparator(atol=1e-6)) == f"assert abs({call} - 0.5) < 1e-06"


def family(**changes):
    fields = {
        "key": "made_up",
        "topic": "logic",
        "difficulty": "easy",
        "signature": "n",
        "names": ("f",),
        "statements": ("Return n.",),
        "gold": "def $name(n):\n    return n\n",
        "inputs": lambda random, params: (random.randint(0, 99),),
    }
    return Family(**(fields | changes))


def make(made):
    return make_instance(made, name="f", statement="Return n.", seed=("test",), num_tests=4, num_public=2)


def test_instances_that_cannot_be_adequate_are_refused():
    assert len(make(family()).hidden) == 4
    with pytest.raises(TaskError, match=r"'made_up'.* a constant passes 100% of the hidden tests"):
        make(family(gold="def $name(n):\n    return 0\n"))
    with pytest.raises(TaskError, match="wrong program 0 passes"):
        make(family(wrong=("def $name(n):\n    return abs(n)\n",)))
    with pytest.raises(TaskError, match="gave only 2 distinct inputs besides its edges, wanted 6"):
        make(family(inputs=lambda random, params: (random.randint(0, 1),)))
    with pytest.raises(TaskError, match="program for 'f' does not load"):
        make(family(gold="def $name(n)\n    return n\n"))


def test_many_edges_do_not_crowd_out_drawn_inputs():
    """5 edges and 4 tests wanted: all edges first, then half of 4 drawn."""
    made = make(family(edges=lambda params: tuple((-n,) for n in range(1, 6))))
    assert [test.name for test in made.hidden] == [f"edge_{n}" for n in range(1, 6)] + ["drawn_1", "drawn_2"]
    assert [test.args for test in made.hidden[:5]] == [(-1,), (-2,), (-3,), (-4,), (-5,)]
