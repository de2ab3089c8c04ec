import pytest

from verigrad.errors import ConfigError
from verigrad.registry import resolve

TABLE = {"sqrt": "math:sqrt", "three": 3}


def test_names_modules_and_files(tmp_path):
    (tmp_path / "my.py").write_text("def double(x):\n    return 2 * x\n")
    assert resolve("three", TABLE, what="thing") == 3
    assert resolve("sqrt", TABLE, what="thing")(9) == 3.0
    assert resolve("math:pi", TABLE, what="thing") > 3
    assert resolve(f"{tmp_path}/my.py:double", TABLE, what="thing")(4) == 8
    assert resolve(f"{tmp_path}/my.py:double", TABLE, what="thing") is resolve(
        f"{tmp_path}/my.py:double", TABLE, what="thing"
    )


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sqr", "did you mean 'sqrt'"),
        ("nowhere.py:x", "no such file: .*nowhere.py; wanted a Python file"),
        ("math:sqroot", "did you mean 'sqrt'"),
        ("no_such_module:x", "no such module"),
    ],
)
def test_what_is_missing_is_named(name, says):
    with pytest.raises(ConfigError, match=says):
        resolve(name, TABLE, what="thing")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = 1\ny = (\n", 2, "SyntaxError: '\\(' was never closed"),
        ("x = 1\n\nimport no_such_module\n", 3, "ModuleNotFoundError: No module named 'no_such_module'"),
        ("from math import root\n", 1, "ImportError: cannot import name 'root'"),
        ("def f(n):\n    return 1 / n\n\nx = f(0)\n", 2, "ZeroDivisionError: division by zero"),
        ("import json\nx = json.loads('')\n", 2, "JSONDecodeError: Expecting value"),
        ("import sys\nsys.exit(3)\n", 2, "SystemExit: 3"),
        ("assert False\n", 1, "AssertionError; mend"),
    ],
)
def test_an_error_in_a_users_file_is_told_with_file_and_line(tmp_path, monkeypatch, text, line, says):
    """The line is the last one of the user's own that was reached, whatever library raised. A module is told alike."""
    for file, spec in (("broken", f"{tmp_path}/broken.py:x"), ("broken_module", "broken_module:x")):
        (tmp_path / f"{file}.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError, match=rf"cannot load {tmp_path}/{file}\.py, line {line}: {says}") as caught:
            resolve(spec, TABLE, what="thing")
        assert caught.value.__cause__ is not None


def test_an_error_in_what_a_users_file_imports_names_both_files(tmp_path, monkeypatch):
    (tmp_path / "helper_of_mine.py").write_text("def f(:\n")
    (tmp_path / "mine.py").write_text("import math\nimport helper_of_mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"mine\.py, line 2: SyntaxError: .*helper_of_mine\.py, line 1"):
        resolve(f"{tmp_path}/mine.py:x", TABLE, what="thing")


def test_a_mended_file_can_be_loaded(tmp_path):
    file = tmp_path / "mended.py"
    file.write_text("1 / 0\n")
    with pytest.raises(ConfigError):
        resolve(f"{file}:x", TABLE, what="thing")
    file.write_text("x = 'this is much longer'\n")
    assert resolve(f"{file}:x", TABLE, what="thing") == "this is much longer"


def test_an_interrupt_is_no_error_of_the_file(tmp_path):
    (tmp_path / "slow.py").write_text("raise KeyboardInterrupt\n")
    with pytest.raises(KeyboardInterrupt):
        resolve(f"{tmp_path}/slow.py:x", TABLE, what="thing")
