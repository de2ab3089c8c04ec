"""What the README shows runs: its Python blocks, its commands, and the files it says to read."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from printed import check_commands, commands

from verigrad.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_python_blocks_run(block, tmp_path):
    (tmp_path / "my.py").write_text(block)
    found = subprocess.run([sys.executable, "my.py"], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr


def test_the_judge_example_prints_what_it_should(tmp_path):
    (block,) = [block for block in BLOCKS if "ProcessSandbox" in block]
    found = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("failed 1 ")


def test_its_own_reward_passes_its_checks(tmp_path):
    (block,) = [block for block in BLOCKS if "CHECKS" in block]
    (tmp_path / "my.py").write_text(block)
    words = [sys.executable, "-m", "verigrad.cli.main", "check", "reward", "my.py:short_and_correct"]
    found = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr


def test_it_shows_every_command_as_it_can_be_typed():
    check_commands(README)
    assert {words[0] for words in commands(README)} == set(COMMANDS)


def test_targets_and_files_it_names_exist():
    for path in re.findall(r"`((?:src|docs|recipes)/[\w/.]+\.\w+)`", README):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^make ([\w-]+)", README, re.MULTILINE)
    assert targets
    for target in targets:
        assert f"\n{target}:" in (ROOT / "Makefile").read_text()
