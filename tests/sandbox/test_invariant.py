"""Loop invariants: the built-in tasks run as programs, and answers that try to get by without one."""

import ast

import pytest

from verigrad.errors import TaskError
from verigrad.sandbox.proofs.invariant import why_no_invariant
from verigrad.tasks import load_tasks

TASKS = load_tasks("invariants")
SUM = """
def sum_to(n):
    assert n >= 0
    i = 0
    total = 0
    while i < n:
        i += 1
        total += i
    assert 2 * total == n * (n + 1)
"""
GOOD = "i <= n and 2 * total == i * (i + 1)"


def program_of(task):
    (test,) = TASKS.oracle(task).tests
    return test.program


@pytest.mark.parametrize("task", TASKS.tasks, ids=lambda task: task.id)
def test_gold_invariants_hold_in_every_round_of_real_runs(task):
    """The loop's condition is asked once before every round and once at the end: there the invariant must hold."""
    tree = ast.parse(program_of(task))
    loop = next(node for node in ast.walk(tree) if isinstance(node, ast.While))
    gold = TASKS.oracle(task).gold
    loop.test = ast.parse(f"seen({gold}) and ({ast.unparse(loop.test)})", mode="eval").body
    rounds = []

    def seen(holds):
        rounds.append(holds)
        return True

    names = {"seen": seen}
    exec(compile(ast.fix_missing_locations(tree), "program", "exec"), names)
    (function,) = tree.body
    values = [(a, b, c)[: len(function.args.args)] for a in range(-6, 15, 4) for b in range(-3, 6, 3) for c in (1, 4)]
    for inputs in set(values):
        before = len(rounds)
        try:
            names[function.name](*inputs)
        except AssertionError:
            assert len(rounds) == before, f"{inputs}: the premises let it pass and a goal does not hold"
    assert len(rounds) > 5 and all(rounds)


@pytest.mark.parametrize("task", TASKS.tasks, ids=lambda task: task.id)
def test_the_goals_alone_are_no_answer(task):
    function = ast.parse(program_of(task)).body[0]
    place = next(n for n, node in enumerate(function.body) if isinstance(node, ast.While))
    goals = " and ".join(f"({ast.unparse(node.test)})" for node in function.body[place + 1 :])
    condition = ast.unparse(function.body[place].test)
    for answer in (goals, condition, f"not ({condition})"):
        assert why_no_invariant(program_of(task), answer), answer


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (GOOD, ""),
        ("0 <= i <= n and total + total == i + i * i", ""),
        ("True", "goals"),
        ("False", "begins"),
        ("i == 0 and total == 0", "not kept"),
        ("2 * total == i * (i + 1)", "goals"),  # nothing says that i does not run past n
        (f"{GOOD} and n < 1000", "begins"),  # true of all inputs that anyone would try
        (f"{GOOD} and 1 // i == 0", "begins"),  # raises
        (f"{GOOD} and 1 // (i + 1) >= 0 and 6 // (3 - i) != 7", "not kept"),
        ("2 * total == n * (n + 1)", "begins"),
        ("", "no single expression"),
        ("i <= n; True", "no single expression"),
        ("assert_(True)", "a call of 'assert_'"),
        ("(n := 0) == 0", "NamedExpr"),
        ("sum_to(n)", "a call of 'sum_to'"),
        ("[True for n in [0]]", "ListComp"),
        ("(lambda: True)()", "Lambda"),
        ("__import__('os').system('true')", "Attribute"),
        ("k == 0", "the name 'k'"),
        ("i <= n and total", "begins"),
        ("-" * 900 + "i <= n", ""),
        ("(" * 150 + "i <= n" + ")" * 150, "goals"),
        ("i <= n and " + " and ".join(["i <= n"] * 500), "over 2000"),
        ("\ud800", "no single expression"),
        ("i <= n\0", "no single expression"),
        ("9" * 4000 + " > i", "over 2000"),
    ],
)
def test_answers(answer, why):
    found = why_no_invariant(SUM, answer)
    if answer.startswith("-"):
        assert found  # wrong or too deep, but no crash
    else:
        assert (why in found) if why else found == "", found


def test_a_refusal_shows_values_that_are_right():
    found = why_no_invariant(SUM, "i <= n")
    values = dict(part.split(" = ") for part in found.partition(": ")[2].split(", "))
    i, n, total = (int(values[name]) for name in ("i", "n", "total"))
    assert i == n and 2 * total != n * (n + 1)


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (SUM.replace("n >= 0", "n >= 0 and n < 0"), "no input"),
        (SUM.replace("i < n", "i < 0"), "no input"),  # a loop that is never entered
        (SUM.replace("while i < n:", "for i in range(n):"), "0 while loops"),
        (SUM.replace("total += i", "break"), "break"),
        (SUM.replace("i = 0", "i = []"), "a list"),
        (SUM + "\ndef other():\n    return 1\n", "2 functions"),
        (SUM.replace("total += i", "total = total > i"), "something else than Int"),
    ],
)
def test_tasks_that_prove_nothing_are_errors_of_ours(program, why):
    with pytest.raises(TaskError, match=why):
        why_no_invariant(program, "True")


@pytest.mark.parametrize(
    ("condition", "body", "why"),
    [
        ("i < n", "6 // (n - i - 1)", "not kept"),  # the last round raises
        ("1 // (i - 5) != 7 and i < n", "0", "goals"),  # asking whether to go on raises where i is 5
        ("i < n", "6 // (n - i)", ""),
    ],
)
def test_what_raises_on_the_way_proves_nothing(condition, body, why):
    program = (
        f"def f(n):\n    assert n >= 1\n    i = 0\n    while {condition}:\n        {body}\n"
        "        i += 1\n    assert i <= n\n"
    )
    found = why_no_invariant(program, "i <= n")
    assert (why in found) if why else found == ""
