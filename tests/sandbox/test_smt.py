"""Terms to find: right ones, wrong ones, and answers that would make the question easier."""

import re

import pytest

from verigrad.errors import SandboxError, TaskError
from verigrad.sandbox.proofs import solver
from verigrad.sandbox.proofs.smt import why_goals_do_not_follow
from verigrad.types import Oracle, SmtTest

pytest.importorskip("z3")

COUNT = SmtTest(
    "count",
    holes=("(inv ((i Int) (n Int)) Bool)",),
    goals=("(inv 0 n)", "(=> (and (inv i n) (< i n)) (inv (+ i 1) n))", "(=> (and (inv i n) (>= i n)) (= i n))"),
    preamble="(declare-const n Int) (declare-const i Int) (assert (>= n 0))",
)
MAX = SmtTest(
    "max",
    holes=("(f ((x Int) (y Int)) Int)",),
    goals=("(and (>= (f a b) a) (>= (f a b) b) (or (= (f a b) a) (= (f a b) b)))",),
    preamble="(declare-const a Int) (declare-const b Int)",
)
PAIR = SmtTest(
    "pair",
    holes=("(quo ((x Int)) Int)", "(rem ((x Int)) Int)"),
    goals=("(= a (+ (* 3 (quo a)) (rem a)))", "(and (<= 0 (rem a)) (< (rem a) 3))"),
    preamble="(declare-const a Int) (define-fun third ((x Int)) Int (div x 3))",
)


@pytest.mark.parametrize(
    ("test", "answer"),
    [
        (COUNT, "(<= i n)"),
        (COUNT, "; the counter\n(and (<= 0 i)\n (<= i n))"),
        (COUNT, "(define-fun inv ((i Int) (n Int)) Bool (let ((gap (- n i))) (>= gap 0)))"),
        (MAX, "(ite (>= x y) x y)"),
        (MAX, "(div (+ x y (abs (- x y))) 2)"),
        (PAIR, "(define-fun rem ((x Int)) Int (mod x 3))\n(define-fun quo ((x Int)) Int (third x))"),
    ],
)
def test_right(test, answer):
    assert why_goals_do_not_follow(test, answer) == ""


@pytest.mark.parametrize(
    ("test", "answer", "why"),
    [
        (COUNT, "true", "goal 3 does not follow"),
        (COUNT, "false", "goal 1 does not follow"),
        (COUNT, "(< i n)", "goal 1 does not follow"),  # for n = 0
        (COUNT, "i", "z3 refuses the answer"),  # an Int
        (COUNT, "(<= i)", "does not follow|refuses"),
        (MAX, "x", "goal 1 does not follow"),
        (MAX, "(div x 0)", "goal 1 does not follow"),  # it may be any integer, so it must do for all
        (MAX, "(ite (>= x y) x", "not closed"),
        (MAX, "x y", "something else than one define-fun"),
        (MAX, "", "nothing in it"),
        (PAIR, "(define-fun rem ((x Int)) Int (mod x 3))", "no definition of quo"),
        (PAIR, "(define-fun rem ((x Int)) Int (mod x 3))" * 2, "something else than one define-fun"),
        (PAIR, "(define-fun rem ((x Int) (y Int)) Int (mod x 3))(define-fun quo ((x Int)) Int 0)", "another signature"),
    ],
)
def test_wrong(test, answer, why):
    assert re.search(why, why_goals_do_not_follow(test, answer))


@pytest.mark.parametrize(
    "answer",
    [
        "(f a b)",  # itself
        "(ite (>= a b) a b)",  # the constants that the goals are about
        "(g x y)",
        "x) (assert false",
        "(define-fun f ((x Int) (y Int)) Int x) (assert false)",
        "(assert false)",
        "(define-fun-rec f ((x Int) (y Int)) Int (f x y))",
        "(forall ((z Int)) (> z x))",
        "(! x :named z)",
        "|x|",
        '"x"',
        "#b1",
        "(let ((x y)) x)",
        "(let ((>= <=)) x)",
        "(let ((and or)) x)",
        "(_ bv0 8)",
        "((as const (Array Int Int)) 0)",
        "()",
        "(x)",
        "(" * 2000,
        "(+ x " * 200 + "y" + ")" * 200,
        "(+ x y)" * 1000,
        "x\0",
        "ｘ",
    ],
)
def test_what_is_no_answer(answer):
    assert why_goals_do_not_follow(MAX, answer).startswith("the answer has")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"preamble": COUNT.preamble + "(assert (< n 0))"}, "contradict each other"),
        ({"goals": ("(= n n)", "(>= n 0)")}, "follow whatever the answer is"),
        ({"goals": ()}, "wanted holes and goals"),
        ({"goals": ("(inv n)",)}, "z3 refuses"),
        ({"holes": ("(inv (i Int) Bool)",)}, "wanted a hole such as"),
    ],
)
def test_a_task_that_says_nothing_is_our_mistake(changes, told):
    test = SmtTest(**{**vars(COUNT), **changes})
    with pytest.raises(TaskError, match=told):
        why_goals_do_not_follow(test, "(<= i n)")


def test_products_of_millions_of_digits_are_not_decided(monkeypatch):
    """z3 counts each as one step; its processor's time ends them long before the clock would."""
    monkeypatch.setattr(solver, "_LIMITED", ("/bin/sh", "-c", 'ulimit -t 1; exec "$0" "$@"'))
    squares = " ".join(f"(let ((a{n + 1} (* a{n} a{n})))" for n in range(24))
    text = f"(declare-const i Int)(assert (let ((a0 9)) {squares} (> a24 i){')' * 26}(check-sat)"
    assert solver._run.__wrapped__(text, solver.EFFORT).status == "unknown"  # no TimeoutExpired


def test_a_solver_that_does_not_start_is_our_error(monkeypatch):
    monkeypatch.setattr(solver, "_z3", lambda: "/nowhere/z3")
    with pytest.raises(SandboxError, match="z3 cannot be started"):
        solver.solve_text("(assert false)(check-sat)")


def test_by_the_judge(judged):
    task = Oracle(task_id="t@1/0", tests=(COUNT,))
    assert judged("By induction.\n```smt2\n(<= i n)\n```\n", task, None).passed
    verdict = judged("true", task, None)
    assert (verdict.status, verdict.results[0].detail) == ("failed", f"goal 3 does not follow: {COUNT.goals[2]}")
