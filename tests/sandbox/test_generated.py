"""Tests drawn from a seed: inputs by a generator, expected values by the gold program, in real processes."""

import asyncio
from dataclasses import replace

import pytest

from verigrad.errors import TaskError
from verigrad.sandbox.generated import with_drawn_tests
from verigrad.sandbox.judge import Judge
from verigrad.types import CallTest, Comparator, Generator, Oracle, PropertyTest, StdioTest

GOLD = "def f(xs, k):\n    xs.sort()\n    return xs[:k]\n"  # changes its argument
SOURCE = """
def inputs(random):
    return [random.randint(-9, 9) for _ in range(random.randint(0, 6))], random.randint(0, 3)

"""
SMALLEST = Oracle(
    task_id="smallest@1/0",
    tests=(CallTest("none", ([], 2), []),),
    gold=GOLD,
    generator=Generator(source=SOURCE, count=6),
    constant_pass_rate=0.5,
)


@pytest.fixture
def drawn(box):
    return lambda oracle, seed=0, entry_point="f", **more: asyncio.run(
        with_drawn_tests(oracle, entry_point, seed, box, **more)
    )


def test_expected_values_are_what_the_gold_program_returns(drawn, judged):
    oracle = drawn(SMALLEST)
    fixed, *tests = oracle.tests
    assert fixed == SMALLEST.tests[0]
    assert [test.name for test in tests] == [f"drawn_{n}" for n in range(1, 7)]
    assert len({repr(test.args) for test in tests}) == 6
    for test in tests:
        xs, k = test.args
        assert test.expected == sorted(xs)[:k]
    assert any(xs != sorted(xs) for xs, _ in (test.args for test in tests))  # the arguments as they were drawn
    assert oracle.constant_pass_rate is None
    assert judged(GOLD, oracle).passed
    assert judged("def f(xs, k):\n    return xs[:k]\n", oracle).status == "failed"


def test_equal_seeds_draw_equal_tests_and_others_take_their_place(drawn):
    first, again, other = drawn(SMALLEST, 3), drawn(SMALLEST, 3), drawn(SMALLEST, 4)
    assert first == again
    assert {repr(test.args) for test in first.tests} != {repr(test.args) for test in other.tests}
    assert drawn(first, 4) == other
    same_text = replace(SMALLEST, task_id="smallest@1/1")
    assert [test.args for test in drawn(same_text, 3).tests] != [test.args for test in first.tests]


def test_inputs_are_distinct_and_fewer_where_there_are_no_more(drawn):
    few = replace(SMALLEST, generator=Generator(source="def inputs(random):\n    return [], random.randint(0, 2)\n"))
    assert sorted(test.args[1] for test in drawn(few).tests[1:]) == [0, 1, 2]


def test_a_precondition_keeps_inputs_out(drawn):
    source = SOURCE + "def requires(xs, k):\n    return 0 < k <= len(xs)\n"
    tests = drawn(replace(SMALLEST, generator=Generator(source=source, count=20))).tests[1:]
    assert len(tests) == 20
    assert all(0 < k <= len(xs) for xs, k in (test.args for test in tests))
    given = [([3, 1], 1), ([3, 1], 3), ([], 0)]
    only = Generator(source="def requires(xs, k):\n    return k <= len(xs)\n")
    assert [test.args for test in drawn(replace(SMALLEST, generator=only), drawn=given).tests[1:]] == [
        given[0],
        given[2],
    ]


def test_a_property_decides_in_place_of_the_gold_program(drawn, judged):
    checker = """
def sorted_part(args, got):
    xs, k = args
    return got == sorted(xs)[:k]

def order_is_nothing(args, got, others, other):
    return got == other
"""
    contract = replace(SMALLEST, tests=(), checker=checker, gold=None)
    contract = replace(contract, generator=Generator(source=SOURCE, count=4, property="sorted_part"))
    oracle = drawn(contract)
    assert all(isinstance(test, PropertyTest) and len(test.inputs) == 1 for test in oracle.tests)
    assert judged(GOLD, oracle).passed
    assert judged("def f(xs, k):\n    return xs[:k]\n", oracle).status == "failed"
    pairs = "def inputs(random):\n    xs = random.sample(range(50), 5)\n    return [(xs, 2), (xs[::-1], 2)]\n"
    relation = replace(contract, generator=Generator(source=pairs, count=4, property="order_is_nothing"))
    oracle = drawn(relation)
    assert [len(test.inputs) for test in oracle.tests] == [2] * 4
    assert all(test.inputs[0][0] == test.inputs[1][0][::-1] for test in oracle.tests)
    assert judged(GOLD, oracle).passed
    assert judged("def f(xs, k):\n    return xs[:k]\n", oracle).num_passed == 0


