"""Answers that are text: inputs to predict, mathematics and proofs, judged for real."""

import asyncio
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from verigrad.errors import TaskError
from verigrad.sandbox.answers import last_line
from verigrad.sandbox.commands import CommandResult
from verigrad.sandbox.maths import final_expression, unlike
from verigrad.sandbox.proofs import coq, vacuity
from verigrad.sandbox.proofs.coq import forbidden
from verigrad.sandbox.text import last_block, text_result
from verigrad.tasks import jsonl
from verigrad.types import AnswerTest, Comparator, InputTest, InvariantTest, Limits, Oracle, TheoremTest

needs_coq = pytest.mark.skipif(shutil.which("coqc") is None, reason="Coq is not installed")


def oracle(test, **options):
    return Oracle(task_id="t", tests=(test,), **options)


# ------------------------------------------------------------------------------------------------ inputs

DOUBLES = InputTest("input", "def f(items, n=2):\n    return [n * item for item in items]\n", "f", [2, 4])
LOOPS = InputTest("input", "def f(n):\n    while n:\n        pass\n    return True\n", "f", True)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("[1, 2]", True),
        ("f([1, 2])", True),
        ("It doubles each, so:\n```python\nf([1, 2])\n```", True),
        ("[2, 4], 1", True),  # any input that gives it is right
        ("[4, 8], n=0.5", False),  # floats are no ints
        ("[1]", False),
        ("", False),
        ("[2, 4]", False),
        ("f([1, 2]) or f([1, 3])", False),
        ("g([1, 2])", False),
        ("*[[1, 2]]", False),
        ("[1, 1 + 1]", False),
        ("[__import__('os').getpid()]", False),
        ("[1, 2]) == f([1, 2]", False),
        ("(" * 5000, False),
    ],
)
def test_inputs(text, right, judged):
    assert judged(text, oracle(DOUBLES), None).passed is right


def test_an_input_may_hang_the_program_and_is_wrong_then(judged):
    assert judged("1", oracle(LOOPS, limits=Limits(cpu_s=0.2, wall_s=2)), None).status == "timeout"
    assert judged("0", oracle(LOOPS), None).passed


def test_a_program_that_does_not_load_is_the_tasks_mistake_whatever_the_input(judged):
    for program in ("def g(n):\n    return n\n", "def f(n) return n", "def f(n):\n    return n\n\n1 / 0\n"):
        with pytest.raises(TaskError, match="does not load"):
            judged("1", oracle(InputTest("input", program, "f", 1)), None)


# ------------------------------------------------------------------------------------------- mathematics


@pytest.mark.parametrize(
    ("text", "expected", "right"),
    [
        (r"So we have \boxed{0.5}.", r"\frac{1}{2}", True),
        (r"\boxed{\frac{2}{4}}", r"\frac{1}{2}", True),
        ("Adding up.\nThe answer is $1,234$.", "1234", True),
        ("x = 3", "3", True),
        ("3", "x = 3", True),
        (r"\boxed{\sqrt{12}}", r"2\sqrt{3}", True),
        (r"\boxed{(1+x)^2}", "(x+1)^2", True),
        (r"\boxed{\{2, 1\}}", r"\{1, 2\}", True),
        (r"\boxed{(2, 1)}", "(1, 2)", False),
        (r"\boxed{(0, 1]}", "[0, 1)", False),
        (r"\boxed{\frac{1}{0}}", r"\frac{1}{2}", False),
        (r"\boxed{7}", "8", False),
        # Several answers, of which one is right.
        (r"\boxed{7} \boxed{8}", "7", False),
        (r"\boxed{7, 8}", "7", False),
        (r"\boxed{7 \text{ or } 8}", "7", False),
        ("7 or 8", "7", False),
        ("7 8", "7", False),
        # The question given back, for the library to work out.
        (r"\boxed{3 + 4}", "7", False),
        (r"\boxed{14/2}", "7", False),
        (r"\boxed{(3.5)(2)}", "7", False),
        (r"\boxed{2\frac{7}{2}}", "7", False),
        (r"\boxed{10-3}", "7", False),
        (r"\boxed{\int_0^7 1 dx}", "7", False),
        (r"\boxed{\sum_{k=1}^{7} 1}", "7", False),
        (r"\boxed{\max(3, 7)}", "7", False),
        ("", "7", False),
        (r"\boxed{", "7", False),
        ("x" * 1000, "x", False),
    ],
)
def test_mathematics(text, expected, right, judged):
    assert judged(text, oracle(AnswerTest("answer", expected, "math")), None).passed is right


