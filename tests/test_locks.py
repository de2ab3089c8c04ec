"""One holder at a time, until it closes or its process ends; programs that it started do not count."""

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import closing

import pytest

from verigrad.errors import RunError
from verigrad.locks import hold

HOLDER = """
import subprocess, sys
from pathlib import Path
from verigrad.locks import hold

lock = hold(Path(sys.argv[1]), "a run", "--run")
print(subprocess.Popen(["sleep", "60"], stdout=subprocess.DEVNULL).pid, flush=True)
sys.stdin.read()
"""


def test_a_lock_is_held_once_until_it_is_closed(tmp_path, monkeypatch):
    file = tmp_path / "new" / ".lock"
    with hold(file, "a run", "--run"), monkeypatch.context() as patched:
        patched.setattr(time, "monotonic", itertools.count(0, 100).__next__)
        with pytest.raises(RunError, match=rf"a run is at work in {file.parent}; wait for it, or choose another --run"):
            hold(file, "a run", "--run")
    hold(file, "a run", "--run").close()


def test_a_killed_process_lets_go_while_a_program_that_it_started_lives_on(tmp_path):
    file = tmp_path / ".lock"
    words = [sys.executable, "-c", HOLDER, str(file)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        child = int(holder.stdout.readline())
        try:
            with pytest.raises(RunError, match="at work"):
                hold(file, "a run", "--run", patience=0.0)
            holder.send_signal(signal.SIGKILL)
            hold(file, "a run", "--run").close()
        finally:
            os.kill(child, signal.SIGKILL)


def test_whoever_waits_gets_a_lock_that_is_let_go(tmp_path, monkeypatch):
    file = tmp_path / ".lock"
    first = hold(file, "a run", "--run")
    monkeypatch.setattr(time, "sleep", lambda _: first.close())
    with closing(hold(file, "a run", "--run")) as second:
        assert first.closed and not second.closed


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write .*file/.lock: .*choose another folder with --run"):
        hold(tmp_path / "file" / ".lock", "a run", "--run")


def test_a_file_system_without_locks_keeps_nobody_from_working(tmp_path, monkeypatch):
    def without(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", without)
    hold(tmp_path / ".lock", "a run", "--run").close()
