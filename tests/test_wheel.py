"""The built wheel works outside the checkout: recipes, data files and the command come along."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_wheel_works_elsewhere(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, ROOT]
    subprocess.run(build, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("verigrad-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert "verigrad/py.typed" in names and "verigrad/recipes/quickstart.toml" in names
    assert not [name for name in names if name.startswith(("tests", "docs", "benchmarks"))]
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
    script = (
        "import verigrad, asyncio, pathlib\n"
        "assert pathlib.Path(verigrad.__file__).is_relative_to(pathlib.Path('site').resolve()), verigrad.__file__\n"
        "from verigrad.cli.main import main\n"
        "assert main(['check', 'tasks', 'builtin?split=validation&instances=1&families=is_even']) == 0\n"
        "assert main(['rl', 'quickstart', '--dry-run']) == 0\n"
    )
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout + found.stderr
    assert "1 of 1 tasks sound" in found.stdout