@pytest.mark.slow
def test_a_computation_without_end_is_wrong(judged):
    verdict = judged(r"\boxed{9^{9^{9^{9^{9}}}}}", oracle(AnswerTest("answer", "x^2", "math")), None)
    assert verdict.status == "failed"


def test_an_expected_expression_that_cannot_be_read_is_our_mistake(judged):
    with pytest.raises(TaskError, match="equal to itself"):
        judged(r"\boxed{1}", oracle(AnswerTest("answer", r"\notacommand{", "math")), None)


def test_what_the_answer_is_and_what_it_is_made_of():
    assert final_expression(r"\boxed{\frac{1}{2}} and then more words") == r"\frac{1}{2}"
    assert final_expression("a\n\nAnswer: $-3$") == "-3"
    assert final_expression("") is None
    assert unlike("-3", "3") == unlike("1,000", "5") == unlike("y", "x") == unlike("1/3", "0.5") == ""
    assert "'^'" in unlike("2^{10}", "1024")


# ------------------------------------------------------------------------------------------------ proofs

PLUS = TheoremTest("plus", "forall n : nat, n + 0 = n")
FALSE = TheoremTest("false", "forall n : nat, n = 0")
DOUBLE = TheoremTest(
    "double",
    "forall n : nat, double n = 2 * n",
    imports="Require Import Lia.",
    preamble="Fixpoint double (n : nat) : nat := match n with 0 => 0 | S m => S (S (double m)) end.",
)
INDUCTION = "intros n. induction n as [| n IH].\n- reflexivity.\n- simpl. rewrite IH. reflexivity."


@needs_coq
@pytest.mark.parametrize(
    ("test", "answer", "right"),
    [
        (PLUS, INDUCTION, True),
        (PLUS, f"By induction.\n```coq\nProof.\n{INDUCTION}\nQed.\n```", True),
        (PLUS, "intros n. { induction n; simpl; congruence. }", True),
        (DOUBLE, "induction n; simpl; lia.", True),
        (PLUS, "intros n. reflexivity.", False),
        (PLUS, "", False),
        (FALSE, INDUCTION, False),
        (FALSE, "fix answer 1. exact answer.", False),  # a proof that calls itself on the same argument
    ],
)
def test_proofs(test, answer, right, judged):
    assert judged(answer, oracle(test), None).passed is right


@pytest.mark.parametrize(
    "script",
    [
        "Admitted.",
        "intros. admit.",
        "intros n. give_up.",
        "Abort. Axiom answer : forall n : nat, n = 0. Goal True. trivial.",
        "Qed. Axiom cheat : False.",
        "- Axiom cheat : False.",
        "{ Unset Guard Checking. }",
        "1: Load evil.",
        'all: { + Redirect "/tmp/x" idtac. }',
        "intros. (* *) Admitted.",
        "intros (* . *) . exact (match cheat with end).",
        "#[bypass_check(guard)] fix f 1.",
        "native_compute. reflexivity.",
        "native_cast_no_check (eq_refl 0).",
        "intros",
        "intros…",
        'Notation "a = b" := True.',
        "Local Axiom cheat : False.",
        "Set Universe Checking.",
        "x" * 30_000 + ".",
    ],
)
def test_what_is_no_proof_script(script):
    assert forbidden(script)


@needs_coq
@pytest.mark.parametrize("cheat", ["admitted", "axiom", "unguarded"])
def test_what_the_filter_would_let_through_coq_itself_reports(cheat, judged, monkeypatch):
    """Two barriers: with the first gone, the second still holds."""
    monkeypatch.setattr("verigrad.sandbox.proofs.coq.forbidden", lambda script: "")
    scripts = {
        "admitted": "Admitted. Theorem other : True. exact I.",
        "axiom": "Abort. Axiom cheat : forall n : nat, n = 0. Theorem answer : forall n : nat, n = 0. exact cheat.",
        "unguarded": "Unset Guard Checking. intros n. revert n. fix f 1. intros n. exact (f n).",
    }
    verdict = judged(scripts[cheat], oracle(FALSE), None)
    assert verdict.status == "failed" and "assumptions" in verdict.results[0].detail


@needs_coq
def test_a_statement_that_is_none_is_our_mistake(judged):
    with pytest.raises(TaskError, match="refuses the statement"):
        judged("trivial.", oracle(TheoremTest("t", "forall n, n +")), None)


