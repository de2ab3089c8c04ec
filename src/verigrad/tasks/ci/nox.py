"""The sessions of a noxfile.py, read and not run: a session is a function, and what it runs are calls in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

from verigrad.errors import TaskError
from verigrad.tasks.ci.base import Checks, LeftOut, file_text, stage_of
from verigrad.types import CommandTest

__all__ = ["nox_checks"]

_INSTALLS = ("install", "conda_install", "run_install", "run_always")
_HARMLESS = ("log", "warn", "debug", "skip", "notify")
_KEYWORDS = ("external", "env", "silent")


def nox_checks(
    files: Mapping[str, bytes], sessions: Sequence[str] | None = None, *, path: str = "noxfile.py"
) -> Checks:
    """The `session.run` calls of the sessions (all, by default) whose arguments are written out.

    `session.posargs` counts as empty. Parametrised sessions, calls under a condition or in a loop, and all else that
    would have to be executed are left out.

    Raises:
        TaskError: there is no such file or session, or it is no Python.
    """
    try:
        tree = ast.parse(file_text(files, path))
    except (SyntaxError, ValueError) as error:
        raise TaskError(f"{path}: {error}") from error
    found = {_name(node): node for node in tree.body if isinstance(node, ast.FunctionDef) and _decorator(node)}
    for name in sessions or ():
        if name not in found:
            raise TaskError(f"{path}: no session {name!r}; there are {', '.join(found)}")
    parts = [part for name in sessions or found for part in _read(name, found[name])]
    return Checks(
        tuple(part for part in parts if isinstance(part, CommandTest)),
        tuple(part for part in parts if isinstance(part, LeftOut)),
    )


def _decorator(function: ast.FunctionDef) -> ast.expr | None:
    return next((item for item in function.decorator_list if ast.unparse(item).startswith("nox.session")), None)


def _name(function: ast.FunctionDef) -> str:
    decorator = _decorator(function)
    given = [k.value for k in decorator.keywords if k.arg == "name"] if isinstance(decorator, ast.Call) else []
    return str(given[0].value) if given and isinstance(given[0], ast.Constant) else function.name


def _read(name: str, function: ast.FunctionDef) -> Iterator[CommandTest | LeftOut]:
    where = f"nox/{name}"
    if any("parametrize" in ast.unparse(item) for item in function.decorator_list):
        yield LeftOut(where, "is parametrised")
        return
    session = function.args.args[0].arg if function.args.args else ""
    number = 0
    for statement in function.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        if isinstance(call, ast.Constant):  # the docstring
            continue
        method = _method(call, session)
        if method == "run" and isinstance(call, ast.Call):
            number += 1
            yield _command(f"{where}/{number}", name, call, session)
        elif method in _INSTALLS:
            yield LeftOut(where, f"installs, without a network: {ast.unparse(statement)}")
        elif method not in _HARMLESS:
            yield LeftOut(where, f"would have to be executed: {ast.unparse(statement)[:80]}")


def _method(call: ast.expr | None, session: str) -> str:
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        owner = call.func.value
        return call.func.attr if isinstance(owner, ast.Name) and owner.id == session else ""
    return ""


def _command(where: str, name: str, call: ast.Call, session: str) -> CommandTest | LeftOut:
    argv = [item for item in call.args if ast.unparse(item) != f"*{session}.posargs"]
    keywords = {item.arg: item.value for item in call.keywords}
    try:
        words = [ast.literal_eval(item) for item in argv]
        environment = ast.literal_eval(keywords["env"]) if "env" in keywords else {}
    except ValueError:
        return LeftOut(where, f"its arguments are not written out: {ast.unparse(call)[:80]}")
    texts = [*words, *environment, *environment.values()] if isinstance(environment, dict) else [None]
    if not words or not all(isinstance(text, str) for text in texts) or not set(keywords) <= set(_KEYWORDS):
        return LeftOut(where, f"is more than a command: {ast.unparse(call)[:80]}")
    return CommandTest(where, tuple(words), environment=environment, stage=stage_of(name, " ".join(words)))
