"""The `run:` steps of a GitHub workflow.

What a hosted runner would do is done where it needs no network and no secret, and named where it does: nothing is
left out in silence. Steps of one job hand on what they make and what they tell the runner (`sandbox/steps.py`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from verigrad.errors import MissingExtra, TaskError
from verigrad.tasks.ci.base import Checks, LeftOut, file_text, folder_below, is_install, stage_of
from verigrad.types import CommandTest

__all__ = ["workflow_checks"]

_NEEDLESS = ("actions/checkout", "actions/setup-python", "actions/cache", "astral-sh/setup-uv")
"""Actions that bring what is there already: the tree, an interpreter, faster downloads."""
_ELSEWHERE = ("repository", "ref", "path", "submodules", "lfs", "sparse-checkout")
"""Of a checkout: what makes it another tree than the repository's own."""
_OF_JOBS = ("name", "steps", "if", "runs-on", "strategy", "env", "defaults", "continue-on-error")
_OF_STEPS = ("name", "id", "if", "run", "env", "shell", "working-directory", "continue-on-error")
_NO_MATTER = ("permissions", "concurrency", "outputs", "environment")
"""Of a job: what gives rights and names, and what only other jobs see."""
_EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
_PROTOCOL = re.compile(r"GITHUB_(TOKEN|STATE)|::(set-output|set-env|add-path|save-state|add-mask)")
_OUTPUT = re.compile(r"steps\.([\w-]+)\.outputs\.[\w-]+\Z")
_ALWAYS = ("always()", "success()", "true", "!cancelled()")
_SHELLS = {
    "": ("bash", "-e", "-c"),
    "bash": ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c"),
    "sh": ("sh", "-e", "-c"),
    "python": ("python", "-c"),
}


class _Unsupported(Exception):
    pass


def workflow_checks(files: Mapping[str, bytes], path: str, *, jobs: Sequence[str] | None = None) -> Checks:
    """A check per `run:` step of the jobs (all, by default), named `job/step`.

    Of a matrix the first entry counts. `actions/checkout`, `setup-python` and caches do nothing; lines that install
    packages are left out, since there is no network: name the packages in the suite. Other actions, other trees than
    the repository's, services, containers, secrets, conditions, jobs and steps that may fail, expressions other than
    `matrix`, `env` and outputs of steps before, and commands to the runner other than its files are left out and
    listed. So are, of a job that runs, the other entries of its matrix, the jobs it needs, time limits, and settings
    that are not known.

    Raises:
        MissingExtra: PyYAML is not installed.
        TaskError: there is no such file or job, or it is no workflow.
    """
    workflow = _load(file_text(files, path), path)
    all_jobs = workflow["jobs"]
    for name in jobs or ():
        if name not in all_jobs:
            raise TaskError(f"{path}: no job {name!r}; there are {', '.join(map(str, all_jobs))}")
    parts = [part for name in jobs or all_jobs for part in _read_job(str(name), all_jobs[name], workflow)]
    return Checks(
        tuple(part for part in parts if isinstance(part, CommandTest)),
        tuple(part for part in parts if isinstance(part, LeftOut)),
    )


def _load(text: str, path: str) -> dict[str, Any]:
    try:
        import yaml
    except ImportError:
        raise MissingExtra("pyyaml", "repositories") from None
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise TaskError(f"{path}: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("jobs"), dict):
        raise TaskError(f"{path}: wanted a workflow with 'jobs', got {type(found).__name__}")
    return found


@dataclass(frozen=True)
class _Scope:
    """What a step finds around it."""

    matrix: Mapping[str, Any]
    environment: Mapping[str, str]
    directory: str
    shell: str
    job: str
    steps: set[str]
    """Ids of the steps so far that run."""


def _read_job(name: str, job: Any, workflow: Mapping[str, Any]) -> Iterator[CommandTest | LeftOut]:
    if not isinstance(job, dict) or "uses" in job or not isinstance(job.get("steps"), list):
        yield LeftOut(name, "has no steps of its own")
        return
    for key in ("services", "container"):
        if key in job:
            yield LeftOut(name, f"needs {key}")
            return
    try:
        matrix, others = _first_of(job.get("strategy") or {})
        if job.get("if", "true") not in (True, *_ALWAYS):
            raise _Unsupported(f"runs on a condition: {job['if']}")
        if _may_fail(job, matrix):
            raise _Unsupported("may fail")
        if "ubuntu" not in (runner := _expand(str(job.get("runs-on", "ubuntu")), matrix, {})):
            raise _Unsupported(f"runs on {runner}")
        defaults = {**_run_defaults(workflow), **_run_defaults(job)}
        environment: dict[str, str] = {}
        for given in (workflow.get("env"), job.get("env")):
            environment |= _environment(given, matrix, environment)
        scope = _Scope(
            matrix, environment, str(defaults.get("working-directory", "")), str(defaults.get("shell", "")), name, set()
        )
    except _Unsupported as error:
        yield LeftOut(name, str(error))
        return
    if others:
        yield LeftOut(name, f"runs for one entry of its matrix, not for {others} more")
    yield from _not_kept(name, job, (*_OF_JOBS, *_NO_MATTER))
    for number, step in enumerate(job["steps"], 1):
        title = str(step.get("name") or number) if isinstance(step, dict) else str(number)
        where = f"{name}/{title}"
        try:
            yield from _read_step(where, step, scope)
        except (_Unsupported, ValueError) as error:
            yield LeftOut(where, str(error))


def _not_kept(where: str, of: Mapping[str, Any], read: Collection[str]) -> Iterator[LeftOut]:
    """The settings of a job or step that runs which are not minded."""
    for key in sorted(of.keys() - set(read), key=str):
        if key == "needs":
            yield LeftOut(where, f"needs {of[key]}, whose files and outputs it does not find")
        else:
            yield LeftOut(where, f"its {key} is not minded: {of[key]}")


def _may_fail(of: Mapping[str, Any], matrix: Mapping[str, Any]) -> bool:
    return _expand(_text(of.get("continue-on-error") or False), matrix, {}) != "false"


def _run_defaults(of: Mapping[str, Any]) -> dict[str, Any]:
    return dict((of.get("defaults") or {}).get("run") or {})


def _first_of(strategy: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """One entry of the matrix, and how many there are besides.

    Entries that are included extend those that they do not contradict, and are entries of their own where they
    contradict all.
    """
    matrix = strategy.get("matrix")
    if matrix is None:
        return {}, 0
    if not isinstance(matrix, dict) or not all(isinstance(values, list) for values in matrix.values()):
        raise _Unsupported(f"its matrix is not written out: {matrix}")
    axes = {key: values for key, values in matrix.items() if key not in ("include", "exclude")}
    includes, excludes = matrix.get("include", []), matrix.get("exclude", [])
    if not all(isinstance(entry, dict) for entry in (*includes, *excludes)):
        raise _Unsupported(f"its matrix is not written out: {matrix}")
    product = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())] if axes else []
    original = [entry for entry in product if not any(_agree(entry, other) for other in excludes)]
    entries, added = [dict(entry) for entry in original], []
    for include in includes:
        fitting = [number for number, entry in enumerate(original) if _agree({**include, **entry}, include)]
        for number in fitting:
            entries[number] |= include
        if not fitting:
            added.append(dict(include))
    if not entries + added:
        raise _Unsupported("its matrix has no entry")
    return (entries + added)[0], len(entries + added) - 1


