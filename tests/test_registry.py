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
        ("nowhere.py:x", "no such file"),
        ("math:sqroot", "did you mean 'sqrt'"),
        ("no_such_module:x", "no such module"),
    ],
)
def test_what_is_missing_is_named(name, says):
    with pytest.raises(ConfigError, match=says):
        resolve(name, TABLE, what="thing")


def test_an_error_inside_a_user_file_is_its_own(tmp_path):
    (tmp_path / "broken.py").write_text("1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        resolve(f"{tmp_path}/broken.py:x", TABLE, what="thing")
