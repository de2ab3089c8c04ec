"""Theorems in Lean 4: does the answer prove the statement, as Lean sees it?

The answer is tactics and nothing else. What could declare, assume, evaluate or change how Lean reads or checks is
refused before Lean sees it; comments are taken out, so that they can hide nothing. Three files of ours then decide,
compiled one after another: `Task` makes the statement a proposition with a name, `Answer` proves the statement by the
answer's tactics, and `Check` takes that proof for the named proposition, whatever the statement may have come to mean
in between, and prints the axioms that it rests on. Only Lean's own three may be among them: `sorry`, compiled
evaluation (`native_decide`) and axioms of the answer's own show there by their names.

A statement whose premises contradict each other is a mistake of the task's. As for Coq (`coq.py`) that is looked for
once a test, in a file `Vacuous`, by tactics that close a goal from its context alone.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import textwrap
from collections.abc import Mapping
from pathlib import Path

from verigrad.errors import ConfigError, TaskError
from verigrad.sandbox.commands import PATH, Command, CommandResult, CommandSandbox
from verigrad.sandbox.proofs import OutOfTime
from verigrad.sandbox.proofs.vacuity import refuse_vacuous
from verigrad.types import Limits, TheoremTest

__all__ = ["forbidden", "script_of", "signature", "why_no_lean_proof"]

_MAX_PROOF = 20_000
# `import Mathlib` alone maps some gigabytes of files and takes seconds; Lean bounds tactics by its own heartbeats too.
_LIMITS = Limits(cpu_s=120, wall_s=300, memory_mb=8192, processes=64)
_VACUOUS = """\
theorem verigrad_vacuous {binders} : {goal} := by
  intros
  fail_if_success (show False)
  exfalso
  first
    | contradiction
    | omega
    | simp_all
