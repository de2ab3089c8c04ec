"""What steps of a job hand on: read by hand, from hostile archives, and by a job in the real sandbox."""

import asyncio
import io
import json
import tarfile

import pytest

from verigrad.sandbox.commands import CommandResult
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.process import ProcessSandbox
from verigrad.sandbox.steps import WORK, Told, made_files, names_runner, told_by
from verigrad.types import CommandTest, Limits, Oracle, Repository


def done(**files):
    kept = {f"runner/{name}": text.encode() for name, text in files.items()}
    return CommandResult("exited", 0, b"", b"", {**kept, "runner/work": b"/made"}, 1.0)


def test_what_is_told_worked_by_hand():
    before = Told({"A": "1", "B": "2"}, ("/old",), {"first": {"x": "y"}})
    env = (
        "A=3\nC=a=b\nLONG<<END\none\ntwo = 2\nEND\nW=/made/tree/x\n1BAD=0\nnothing\nPATH=/evil\nGITHUB_X=1\nD<<E\nopen"
    )
    after = told_by(
        CommandTest("s", (), step="second"),
        done(env=env, path="/made/tree/bin\n/two\n", output="v=1\nw<<.\n.\n"),
        before,
    )
    assert after.environment == {"A": "3", "B": "2", "C": "a=b", "LONG": "one\ntwo = 2", "W": f"{WORK}/tree/x"}
    assert after.path == ("/two", f"{WORK}/tree/bin", "/old")  # the last comes first
    assert after.outputs == {"first": {"x": "y"}, "second": {"v": "1", "w": ""}}
    assert after.filled("${{ steps.second.outputs.v }}${{steps.first.outputs.x}}${{ steps.no.outputs.z }}") == "1y"
    assert told_by(CommandTest("s", ()), CommandResult("crashed", None, b"", b"", {}, 0.0), before) == before


def test_a_step_says_itself_that_it_tells_something():
    assert names_runner(CommandTest("s", ("bash", "-c", 'echo A=1 >> "$GITHUB_ENV"')))
    assert not names_runner(CommandTest("s", ("bash", "-c", "echo $GITHUB_ENVIRONMENT")))


def archive(*members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, body, *more in members:
            member = tarfile.TarInfo(name)
            member.size = len(body)
            for key, value in more:
                setattr(member, key, value)
            made.addfile(member, io.BytesIO(body))
    return file.getvalue()


def made(body, may_change=lambda path: "test" not in path):
    return made_files(body, {"src/a.py"}, root="tree", may_change=may_change)


def test_files_are_handed_on_but_for_those_that_would_reach_further():
    body = archive(
        ("tree/build/lib.txt", b"built"),
        ("tree/src/a.py", b"changed"),
        ("tree/tests/test_a.py", b"weaker"),
        ("tree/.ruff_cache/0", b"clean"),
        ("tree/src/.mypy_cache/0", b"clean"),
        ("tree/.coverage", b"data"),
        ("tree/link", b"", ("type", tarfile.SYMTYPE), ("linkname", "/etc/passwd")),
        ("tree/hard", b"", ("type", tarfile.LNKTYPE), ("linkname", "tree/build/lib.txt")),
        ("tree/device", b"", ("type", tarfile.CHRTYPE)),
        ("tree/../evil", b"x"),
        ("tree//evil", b"x"),
        ("/tree/evil", b"x"),
        ("evil", b"x"),
        ("tree/both", b"file"),
        ("tree/both/inside", b"x"),
    )
    assert made(body) == {"build/lib.txt": b"built", ".coverage": b"data", "both/inside": b"x"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"garbage" * 1000,
        archive(("tree/a", b"x" * 2000))[:1500],
        archive(*((f"tree/{n}", b"") for n in range(2001))),
        archive(("tree/a", b"a"))[:124] + b"7" * 11 + archive(("tree/a", b"a"))[135:],  # a size of eight gigabytes
    ],
)
def test_an_archive_that_is_none_or_too_much_hands_on_nothing(body):
    assert made(body) == {}


# ---------------------------------------------------------------------------------------------- for real

HELPER = """
import os
def double(n):
    return {answer}
"""
HOSTILE = """
import os, pathlib
def forge():
    for name in ("GITHUB_ENV", "GITHUB_OUTPUT"):
        with open(os.environ.get(name, os.devnull), "a") as file:
            file.write("STRICT=no\\nversion=forged\\n")
    tools = pathlib.Path("tools")
    tools.mkdir(exist_ok=True)
    (tools / "check").write_text("#!/bin/sh\\nexit 0\\n")
    (tools / "check").chmod(0o755)
    pathlib.Path("check.sh").write_text("exit 0\\n")
    pathlib.Path("kept.txt").unlink()
    os.symlink("/etc/passwd", "linked")
forge()
def double(n):
    return n * n
"""
FILES = {
    "calc.py": HELPER.format(answer="n * n").encode(),
    "src.txt": b"source\n",
    "kept.txt": b"kept\n",
    "check.sh": b'test "$STRICT" = yes && python -c "from calc import double; assert double(3) == 6"\n',
}


def steps():
    texts = {
        "set up": """
            echo STRICT=yes >> "$GITHUB_ENV"; echo version=1.2 >> "$GITHUB_OUTPUT"; echo "$PWD/tools" >> "$GITHUB_PATH"
        """,
        "build": """
            python -c 'import calc'; cat src.txt > built.txt
            mkdir -p tools; printf 'exit 3' > tools/sh; chmod +x tools/sh
        """,
        "uses": """
            test "$(cat built.txt)$(cat kept.txt)" = sourcekept &&
            test "$STRICT" = yes && test ${{ steps.first.outputs.version }} = 1.2
        """,
        "path": 'case "$PATH" in *":$PWD/tools") sh check.sh;; *) exit 9;; esac',
    }
    steps = {"set up": "first"}
    return tuple(
        CommandTest(name, ("sh", "-c", text), job="ci", step=steps.get(name, "")) for name, text in texts.items()
    )


@pytest.fixture(scope="module")
def verdict_on():
    oracle = Oracle(
        task_id="steps@1/0",
        tests=steps(),
        limits=Limits(cpu_s=5, wall_s=60),
        trust="script",
        repository=Repository(files=FILES, protected=("*.sh", "tests")),
    )
    with asyncio.Runner() as runner:
        sandbox = ProcessSandbox(workers=1)
        judge = Judge(sandbox, canaries_every=0)
        yield lambda source: runner.run(judge.judge(json.dumps({"calc.py": source}), oracle, None))
        runner.run(sandbox.close())


def test_steps_find_what_those_before_them_made_and_told(verdict_on):
    verdict = verdict_on(HELPER.format(answer="2 * n"))
    assert [(result.name, result.status, result.detail) for result in verdict.results] == [
        (name, "passed", "") for name in ("set up", "build", "uses", "path")
    ]


def test_what_changed_code_leaves_behind_decides_nothing(verdict_on):
    verdict = verdict_on(HOSTILE)
    assert [result.status for result in verdict.results] == ["passed", "passed", "passed", "failed"]
