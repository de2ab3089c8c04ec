"""The sessions of a noxfile.py, read and not run: a session is a function, and what it runs are calls in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from verigrad.errors import TaskError
from verigrad.literals import read_literal
from verigrad.tasks.ci.base import Checks, LeftOut, file_text, folder_below, stage_of
from verigrad.types import CommandTest

__all__ = ["nox_checks"]

_DECORATOR = re.compile(r"(\w+\.)?session(\(|$)")
_INSTALLS = ("install", "conda_install", "run_install", "run_always")
_HARMLESS = ("log", "warn", "debug")
_ENDS = ("skip", "error")
_FOLDER = ("chdir", "cd")
_KEYWORDS = ("external", "env", "silent", "log")
_CHANGES = re.compile(r"\b(chdir|cd|env|environ|putenv)\b")
"""Words of what decides how the commands after it run."""


def nox_checks(
    files: Mapping[str, bytes], sessions: Sequence[str] | None = None, *, path: str = "noxfile.py"
) -> Checks:
    """The `session.run` calls of the sessions (all, by default) whose arguments are written out.

    Those of one session run in order and hand on the files they make. `session.posargs` counts as empty, the Python is
    the one there is. Parametrised sessions, calls under a condition or in a loop, sessions that others ask for, and all
    else that would have to be executed are left out; so is what comes after the end of a session, or after something
    that is not read and says where or in what environment to run.

    Raises:
        TaskError: there is no such file or session, or it is no Python.
    """
    try:
        tree = ast.parse(file_text(files, path))
    except (SyntaxError, ValueError) as error:
        raise TaskError(f"{path}: {error}") from error
    found = {_name(node): node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _decorator(node)}
    for name in sessions or ():
        if name not in found:
            raise TaskError(f"{path}: no session {name!r}; there are {', '.join(found)}")
    parts = [part for name in sessions or found for part in _read(name, found[name], whole=found[name] in tree.body)]
    return Checks(
        tuple(part for part in parts if isinstance(part, CommandTest)),
        tuple(part for part in parts if isinstance(part, LeftOut)),
    )


def _decorator(function: ast.FunctionDef) -> ast.expr | None:
    return next((item for item in function.decorator_list if _DECORATOR.match(ast.unparse(item))), None)


def _given(function: ast.FunctionDef, key: str) -> ast.expr | None:
    """What a session's decorator says under a keyword."""
    decorator = _decorator(function)
    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
    return next((keyword.value for keyword in keywords if keyword.arg == key), None)


def _name(function: ast.FunctionDef) -> str:
    given = _given(function, "name")
    return str(given.value) if isinstance(given, ast.Constant) else function.name


def _read(name: str, function: ast.FunctionDef, *, whole: bool) -> Iterator[CommandTest | LeftOut]:
    where = f"nox/{name}"
    if not whole:
        yield LeftOut(where, "is defined on a condition")
        return
    if any("parametrize" in ast.unparse(item) for item in function.decorator_list):
        yield LeftOut(where, "is parametrised")
        return
    pythons = _given(function, "python") or _given(function, "py")
    if isinstance(pythons, ast.List | ast.Tuple) and len(pythons.elts) > 1:
        yield LeftOut(where, f"runs once, not for each of {ast.unparse(pythons)}")
    if requires := _given(function, "requires"):
        yield LeftOut(where, f"comes after other sessions, whose files it does not find: {ast.unparse(requires)}")
    yield from _statements(where, name, function)


def _statements(where: str, name: str, function: ast.FunctionDef) -> Iterator[CommandTest | LeftOut]:
    session = function.args.args[0].arg if function.args.args else ""
    number, directory = 0, ""
    for statement in function.body:
        call = statement.value if isinstance(statement, ast.Expr) else None
        method = _method(call, session)
        if isinstance(call, ast.Constant) or method in _HARMLESS:  # the docstring, or words
            continue
        text = ast.unparse(statement)[:80]
        if method == "run" and isinstance(call, ast.Call):
            number += 1
            yield _command(f"{where}/{number}", name, call, session, directory)
        elif method in _INSTALLS:
            yield LeftOut(where, f"installs, without a network: {ast.unparse(statement)}")
        elif method == "notify":
            yield LeftOut(where, f"has another session run after it: {text}")
        elif method in _ENDS or isinstance(statement, ast.Return | ast.Raise):
            yield LeftOut(where, f"ends here: {text}")
            return
        elif method in _FOLDER and (folder := _folder(call, directory)) is not None:
            directory = folder
        elif _CHANGES.search(ast.unparse(statement)):
            yield LeftOut(where, f"decides how all after it runs, and would have to be executed: {text}")
            return
        else:
            yield LeftOut(where, f"would have to be executed: {text}")


def _method(call: ast.expr | None, session: str) -> str:
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
        owner = call.func.value
        return call.func.attr if isinstance(owner, ast.Name) and owner.id == session else ""
    return ""


def _folder(call: ast.expr | None, directory: str) -> str | None:
    """Where a session goes, or None where that is not written out or outside the repository."""
    try:
        (folder,) = [read_literal(item) for item in call.args] if isinstance(call, ast.Call) else []
        return folder_below(f"{directory or '.'}/{folder}") if isinstance(folder, str) and folder[:1] != "/" else None
    except ValueError:
        return None


def _command(where: str, name: str, call: ast.Call, session: str, directory: str) -> CommandTest | LeftOut:
    argv = [item for item in call.args if ast.unparse(item) != f"*{session}.posargs"]
    keywords = {item.arg: item.value for item in call.keywords}
    try:
        words = [read_literal(item) for item in argv]
        environment = read_literal(keywords["env"]) if "env" in keywords else {}
    except ValueError:
        return LeftOut(where, f"its arguments are not written out: {ast.unparse(call)[:80]}")
    texts = [*words, *environment, *environment.values()] if isinstance(environment, dict) else [None]
    if (
        not (words and words[0])
        or not all(isinstance(text, str) for text in texts)
        or not set(keywords) <= set(_KEYWORDS)
    ):
        return LeftOut(where, f"is more than a command: {ast.unparse(call)[:80]}")
    return CommandTest(
        where,
        tuple(words),
        directory=directory,
        environment=environment,
        stage=stage_of(name, " ".join(words)),
        job=f"nox/{name}",
    )
