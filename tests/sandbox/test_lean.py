"""Proofs in Lean: what reaches it, what its answers mean, and its own judgement where it is installed."""

import asyncio
import shutil

import pytest

from verigrad.errors import ConfigError, TaskError
from verigrad.sandbox.commands import CommandResult
from verigrad.sandbox.proofs import lean, vacuity
from verigrad.sandbox.proofs.lean import forbidden, script_of, signature, why_no_lean_proof
from verigrad.types import Oracle, TheoremTest

needs_lean = pytest.mark.skipif(shutil.which("lean") is None, reason="Lean is not installed")

PLUS = TheoremTest("plus", "theorem plus (n : Nat) : 0 + n = n", prover="lean")
FALSE = TheoremTest("false", "∀ n : Nat, n = 0", prover="lean")
DOUBLE = TheoremTest(
    "double",
    "double n = 2 * n".join(["theorem t (n : Nat) : ", " := by sorry"]),
    imports="set_option maxRecDepth 2000",
    preamble="def double : Nat → Nat\n  | 0 => 0\n  | n + 1 => double n + 2",
    prover="lean",
)
NONE = "'verigrad_checked' does not depend on any axioms\n"


# ------------------------------------------------------------------------------------------- what is read


@pytest.mark.parametrize(
    ("answer", "script"),
    [
        ("omega", "omega"),
        ("by omega", "omega"),
        ("by\n  intro n\n  omega\n", "intro n\nomega"),
        ("  intro n\n  omega", "intro n\nomega"),
        (
            "theorem plus (n : Nat) : 0 + n = n := by\n  induction n with\n  | zero => rfl\n",
            "induction n with\n| zero => rfl",
        ),
        ("theorem plus (n : Nat) :\n    0 + n = n := by simp", "simp"),
        ("example : True := by\n  trivial -- := by sorry", "trivial"),
        ("intro n -- as usual\n/- a /- nested\n-/ one -/\nexact /- it -/ h", "intro n\n\n\nexact          h"),
        ("have h : 1 = 1 := by\n  rfl\nexact h", "have h : 1 = 1 := by\n  rfl\nexact h"),
        ("-- nothing\n", ""),
        ("/- never closed\nomega", ""),
    ],
)
def test_tactics_of_an_answer(answer, script):
    assert script_of(answer) == script


@pytest.mark.parametrize(
    "script",
    [
        "sorry",
        "exact (by sorry)",
        "admit",
        "native_decide",
        "decide +native",
        "trivial\naxiom cheat : False",
        "exact f ..axiom cheat : False",
        "trivial\n\ntheorem other : True := trivial",
        "trivial\ninstance : LE Nat := ⟨fun _ _ => True⟩",
        'trivial\nnotation a " = " b => True',
        "trivial\nlocal infixl:50 = => fun _ _ => True",
        "set_option debug.skipKernelTC true in exact h",
        "run_tac do pure ()",
        "exact (by_elab do return mkConst ``True)",
        'elab "x" : tactic => pure ()',
        "#eval 1",
        "trivial\n@[simp] def x := 1",
        "exact eval% x",
        "simp (config := unsafe evil)",
        "exact Lean.Elab.admit",
        "exact verigrad_goal_proof",
        "exact «sorry»",
        'exact absurd "/-" rfl',
        "initialize x : Nat ← pure 1",
        "x" * 30_000,
        "",
    ],
)
def test_what_is_no_tactic(script):
    assert forbidden(script_of(script))


@pytest.mark.parametrize(
    "script",
    [
        "intro n\ninduction n with\n| zero => rfl\n| succ n ih => rw [← Nat.add_assoc, ih]",
        "open Nat in simp [add_comm, Nat.lt_succ_iff, List.erase_cons]",
        "rcases h with ⟨a, b⟩ <;> (constructor <;> omega)",
        "have : n % 2 = 0 := by omega\nexact this",
        "calc a = b := by simp [h']\n  _ = c := hbc",
        "exact ⟨fun h ↦ h.symm, fun h ↦ h.elim⟩",
        "nlinarith [sq_nonneg (a - b), mul_self_nonneg (a + b)]",
    ],
)
def test_what_may_stand_in_a_proof(script):
    assert forbidden(script_of(script)) == "" and script_of(script) == script


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("∀ n : Nat, n = n", ("", "∀ n : Nat, n = n")),
        ("theorem t : 1 = 1", ("", "1 = 1")),
        ("theorem a.b (n : Nat) {m} [F n]\n (h : n < m) : n ≠ m := by", ("(n : Nat) {m} [F n]\n (h : n < m)", "n ≠ m")),
        ("lemma x(f : Nat → Nat) : ∀ n : Nat, f n = f n := sorry", ("(f : Nat → Nat)", "∀ n : Nat, f n = f n")),
        ("example (p : Prop) : p → p", ("(p : Prop)", "p → p")),
    ],
)  # fmt: skip
def test_statements(statement, expected):
    assert signature(statement) == expected