def _agree(entry: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(key in entry and entry[key] == value for key, value in other.items())


def _read_step(where: str, step: Any, scope: _Scope) -> Iterator[CommandTest | LeftOut]:
    if not isinstance(step, dict):
        raise _Unsupported("is no step")
    if "uses" in step:
        if (action := str(step["uses"]).partition("@")[0]) not in _NEEDLESS:
            raise _Unsupported(f"uses {step['uses']}")
        elsewhere = [
            f"{key}: {value}" for key, value in (step.get("with") or {}).items() if key in _ELSEWHERE and value
        ]
        if action == "actions/checkout" and elsewhere:
            raise _Unsupported(f"checks out another tree: {', '.join(elsewhere)}")
        return
    if not isinstance(step.get("run"), str):
        raise _Unsupported("runs nothing")
    if step.get("if", "true") not in (True, *_ALWAYS):
        raise _Unsupported(f"runs on a condition: {step['if']}")
    if _may_fail(step, scope.matrix):
        raise _Unsupported("may fail")
    own = _environment(step.get("env"), scope.matrix, scope.environment, scope.steps)
    environment = {**scope.environment, **own}
    script = _expand(step["run"], scope.matrix, environment, scope.steps)
    if found := _PROTOCOL.search(script):
        raise _Unsupported(f"talks to the runner: {found[0]}")
    lines = script.replace("\\\n", " ").splitlines()
    for line in filter(is_install, lines):
        yield LeftOut(where, f"installs, without a network: {line.strip()}")
    script = "\n".join(line for line in lines if not is_install(line))
    if not script.strip():
        return
    shell = str(step.get("shell") or scope.shell)
    if shell not in _SHELLS:
        raise _Unsupported(f"runs in the shell {shell!r}")
    directory = folder_below(_expand(str(step.get("working-directory") or scope.directory), scope.matrix, environment))
    yield from _not_kept(where, step, _OF_STEPS)
    yield CommandTest(
        where,
        (*_SHELLS[shell], script),
        directory=directory,
        environment=environment,
        stage=stage_of(where, script),
        job=scope.job,
        step=str(step.get("id", "")),
    )
    scope.steps.add(str(step.get("id", "")))


def _environment(
    given: Any, matrix: Mapping[str, Any], known: Mapping[str, str], steps: Collection[str] = ()
) -> dict[str, str]:
    if given is not None and not isinstance(given, dict):
        raise _Unsupported("has an environment that is no mapping")
    return {str(key): _expand(_text(value), matrix, known, steps) for key, value in (given or {}).items()}


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _expand(text: str, matrix: Mapping[str, Any], environment: Mapping[str, str], steps: Collection[str] = ()) -> str:
    """What is known now in place of expressions; outputs of `steps` stay, to be filled in when these have run."""

    def value(found: re.Match[str]) -> str:
        context, _, key = found[1].partition(".")
        if context == "matrix" and key in matrix:
            return _text(matrix[key])
        if context == "env" and key in environment:
            return environment[key]
        if (output := _OUTPUT.match(found[1])) and output[1] in steps:
            return found[0]
        raise _Unsupported(f"what {found[0]} stands for is not known")

    return _EXPRESSION.sub(value, text)