"""
_AXIOMS = frozenset({"propext", "Classical.choice", "Quot.sound"})
_RESTS_ON = re.compile(r"'verigrad_checked' (?:does not depend on any axioms|depends on axioms: \[([^\]]*)\])")
_HEADER = re.compile(r"\A(?:theorem|lemma|example)\b.*?:=\s*", re.DOTALL)
_NAMED = re.compile(r"\A(?:(?:theorem|lemma)\s+[^\s({\[⦃:]+|example)\s*")
_PARTS = re.compile(r'/-|-/|--|\n|["«]|[^-/\n"«]+|.', re.DOTALL)
_WORDS = re.compile(
    r"(?<!\w)(?:sorry|admit|native_decide|native|axiom|opaque|unsafe|partial|theorem|lemma|example|def|abbrev|instance|"
    r"structure|inductive|coinductive|class|deriving|namespace|section|end|mutual|universe|variable|include|omit|import|"
    r"prelude|export|private|protected|public|meta|local|scoped|noncomputable|attribute|set_option|initialize\w*|"
    r"builtin_\w+|macro|macro_rules|syntax|notation\w*|infix[lr]?|prefix|postfix|binder_predicate|elab|elab_rules|by_elab|"
    r"run_tac|run_cmd|run_elab|run_meta|declare_\w+|register_\w+|simproc|dsimproc|simproc_decl|unif_hint|"
    r"implemented_by|extern|include_str|compile_\w+|unseal|seal|init_quot|alias|Lean|IO|verigrad_\w+)(?![\w'])"
)
_SIGNS = re.compile(r"#|@\[|\w%")


async def why_no_lean_proof(test: TheoremTest, answer: str, commands: CommandSandbox) -> str:
    """Why the answer is no proof, or nothing where it is one.

    Raises:
        ConfigError: Lean is not installed.
        TaskError: Lean refuses the statement or its preamble, or the statement's premises contradict each other.
        OutOfTime: it, or what takes it for the statement, did not come to an end.
        SandboxError: the sandbox failed.
    """
    script = script_of(answer)
    if why := forbidden(script):
        return why
    binders, goal = signature(test.statement)
    named = f"∀ {binders}, {goal}" if binders else goal
    task = await _compile(
        "Task", f"{test.imports}\n{test.preamble}\ndef verigrad_goal : Prop := {named}\n", {}, commands
    )
    if task.exit_code != 0 or "Task.olean" not in task.files:
        raise TaskError(f"test {test.name!r}: Lean refuses the statement or its preamble: {_said(task)}")
    uses = f"import Task\n{test.imports}\n"
    vacuous = f"{uses}{_VACUOUS.format(binders=binders, goal=goal)}"
    await refuse_vacuous(test, lambda: _compiles("Vacuous", vacuous, task.files, commands))
    tactics = textwrap.indent(script, "  ")
    proof = f"{uses}theorem verigrad_answer {binders} : {goal} := by\n{tactics}\n"
    proved = await _in_time("Answer", proof, task.files, commands)
    if proved.exit_code != 0 or "Answer.olean" not in proved.files:
        return f"Lean refuses the proof: {_said(proved)}"
    # No statement is read again here: what the answer may have made of its signs and instances does not count.
    checked = await _in_time(
        "Check",
        "import Task\nimport Answer\n"
        "theorem verigrad_checked : verigrad_goal := @verigrad_answer\n#print axioms verigrad_checked\n",
        {**task.files, **proved.files},
        commands,
    )
    found = _RESTS_ON.fullmatch(" ".join(checked.stdout.decode(errors="replace").split()))
    if checked.exit_code != 0 or found is None:
        return f"Lean does not take the proof for one of the statement: {_said(checked)}"
    assumed = set(re.findall(r"[^\s,]+", found[1] or "")) - _AXIOMS
    return f"the proof rests on {', '.join(sorted(assumed))}" if assumed else ""


async def _in_time(name: str, source: str, compiled: Mapping[str, bytes], commands: CommandSandbox) -> CommandResult:
    done = await _compile(name, source, compiled, commands)
    if done.status == "timeout":
        raise OutOfTime(f"{name}: {_said(done)}")
    return done


async def _compiles(name: str, source: str, compiled: Mapping[str, bytes], commands: CommandSandbox) -> bool:
    found = await _compile(name, source, compiled, commands)
    return found.exit_code == 0 and f"{name}.olean" in found.files


def script_of(answer: str) -> str:
    """The tactics of an answer: without comments, a repeated header or `by`, and set against the left margin.

    >>> script_of("theorem t (n : Nat) : n = n := by\\n  -- as it is\\n  rfl")
    'rfl'
    """
    text = textwrap.dedent(_without_comments(answer).expandtabs().strip("\n"))
    text = re.sub(r"\Aby\b", "  ", _HEADER.sub("", text, count=1))
    return textwrap.dedent("\n".join(line.rstrip() for line in text.split("\n"))).strip("\n")


def forbidden(script: str) -> str:
    """What tactics may not hold and these do, or nothing.

    >>> forbidden("intro n\\nomega"), forbidden("sorry")
    ('', "the proof has 'sorry', and may have tactics only")
    """
    if not script:
        return "there is no proof"
    if len(script) > _MAX_PROOF:
        return f"the proof has {len(script)} characters, over {_MAX_PROOF}"
    for sign in ("--", "/-", "-/", '"', "«"):
        if sign in script:
            return f"the proof has {sign!r}, which it may not"
    if found := (_WORDS.search(script) or _SIGNS.search(script)):
        return f"the proof has {found[0]!r}, and may have tactics only"
    return ""


def signature(statement: str) -> tuple[str, str]:
    """Binders and proposition of a statement, which is a proposition or a theorem's header.

    >>> signature("theorem add_zero (n : Nat) : n + 0 = n")
    ('(n : Nat)', 'n + 0 = n')
    >>> signature("∀ n : Nat, n + 0 = n")
    ('', '∀ n : Nat, n + 0 = n')
    """
    statement = statement.strip()
    header = _NAMED.match(statement)
    if header is None:
        return "", statement
    depth, text = 0, statement[header.end() :]
    for place, sign in enumerate(text):
        depth += (sign in "([{⦃⟨") - (sign in ")]}⦄⟩")
        if sign == ":" and depth == 0:
            return text[:place].strip(), re.sub(r":=\s*(?:by)?\s*(?:sorry)?\s*\Z", "", text[place + 1 :]).strip()
    raise TaskError(f"the header {statement[:80]!r} has no proposition; wanted 'theorem name (n : Nat) : n + 0 = n'")


def _without_comments(text: str) -> str:
    """The text with blanks for every comment, nested ones too: what stands behind one keeps its column.

    That a text in quotes may hold what looks like a comment does not matter: quotes are refused.
    """
    kept, depth, in_line = [], 0, False
    for part in _PARTS.findall(text):
        if in_line:
            if part == "\n":
                in_line = False
                kept.append(part)
        elif part == "/-" or depth:
            depth += (part == "/-") - (part == "-/")
            kept.append(part if part == "\n" else " " * len(part))
        elif part == "--":
            in_line = True
        else:
            kept.append(part)
    return "".join(kept)


async def _compile(name: str, source: str, compiled: Mapping[str, bytes], commands: CommandSandbox) -> CommandResult:
    """Compile one file beside those compiled before; what it gives is kept as `name.olean`."""
    prefix = _prefix()
    libraries = tuple(path for path in os.environ.get("LEAN_PATH", "").split(os.pathsep) if path)
    command = Command(
        (f"{prefix}/bin/lean", "-o", f"{name}.olean", f"{name}.lean"),
        files={**compiled, f"{name}.lean": source.encode()},
        environment={"LEAN_PATH": os.pathsep.join((".", *libraries)), "PATH": f"{prefix}/bin:{PATH}"},
        keep=(f"{name}.olean",),
        visible=tuple(path for path in (prefix, *libraries) if not path.startswith("/usr/")),
    )
    return await commands.run(command, _LIMITS)


@functools.cache
def _prefix() -> str:
    """The folder of Lean itself. `lean` on the path may be elan's, which looks for the real one in a home folder."""
    found = shutil.which("lean")
    if found is None:
        raise ConfigError(
            "this theorem task needs Lean 4, and there is no 'lean' on the path; see https://lean-lang.org"
        )
    done = subprocess.run([found, "--print-prefix"], capture_output=True, text=True, check=False, timeout=120)
    prefix = done.stdout.strip()
    if done.returncode != 0 or not Path(prefix, "bin", "lean").exists():
        raise ConfigError(f"'{found} --print-prefix' does not tell where Lean is: {(done.stderr or prefix)[:200]!r}")
    return str(Path(prefix).resolve())


def _said(done: CommandResult) -> str:
    text = (done.stdout + done.stderr).decode(errors="replace")
    return re.sub(r"\s+", " ", text).strip()[-400:] or done.error or f"it ended with status {done.exit_code}"