# --------------------------------------------------------------------------------------- what it is asked


class Told:
    """Says what Lean would have said to one file after another, and keeps what it was given."""

    def __init__(self, *said, refused=("Vacuous",)):
        self.said, self.refused, self.commands = said, refused, []

    async def run(self, command, limits):
        name = command.argv[-1].removesuffix(".lean")
        self.commands.append(command)
        if name in self.refused:
            return CommandResult("exited", 1, f"{name}.lean:1:0: error: no".encode(), b"", {}, 1.0)
        made = {f"{name}.olean": name.encode()}
        return CommandResult("exited", 0, (self.said[0] if name == "Check" else "").encode(), b"", made, 1.0)


@pytest.fixture(autouse=True)
def prefix(monkeypatch, request):
    if "judged" not in request.fixturenames:
        monkeypatch.setattr(lean, "_prefix", lambda: "/opt/lean")
    monkeypatch.delenv("LEAN_PATH", raising=False)
    monkeypatch.setattr(vacuity, "_sound", set())


def why(test, answer, told):
    return asyncio.run(why_no_lean_proof(test, answer, told))


def test_the_three_files(monkeypatch):
    monkeypatch.setenv("LEAN_PATH", "/home/someone/mathlib:/usr/lib/other")
    told = Told(NONE)
    assert why(DOUBLE, "by\n  induction n <;> simp_all [double]\n  omega", told) == ""
    task, vacuous, answer, check = told.commands
    assert task.files["Task.lean"].decode().split("\n") == [
        "set_option maxRecDepth 2000",
        *DOUBLE.preamble.split("\n"),
        "def verigrad_goal : Prop := ∀ (n : Nat), double n = 2 * n",
        "",
    ]
    assert answer.files["Answer.lean"].decode() == (
        "import Task\nset_option maxRecDepth 2000\n"
        "theorem verigrad_answer (n : Nat) : double n = 2 * n := by\n  induction n <;> simp_all [double]\n  omega\n"
    )
    states = "theorem verigrad_vacuous (n : Nat) : double n = 2 * n := by\n  intros\n"
    assert vacuous.files["Vacuous.lean"].decode().startswith(f"import Task\nset_option maxRecDepth 2000\n{states}")
    assert answer.files["Task.olean"] == b"Task" and "Answer.olean" not in answer.files
    assert check.files["Answer.olean"] == b"Answer" and check.files["Task.olean"] == b"Task"
    assert b"double" not in check.files["Check.lean"]  # the statement is not read anew where the answer is in sight
    for command in told.commands:
        assert command.argv[:2] == ("/opt/lean/bin/lean", "-o") and command.argv[2] in command.keep
        assert command.environment["LEAN_PATH"] == ".:/home/someone/mathlib:/usr/lib/other"
        assert command.visible == ("/opt/lean", "/home/someone/mathlib")


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (NONE, ""),
        ("'verigrad_checked' depends on axioms: [propext, Classical.choice, Quot.sound]\n", ""),
        ("'verigrad_checked' depends on axioms: [propext,\n Classical.choice,\n Quot.sound]\n", ""),
        ("'verigrad_checked' depends on axioms: [propext, sorryAx]\n", "sorryAx"),
        ("'verigrad_checked' depends on axioms: [Lean.ofReduceBool]\n", "Lean.ofReduceBool"),
        ("'verigrad_checked' depends on axioms: [cheat,\n Quot.sound]\n", "cheat"),
        ("", "does not take the proof"),
        (f"{NONE}{NONE}", "does not take the proof"),
        ("'other' does not depend on any axioms\n", "does not take the proof"),
    ],
)
def test_what_lean_says_it_rests_on(said, found):
    reason = why(PLUS, "omega", Told(said))
    assert (found in reason and bool(reason)) if found else reason == ""