@needs_coq
@pytest.mark.parametrize(
    ("statement", "vacuous"),
    [
        ("forall n, n < 0 -> n = 5", True),
        ("forall P Q : Prop, P -> ~ P -> Q", True),
        ("forall x : Empty_set, x = x", True),
        ("forall a b : bool, a = true -> a = false -> b = a", True),
        ("forall l : list nat, l = nil -> length l > 0 -> l = l", True),
        ("forall n : nat, ~ n < n", False),
        ("forall n, n < n -> False", False),
        ("forall n : nat, n + 0 = n", False),
    ],
)
def test_statements_that_say_nothing_are_our_mistake(statement, vacuous, judged):
    test = oracle(TheoremTest("t", statement))
    if vacuous:
        with pytest.raises(TaskError, match="contradict each other"):
            judged("intros. easy.", test, None)
    else:
        judged("intros. easy.", test, None)


class Coq:
    """Takes every file but those that it refuses, and keeps the names."""

    def __init__(self, *refused):
        self.refused, self.names = refused, []

    async def run(self, command, limits):
        name = command.argv[-1].removesuffix(".v")
        self.names.append(name)
        refused = name in self.refused
        said = b"Closed under the global context" if name == "Check" else b""
        return CommandResult("exited", int(refused), said, b"", {} if refused else {f"{name}.vo": b""}, 1.0)


class Slow(Coq):
    """Has no time left for one of the files."""

    async def run(self, command, limits):
        done = await super().run(command, limits)
        return replace(done, status="timeout", exit_code=None, files={}) if self.names[-1] in self.refused else done


@pytest.mark.parametrize("name", ["Answer", "Check"])
def test_what_a_prover_has_no_time_for_is_no_refused_proof(name, monkeypatch):
    """A busy machine may be why, so the judge must not remember it."""
    monkeypatch.setattr("shutil.which", lambda name: name)
    slow = SimpleNamespace(commands=Slow("Vacuous", name))
    assert asyncio.run(text_result(INDUCTION, PLUS, oracle(PLUS), slow)).status == "timeout"
    refuses = SimpleNamespace(commands=Coq("Vacuous", name))
    assert asyncio.run(text_result(INDUCTION, PLUS, oracle(PLUS), refuses)).status == "failed"


def test_premises_that_contradict_each_other_are_looked_for_once_a_test(monkeypatch):
    monkeypatch.setattr(vacuity, "_sound", set())
    monkeypatch.setattr("shutil.which", lambda name: name)
    with pytest.raises(TaskError, match="contradict each other"):
        asyncio.run(coq.why_no_coq_proof(PLUS, INDUCTION, Coq()))
    first, second = Coq("Vacuous"), Coq("Vacuous")
    assert asyncio.run(coq.why_no_coq_proof(PLUS, INDUCTION, first)) == ""
    assert asyncio.run(coq.why_no_coq_proof(PLUS, INDUCTION, second)) == ""
    assert (first.names, second.names) == (["Task", "Vacuous", "Answer", "Check"], ["Task", "Answer", "Check"])


# ------------------------------------------------------------------------------------------------- forms


def test_only_the_end_of_an_answer_counts(judged):
    program = "def f(n):\n    assert n >= 0\n    i = 0\n    while i < n:\n        i += 1\n    assert i == n\n"
    test = oracle(InvariantTest("invariant", program))
    assert judged("It counts.\n\n`i <= n`", test, None).passed
    assert not judged("i <= n\nTrue", test, None).passed
    assert last_line("") == "" and last_block("```\na.\n```\nand\n```coq\nb.\n```\n") == "b."
    assert not judged("5", oracle(AnswerTest("a", 5.0), comparator=Comparator()), None).passed


def test_the_documented_tasks(judged, tmp_path):
    page = Path(__file__).parents[2] / "docs" / "tasks.md"
    rows = re.findall(r"```jsonl\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)[-1]
    (tmp_path / "mine.jsonl").write_text(rows)
    tasks = jsonl.load(tmp_path / "mine.jsonl")
    jsonl.dump(tasks, tmp_path / "again.jsonl")
    assert jsonl.load(tmp_path / "again.jsonl").oracles == tasks.oracles
    assert len(tasks) == 6
    for task in tasks.tasks:
        oracle = tasks.oracle(task)
        (test,) = oracle.tests
        if isinstance(test, TheoremTest) and not shutil.which("lean" if test.prover == "lean" else "coqc"):
            continue
        assert judged(oracle.gold, oracle, None).passed, task.id
        assert not judged("True", oracle, None).passed, task.id
