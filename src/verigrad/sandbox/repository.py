"""The tree that a judge runs: the clean one, with what the answer may change and nothing else."""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import site
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from verigrad.changes import ChangeError, apply_change, changed_paths
from verigrad.errors import ConfigError, MissingExtra
from verigrad.sandbox.commands import PATH, Command
from verigrad.sandbox.steps import KEPT, WORK, Told
from verigrad.types import CommandTest, Oracle, Repository, Suite

__all__ = ["ROOT", "Tools", "changed_tree", "changes_of", "command_in_tree", "find_tools", "overlaid", "read_folder"]

ROOT = "tree"
"""The repository's folder within a command's working directory."""
_BIN = "bin"
_DISK_MB = 64
_LAUNCH = """
work=$PWD
PATH=$work/{bin}:$PATH; export PATH
PYTHONPATH={python_path}; export PYTHONPATH
cd {directory} || exit 1
"""
_STEP = """
mkdir -p "$work/runner" && printf %s "$work" > "$work/runner/work"
GITHUB_ENV=$work/runner/env GITHUB_PATH=$work/runner/path GITHUB_OUTPUT=$work/runner/output
GITHUB_STEP_SUMMARY=$work/runner/summary GITHUB_WORKSPACE=$work/{root}
export GITHUB_ENV GITHUB_PATH GITHUB_OUTPUT GITHUB_STEP_SUMMARY GITHUB_WORKSPACE
: > "$GITHUB_ENV" > "$GITHUB_PATH" > "$GITHUB_OUTPUT" > "$GITHUB_STEP_SUMMARY"
{told}
{command}
status=$?
cd "$work" && find {root} -type f -print0 2> /dev/null | tar -cf state.tar --null -T - 2> /dev/null
exit $status
"""
_OF_PYTEST = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")


def read_folder(folder: str | Path) -> dict[str, bytes]:
    """The files of a folder as a `Repository` holds them; links, `.git` and bytecode are left out.

    Raises:
        ConfigError: there is no such folder.
    """
    root = Path(folder)
    if not root.is_dir():
        raise ConfigError(f"no folder {str(folder)!r} to take a repository from")
    found = {}
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if not {".git", "__pycache__"} & {*parts} and path.is_file() and not path.is_symlink():
            found["/".join(parts)] = path.read_bytes()
    return found