def test_what_lean_refuses():
    assert "refuses the proof: Answer.lean:1:0" in why(PLUS, "omega", Told(NONE, refused=["Vacuous", "Answer"]))
    assert "does not take the proof" in why(PLUS, "omega", Told(NONE, refused=["Vacuous", "Check"]))
    with pytest.raises(TaskError, match="refuses the statement"):
        why(PLUS, "omega", Told(NONE, refused=["Vacuous", "Task"]))
    told = Told(NONE)
    assert "'sorry'" in why(PLUS, "exact (by sorry)", told) and told.commands == []


def test_premises_that_contradict_each_other_are_looked_for_once_a_test():
    """Where Lean proves the statement from its context alone the task is at fault, whatever the answer."""
    for _ in range(2):
        with pytest.raises(TaskError, match="contradict each other"):
            why(PLUS, "omega", Told(NONE, refused=()))
    names = []
    for _ in range(2):
        told = Told(NONE)
        assert why(PLUS, "omega", told) == ""
        names.append([command.argv[-1] for command in told.commands])
    files = ["Task.lean", "Answer.lean", "Check.lean"]
    assert names == [[files[0], "Vacuous.lean", *files[1:]], files]


def test_the_real_one_is_looked_for_behind_the_one_on_the_path(tmp_path, monkeypatch):
    monkeypatch.undo()
    lean._prefix.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match="no 'lean' on the path"):
        lean._prefix()
    home = tmp_path / "toolchain" / "bin"
    home.mkdir(parents=True)
    shim = tmp_path / "lean"
    shim.write_text(f"#!/bin/sh\necho {home.parent}\n")
    shim.chmod(0o755)
    with pytest.raises(ConfigError, match="does not tell where Lean is"):
        lean._prefix()
    (home / "lean").write_text("")
    assert lean._prefix() == str(home.parent)
    lean._prefix.cache_clear()


# ------------------------------------------------------------------------------------------- Lean itself


@needs_lean
@pytest.mark.slow
@pytest.mark.parametrize(
    ("test", "answer", "right"),
    [
        (PLUS, "omega", True),
        (PLUS, "By induction.\n```lean\ntheorem plus (n : Nat) : 0 + n = n := by\n  -- easy\n  simp\n```", True),
        (DOUBLE, "induction n with\n| zero => rfl\n| succ n ih => simp [double, ih]; omega", True),
        (PLUS, "rfl", False),
        (PLUS, "", False),
        (FALSE, "intro n\nomega", False),
        (FALSE, "intro n\nexact this n", False),
    ],
)
def test_proofs(test, answer, right, judged):
    assert judged(answer, Oracle(task_id="t", tests=(test,)), None).passed is right


@needs_lean
@pytest.mark.slow
@pytest.mark.parametrize("cheat", ["sorry", "axiom", "instance"])
def test_what_the_filter_would_let_through_lean_itself_reports(cheat, judged, monkeypatch):
    """Two barriers: with the first gone, the second still holds."""
    monkeypatch.setattr(lean, "forbidden", lambda script: "")
    scripts = {
        "sorry": "sorry",
        "axiom": "exact cheat\naxiom unused : False",
        "instance": "intro n\nsorry\ninstance (priority := high) : OfNat Nat 0 := ⟨1⟩",
    }
    verdict = judged(scripts[cheat], Oracle(task_id="t", tests=(FALSE,)), None)
    assert verdict.status == "failed"


@needs_lean
@pytest.mark.slow
def test_a_statement_that_is_none_is_our_mistake(judged):
    with pytest.raises(TaskError, match="refuses the statement"):
        judged("trivial", Oracle(task_id="t", tests=(TheoremTest("t", "∀ n, n +", prover="lean"),)), None)


@needs_lean
@pytest.mark.slow
@pytest.mark.parametrize(
    ("statement", "vacuous"),
    [
        ("theorem t (n : Nat) (h : n < 0) : n = 5", True),
        ("∀ P Q : Prop, P → ¬P → Q", True),
        ("∀ n m : Nat, n < m → m < n → n = m", True),
        ("∀ n : Nat, ¬ n < n", False),
        ("∀ n : Nat, n < n → False", False),
        ("theorem t (n : Nat) : 0 + n = n", False),
    ],
)
def test_statements_that_say_nothing_are_our_mistake(statement, vacuous, judged):
    tested = Oracle(task_id="t", tests=(TheoremTest("t", statement, prover="lean"),))
    if vacuous:
        with pytest.raises(TaskError, match="contradict each other"):
            judged("intros\nomega", tested, None)
    else:
        judged("intros\nomega", tested, None)