def test_scripts_get_texts(drawn, judged):
    gold = "print(sum(map(int, input().split())))\n"
    source = "def inputs(random):\n    return f'{random.randint(0, 99)} {random.randint(0, 99)}\\n'\n"
    oracle = drawn(
        Oracle(task_id="t", tests=(), gold=gold, generator=Generator(source=source, count=3)), entry_point=None
    )
    for test in oracle.tests:
        assert isinstance(test, StdioTest)
        assert int(test.stdout) == sum(map(int, test.stdin.split()))
    assert judged(gold, oracle, None).passed
    assert judged("print(7)\n", oracle, None).status == "failed"


def test_comparators_are_the_oracles(drawn, judged):
    for mode, wrong in {"any_of": "[1]", "truthy": "[]", "multiset": "[0, 0, 0, 0, 0]", "exact": "()"}.items():
        source = "def inputs(random):\n    return (random.randint(1, 99),)\n"
        gold = "def f(n):\n    return [n, 1, 2, 3, 4]\n"
        oracle = Oracle(
            task_id="t", tests=(), gold=gold, comparator=Comparator(mode), generator=Generator(source=source)
        )
        oracle = drawn(oracle)
        assert judged(gold, oracle).passed
        assert judged(f"def f(n):\n    return {wrong}\n", oracle).num_passed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"generator": None}, "no generator"),
        ({"gold": None}, "give one"),
        ({"gold": "def f(xs, k):\n    return xs[k]\n"}, "gold program fails: exception IndexError"),
        ({"gold": "def g(xs, k):\n    return 0\n"}, "gold program does not load: no_entry_point"),
        ({"generator": Generator(source="def inputs(random)\n")}, "generator does not load: syntax_error"),
        ({"generator": Generator(source="")}, "generator fails: exception NameError"),
        (
            {"generator": Generator(source="def inputs(random):\n    return [1], 2, open\n")},
            "generator fails: not_plain",
        ),
        ({"generator": Generator(source="def inputs(random):\n    return 'text'\n")}, "wanted a tuple of arguments"),
        ({"generator": Generator(source="def inputs(random):\n    return []\n")}, "wanted a tuple of arguments"),
        ({"generator": Generator(source="def inputs(random):\n    return [([], 1), ([], 2)]\n")}, "need a property"),
        ({"generator": Generator(source=SOURCE + "def requires(xs, k):\n    return False\n")}, "refused 1000 inputs"),
    ],
)
def test_what_does_not_work_is_an_error_that_names_the_task(drawn, change, message):
    with pytest.raises(TaskError, match=rf"smallest@1/0: .*{message}"):
        drawn(replace(SMALLEST, **change))


def test_a_precondition_that_refuses_all_that_was_given(drawn):
    never = Generator(source="def requires(xs, k):\n    return False\n")
    with pytest.raises(TaskError, match="no inputs that its precondition accepts"):
        drawn(replace(SMALLEST, generator=never), drawn=[([], 1)])


def test_a_policy_that_knows_one_seed_by_heart_fails_the_next(drawn, box):
    """What fresh tests are for: a table of answers passes the tests it was made from and no others."""
    seen = drawn(SMALLEST, 0)
    table = {repr(list(test.args)): test.expected for test in seen.tests}
    program = f"def f(*args):\n    return {table!r}.get(repr(list(args)), [])\n"

    async def verdicts():
        judge = Judge(box, canaries_every=0)
        return [await judge.judge(program, drawn_oracle, "f") for drawn_oracle in (seen, fresh)]

    fresh = drawn(SMALLEST, 1)
    known, unknown = asyncio.run(verdicts())
    assert known.passed
    assert not unknown.passed


def test_ints_too_long_to_write_down(drawn, judged):
    source = "def inputs(random):\n    return (random.randrange(10) << 20_000,)\n"
    oracle = Oracle(task_id="t", tests=(), gold="def f(n):\n    return n + 1\n", generator=Generator(source=source))
    oracle = drawn(oracle)
    assert all(test.expected == test.args[0] + 1 for test in oracle.tests)
    assert judged(oracle.gold, oracle).passed
