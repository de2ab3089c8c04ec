"""Theorems: does the answer prove the statement, as the Coq proof assistant sees it?

The answer is a proof script and nothing else: tactics, which begin with a small letter. Commands, which could assume
an axiom, switch a check off, change what the statement means or touch files, are refused before Coq sees them, and so
are comments and strings, which could hide them. What counts is not that the script ran: a file of ours, apart from the
answer's, states the theorem again, takes the answer's proof for it, and prints what the proof rests on. That must be
"Closed under the global context": no axiom, no admitted goal, no check switched off.

A statement whose premises contradict each other is a mistake of the task's: whatever it concludes, it says nothing.
That is looked for once a test, by a few tactics that close a goal from its context alone. They are a search: what they
do not find is taken for sound. A statement that ends in `False`, or denies something, is a refutation and no mistake.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from verigrad.errors import ConfigError, TaskError
from verigrad.sandbox.commands import Command, CommandResult, CommandSandbox
from verigrad.sandbox.proofs import OutOfTime
from verigrad.sandbox.proofs.vacuity import refuse_vacuous
from verigrad.types import Limits, TheoremTest

__all__ = ["forbidden", "why_no_coq_proof"]

_MAX_PROOF = 20_000
_LIMITS = Limits(cpu_s=15, wall_s=60, memory_mb=2048, processes=8)
_WRAPPING = re.compile(r"\A\s*Proof\s*\.\s|\s(?:Qed|Defined)\s*\.\s*\Z")
_FINDLIB = Path("/etc/ocamlfind.conf")
_VACUOUS = """\
Ltac verigrad_closes := solve [contradiction | tauto | congruence | Lia.lia | easy].
Theorem verigrad_vacuous : {statement}.
Proof.
intros.
match goal with |- False => fail 1 | _ => exfalso end.
first [verigrad_closes | subst; simpl in *; verigrad_closes].
Qed.
"""
_CLOSED = "Closed under the global context"
_LEAD = re.compile(r"(?:[-+*]+|[{}]|(?:\d+|all|par|!)\s*:|\s)*")  # bullets, braces and goal selectors
_WORDS = re.compile(
    r"\b(?:admit|give_up|native_\w+|Admitted|Abort|Axioms?|Conjectures?|Parameters?|Hypothes[ie]s|Variables?|Context|"
    r"Declare|Drop|Extraction|Load|Redirect|Cd|Unset|Notation|Infix|Require|Import|Export|Module|Section|End|Goal|"
    r"Theorem|Lemma|Definition|Fixpoint|Instance|Canonical|Coercion|Hint|Ltac2?|Qed|Defined|Save|Print|Time|Fail)\b"
)


async def why_no_coq_proof(test: TheoremTest, answer: str, commands: CommandSandbox) -> str:
    """Why the answer is no proof, or nothing where it is one.

    Raises:
        ConfigError: Coq is not installed.
        TaskError: Coq refuses the statement or its preamble, or the statement's premises contradict each other.
        OutOfTime: it, or what takes it for the statement, did not come to an end.
        SandboxError: the sandbox failed.
    """
    script = _WRAPPING.sub("", answer.strip()).strip()
    if why := forbidden(script):
        return why
    task = await _compile(
        "Task", f"{test.imports}\n{test.preamble}\nCheck (({test.statement}) : Prop).\n", {}, commands
    )
    if task.exit_code != 0:
        raise TaskError(f"test {test.name!r}: Coq refuses the statement or its preamble: {_said(task)}")
    uses, files = f"{test.imports}\nRequire Import Task.\n", dict(task.files)
    vacuous = f"{uses}Require Lia.\n{_VACUOUS.format(statement=test.statement)}"
    await refuse_vacuous(test, lambda: _compiles("Vacuous", vacuous, files, commands))
    proof = f"{uses}Theorem answer : {test.statement}.\nProof.\n{script}\nQed.\n"
    proved = await _in_time("Answer", proof, files, commands)
    if proved.exit_code != 0 or "Answer.vo" not in proved.files:
        return f"Coq refuses the proof: {_said(proved)}"
    restated = f"{uses}Require Answer.\nDefinition checked : {test.statement} := Answer.answer.\n"
    checked = await _in_time("Check", f"{restated}Print Assumptions checked.\n", {**files, **proved.files}, commands)
    closed = checked.exit_code == 0 and checked.stdout.decode().strip() == _CLOSED
    return "" if closed else f"the proof rests on assumptions: {_said(checked)}"


async def _in_time(name: str, source: str, compiled: Mapping[str, bytes], commands: CommandSandbox) -> CommandResult:
    done = await _compile(name, source, compiled, commands)
    if done.status == "timeout":
        raise OutOfTime(f"{name}: {_said(done)}")
    return done


async def _compiles(name: str, source: str, files: Mapping[str, bytes], commands: CommandSandbox) -> bool:
    found = await _compile(name, source, files, commands)
    return found.exit_code == 0 and f"{name}.vo" in found.files


def forbidden(script: str) -> str:
    """What a proof script may not hold and this one does, or nothing.

    >>> forbidden("intros. reflexivity."), forbidden("Admitted.")
    ('', "the proof has 'Admitted', and may have tactics only")
    """
    if len(script) > _MAX_PROOF:
        return f"the proof has {len(script)} characters, over {_MAX_PROOF}"
    if not script.isascii() or not script.endswith((".", "}")):
        return "the proof is not plain text of whole sentences"
    for text in ("(*", '"', "#["):
        if text in script:
            return f"the proof has {text!r}, which it may not"
    sentences = [_LEAD.sub("", sentence, count=1) for sentence in re.split(r"\.(?:\s+|$)", script)]
    words = [word for sentence in sentences if (word := re.match(r"[A-Z]\w*", sentence))]
    if found := (words[0] if words else _WORDS.search(script)):
        return f"the proof has {found[0]!r}, and may have tactics only"
    return ""


async def _compile(name: str, source: str, compiled: Mapping[str, bytes], commands: CommandSandbox) -> CommandResult:
    """Compile one file beside those compiled before; what it gives is kept as `name.vo`."""
    if shutil.which("coqc") is None:
        raise ConfigError("theorem tasks need Coq, and there is no 'coqc' on the path; on Debian: apt install coq")
    command = Command(
        ("coqc", "-q", "-R", ".", "", f"{name}.v"),
        files={**compiled, **_settings(), f"{name}.v": source.encode()},
        environment={"OCAMLFIND_CONF": _FINDLIB.name},
        keep=(f"{name}.vo",),
    )
    return await commands.run(command, _LIMITS)


def _settings() -> dict[str, bytes]:
    """The file that tells Coq where its plugins are, which the sandbox does not show."""
    return {_FINDLIB.name: _FINDLIB.read_bytes()} if _FINDLIB.exists() else {}


def _said(done: CommandResult) -> str:
    text = (done.stderr + done.stdout).decode(errors="replace")
    return re.sub(r"\s+", " ", text).strip()[-400:] or done.error or f"it ended with status {done.exit_code}"