def changed_tree(
    repository: Repository, answer: str, may_change: Callable[[str], bool]
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The tree after the answer, and the paths that it changed and may not, which are as they were.

    Raises:
        ChangeError: the answer is no change, or none that fits the tree.
    """
    wanted = apply_change(repository.files, answer)
    refused = tuple(path for path in changed_paths(repository.files, wanted) if not may_change(path))
    kept = {path: body for path, body in wanted.items() if path not in refused}
    restored = {path: repository.files[path] for path in refused if path in repository.files}
    return overlaid(kept, restored), refused


def overlaid(tree: Mapping[str, bytes], over: Mapping[str, bytes]) -> dict[str, bytes]:
    """`tree` with the files of `over`, which win where one's file is the other's folder."""
    folders = {folder for path in over for folder in _folders(path)}
    kept = {path: body for path, body in tree.items() if path not in folders and not _folders(path) & over.keys()}
    return {**kept, **over}


def _folders(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:end]) for end in range(1, len(parts))}


def changes_of(oracle: Oracle) -> Callable[[str], bool]:
    """Whether an answer, or a step of a job, may change or add a file.

    What is protected it may not, nor add a module that Python would take for one of its library's or for a tool: a
    `mypy.py` beside `src` is what `python -m mypy` runs. Of such names the repository's own and the gold answer's hold.
    """
    repository = oracle.repository
    assert repository is not None
    suite = oracle.suite
    taken = {*sys.stdlib_module_names, *_OF_PYTEST, *suite.packages, *suite.programs}
    folders = {"", *(f"{folder}/" for folder in suite.python_path if folder != ".")}
    folders |= {f"{test.directory}/" for test in oracle.tests if isinstance(test, CommandTest) and test.directory}
    modules = {f"{folder}{name}{ending}" for folder in folders for name in taken for ending in (".py", "/__init__.py")}

    def may_change(path: str) -> bool:
        if not _matches(path, repository.editable) or _matches(path, repository.protected):
            return False
        return path not in modules or path in repository.files or path in _of_gold(oracle)

    return may_change


def _of_gold(oracle: Oracle) -> Collection[str]:
    assert oracle.repository is not None
    try:
        return apply_change(oracle.repository.files, oracle.gold or "").keys()
    except ChangeError:
        return ()


def _matches(path: str, patterns: Collection[str]) -> bool:
    parts = path.split("/")
    return any(
        fnmatchcase(path, pattern) if "/" in pattern else any(fnmatchcase(part, pattern) for part in parts)
        for pattern in patterns
    )


# ------------------------------------------------------------------------------------------------- tools


@dataclass(frozen=True)
class Tools:
    """What commands find besides the system: files to lay out, places to show and to hide, folders to import from."""

    files: Mapping[str, bytes]
    visible: tuple[str, ...]
    hidden: tuple[str, ...]
    python_path: tuple[str, ...]
    python: str


def find_tools(suite: Suite) -> Tools:
    """The interpreter, pytest, and the packages and programs of the suite.

    Raises:
        MissingExtra: pytest is not installed.
        ConfigError: a package or program is not installed.
    """
    python = os.path.realpath(sys.executable)
    visible = [] if python.startswith("/usr/") else [os.path.realpath(sys.base_prefix)]
    if importlib.util.find_spec("pytest") is None:
        raise MissingExtra("pytest", "repositories")
    places = [place for name in _OF_PYTEST if (place := _package(name))]
    for name in suite.packages:
        if (place := _package(name)) is None:
            raise ConfigError(
                f"the suite takes the package {name!r}, which is not installed; install it beside verigrad"
            )
        places += [place, *([place + ".libs"] if os.path.isdir(place + ".libs") else [])]
    files = {"python": python, "python3": python}
    for name in suite.programs:
        found = shutil.which(name, path=f"{os.path.dirname(sys.executable)}:{PATH}")
        if found is None:
            raise ConfigError(
                f"the suite takes the program {name!r}, which is not installed; install it beside verigrad"
            )
        if _is_script(found) and _package(name):
            files[name] = f"{python} -P -m {name}"
        else:
            files[name] = found
            visible.append(found)
    wrappers = {f"{_BIN}/{name}": f'#!/bin/sh\nexec {target} "$@"\n'.encode() for name, target in files.items()}
    folders = dict.fromkeys(os.path.dirname(place) for place in places)
    beside = site.getsitepackages([os.path.realpath(sys.base_prefix)])  # the interpreter's own: all of them or none
    hidden = [folder for folder in beside if folder not in folders]
    shown = dict.fromkeys([*visible, *places, *(folder for folder in beside if folder in folders)])
    return Tools(wrappers, tuple(shown), tuple(hidden), tuple(folders), python)


def _package(name: str) -> str | None:
    """Where a package's folder or a module's file is, without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    folders = list(spec.submodule_search_locations or ())
    return folders[0] if folders else spec.origin


def _is_script(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def command_in_tree(
    tree: Mapping[str, bytes],
    suite: Suite,
    tools: Tools,
    argv: tuple[str, ...],
    *,
    directory: str = "",
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    keep: tuple[str, ...] = (),
    told: Told | None = None,
) -> Command:
    """A command that runs `argv` in `directory` of the tree; `keep` is relative to the folder that the tree is in.

    With `told` it is a step of a job, which finds that and may tell the runner more; `steps.KEPT` is read back.
    """
    imports = [f'"$work/{ROOT}/{folder}"' for folder in suite.python_path] + [shlex.quote(f) for f in tools.python_path]
    launch = _LAUNCH.format(
        bin=_BIN,
        python_path=":".join(imports),
        directory=shlex.quote(f"{ROOT}/{directory}"),
    )
    if told is None:
        launch += f"exec {shlex.join(argv)}\n"
    else:
        launch += _STEP.format(root=ROOT, told=_exports(told), command=shlex.join(map(told.filled, argv)))
        environment = {name: told.filled(value) for name, value in (environment or {}).items()}
        keep = (*keep, *KEPT)
    files = {**tools.files, **{f"{ROOT}/{path}": body for path, body in tree.items()}}
    entries = len(files) + len({folder for path in files for folder in _folders(path)})
    return Command(
        ("/bin/sh", "-c", launch),
        files=files,
        stdin=stdin,
        environment={
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONNOUSERSITE": "1",
            "PYTHONHASHSEED": "0",
            **suite.environment,
            **(environment or {}),
        },
        keep=keep,
        visible=tools.visible,
        hidden=tools.hidden,
        disk_mb=_DISK_MB + entries // 32 + sum(map(len, files.values())) // 1_000_000,
    )


def _exports(told: Told) -> str:
    """Lines of the shell that set what was told; folders of programs come after the system's, so they hide none."""
    lines = [f"{name}={_quoted(value)}; export {name}" for name, value in told.environment.items()]
    return "\n".join([*lines, *(f'PATH="$PATH":{_quoted(folder)}' for folder in told.path)])


def _quoted(text: str) -> str:
    return '"$work"'.join(shlex.quote(part) for part in text.split(WORK))
