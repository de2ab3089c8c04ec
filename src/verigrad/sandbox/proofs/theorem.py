"""Theorems: does the answer prove the statement, as the Coq proof assistant sees it?

The answer is a proof script and nothing else: tactics, which begin with a small letter. Commands, which could assume
an axiom, switch a check off, change what the statement means or touch files, are refused before Coq sees them, and so
are comments and strings, which could hide them. What counts is not that the script ran: a file of ours, apart from the
answer's, states the theorem again, takes the answer's proof for it, and prints what the proof rests on. That must be
"Closed under the global context": no axiom, no admitted goal, no check switched off.
"""

from __future__ import annotations

import re
import resource
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from verigrad.errors import ConfigError, TaskError
from verigrad.types import TheoremTest

__all__ = ["check_proof", "forbidden"]

MAX_PROOF = 20_000
_SECONDS = 60
_CPU_S = 20
_MEMORY_MB = 2048
_FILE_MB = 16
_CLOSED = "Closed under the global context"
_LEAD = re.compile(r"(?:[-+*]+|[{}]|(?:\d+|all|par|!)\s*:|\s)*")  # bullets, braces and goal selectors
_WORDS = re.compile(
    r"\b(?:admit|give_up|native_\w+|Admitted|Abort|Axioms?|Conjectures?|Parameters?|Hypothes[ie]s|Variables?|Context|"
    r"Declare|Drop|Extraction|Load|Redirect|Cd|Unset|Notation|Infix|Require|Import|Export|Module|Section|End|Goal|"
    r"Theorem|Lemma|Definition|Fixpoint|Instance|Canonical|Coercion|Hint|Ltac2?|Qed|Defined|Save|Print|Time|Fail)\b"
)


def check_proof(test: TheoremTest, answer: str) -> str:
    """Why the answer is no proof, or nothing where it is one.

    Raises:
        ConfigError: Coq is not installed.
        TaskError: the statement or the preamble is none.
    """
    script = re.sub(r"\A\s*Proof\s*\.\s|\s(?:Qed|Defined)\s*\.\s*\Z", " ", f" {answer.strip()} ").strip()
    if why := forbidden(script):
        return why
    with TemporaryDirectory(prefix="verigrad-") as folder:
        place = Path(folder)
        done = _compile(place, "Task", f"{test.preamble}\nCheck (({test.statement}) : Prop).\n")
        if done.returncode != 0:
            raise TaskError(f"{test.name}: Coq refuses the statement or its preamble: {_said(done)}")
        uses = f"Require Import Task.\n{test.preamble if _only_imports(test.preamble) else ''}\n"
        done = _compile(place, "Answer", f"{uses}Theorem answer : {test.statement}.\nProof.\n{script}\nQed.\n")
        if done.returncode != 0:
            return f"Coq refuses the proof: {_said(done)}"
        checked = f"{uses}Require Answer.\nDefinition checked : {test.statement} := Answer.answer.\n"
        done = _compile(place, "Check", f"{checked}Print Assumptions checked.\n")
    closed = done.returncode == 0 and done.stdout.strip() == _CLOSED
    return "" if closed else f"the proof rests on assumptions: {_said(done)}"


def forbidden(script: str) -> str:
    """What a proof script may not hold and this one does, or nothing.

    >>> forbidden("intros. reflexivity."), forbidden("Admitted.")
    ('', "the proof has 'Admitted', and may have tactics only")
    """
    if len(script) > MAX_PROOF:
        return f"the proof has {len(script)} characters, over {MAX_PROOF}"
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


def _compile(folder: Path, name: str, source: str) -> subprocess.CompletedProcess[str]:
    coqc = shutil.which("coqc")
    if coqc is None:
        raise ConfigError("theorem tasks need Coq, and there is no 'coqc' on the path; on Debian: apt install coq")
    (folder / f"{name}.v").write_text(source)
    command = [coqc, "-q", "-R", str(folder), "", f"{name}.v"]
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            text=True,
            capture_output=True,
            timeout=_SECONDS,
            check=False,
            preexec_fn=_bound,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"longer than {_SECONDS} s")


def _bound() -> None:
    for kind, most in (
        (resource.RLIMIT_CPU, _CPU_S),
        (resource.RLIMIT_AS, _MEMORY_MB << 20),
        (resource.RLIMIT_FSIZE, _FILE_MB << 20),
    ):
        resource.setrlimit(kind, (most, most))


def _only_imports(preamble: str) -> bool:
    """Whether it defines nothing, so that it may stand in several files: what it defines must be defined once."""
    return not re.search(r"\b(?!Require|From|Import|Export|Open)[A-Z]\w*\b", re.sub(r"\b(?:Require|From|Import|Export|Open)\b[^\n]*", "", preamble))


def _said(done: subprocess.CompletedProcess[str]) -> str:
    return re.sub(r"\s+", " ", done.stderr + done.stdout).strip()[-400:] or f"it ended with status {done.returncode}"
