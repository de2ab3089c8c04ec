"""Installed packages that a task allows: what is found of them, used at every level, and nothing beside them."""

import asyncio
import os
import sys
from importlib.metadata import PathDistribution, version
from pathlib import Path

import pytest

from verigrad.errors import ConfigError
from verigrad.sandbox import packages
from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.packages import find_packages
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import CallTest, Comparator, Generator, Limits, Oracle, PropertyTest

NUMPY = ("numpy",)


@pytest.fixture(params=LEVELS)
def box(request, box_at):
    return box_at(request.param)


def run(box, program, *inputs, names=NUMPY, **limits):
    execution = asyncio.run(box.for_language("python", names).run(program, inputs, Limits(**limits)))
    assert execution.outcomes, execution
    return execution.outcomes


# ----------------------------------------------------------------------------------------- what is found


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Four packages in a folder of their own: `first` requires `second`, which shares a folder with `third`."""

    def install(name, files, requires=()):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        metadata = [f"Name: {name}", "Version: 1", *(f"Requires-Dist: {line}" for line in requires)]
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(metadata) + "\n")
        (info / "RECORD").write_text("".join(f"{path},,\n" for path in (*files, f"{name}-1.dist-info/METADATA")))
        for path in files:
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_text("")

    requires = ['second>1; python_version > "3"', 'absent; python_version < "3"', 'tools; extra == "more"']
    install("first", ["first/__init__.py", "first/part.py", "first.libs/libfirst.so", "../bin/first"], requires)
    install("second", ["shared/second/__init__.py", "second.py", "second.pth", "__pycache__/second.pyc"])
    install("third", ["shared/third/__init__.py"])
    install("broken", ["broken.py"], ["absent"])
    monkeypatch.syspath_prepend(str(tmp_path))
    find_packages.cache_clear()
    yield tmp_path
    find_packages.cache_clear()


def test_what_is_shown_of_a_package_worked_by_hand(installed):
    found = find_packages(("first",))
    shown = ("first", "first-1.dist-info", "first.libs", "second-1.dist-info", "second.py", "shared/second")
    assert found.places == ((str(installed), shown),)
    assert {"first", "second", "shared"} <= set(found.modules)
    assert not {"third", "broken"} & set(found.modules)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("frist", r"'frist', which is not installed .did you mean 'first'"),
        ("broken", "'absent', which broken depends on, is not installed"),
        ("math", "'math', which is in the standard library"),
        ("verigrad", "'verigrad', which holds tasks with their answers"),
    ],
)
def test_a_package_that_cannot_be_had_is_named(installed, name, told):
    with pytest.raises(ConfigError, match=told):
        find_packages((name,))


def test_a_package_without_a_list_of_files_is_named(installed, monkeypatch):
    monkeypatch.setattr(PathDistribution, "files", None)
    with pytest.raises(ConfigError, match="'first' has no list of its files"):
        packages._entries(packages.distribution("first"))


# ----------------------------------------------------------------------------------------- what it is like

USES = """
import numpy as np
import numpy.linalg, numpy.fft, numpy.polynomial
def f(n):
    rng = np.random.default_rng(7)
    a = rng.normal(size=(n, n))
    b = rng.normal(size=n)
    x = np.linalg.solve(a, b)
    assert np.allclose(a @ x, b)
    assert np.allclose(np.fft.ifft(np.fft.fft(b)), b)
    assert numpy.polynomial.Polynomial([1, 2])(3) == 7
    return int(np.linalg.svd(a)[1].shape[0])
"""


def test_numpy_works(box):
    (outcome,) = run(box, USES, Call("f", (200,)))
    assert (outcome.error, outcome.value) == ("", 200)


VALUES = """
import numpy as np
def f():
    return [np.float64(0.5), np.int32(7), np.bool_(True), np.arange(4).reshape(2, 2), {"a": np.zeros(1)}, np.array(3)]
"""


def test_a_package_finds_its_own_version(box):
    """As many ask for while they are imported."""
    program = "from importlib.metadata import version\nNUMPY = version('numpy')\ndef f():\n    return NUMPY\n"
    (outcome,) = run(box, program, Call("f"))
    assert outcome.value == version("numpy")


def test_arrays_come_back_as_lists_and_numbers_as_pythons(box):
    (outcome,) = run(box, VALUES, Call("f"))
    assert outcome.value == [0.5, 7, True, [[0, 1], [2, 3]], {"a": [0.0]}, 3]
    assert list(map(type, outcome.value)) == [float, int, bool, list, dict, int]


def test_unseeded_chance_is_the_same_in_every_process(box):
    program = "import numpy as np\ndef f():\n    return float(np.random.random())\n"
    assert run(box, program, Call("f"))[0].value == run(box, program, Call("f"))[0].value


def test_limits_hold(box):
    program = "import numpy as np\ndef f(n):\n    return float(np.ones(n).sum())\n"
    fits, too_much = run(box, program, Call("f", (10_000_000,)), Call("f", (100_000_000,)), memory_mb=256)
    assert fits.value == 1e7
    assert too_much.status in ("memory", "exception")
    spin = "import numpy as np\na = np.ones((400, 400))\ndef f():\n    while True:\n        a @ a\n"
    assert run(box, spin, Call("f"), cpu_s=0.3)[0].status == "timeout"


def test_no_threads_are_needed_nor_to_be_had(box):
    program = """
import numpy as np, threading
def f():
    a = np.ones((500, 500))
    (a @ a).sum()
    try:
        threading.Thread(target=print).start()
        return True
    except RuntimeError:
        return False
"""
    assert run(box, program, Call("f"), processes=0)[0].value is False


# ---------------------------------------------------------------------------------------- nothing beside it

IMPORTS = """
import importlib
def f(name):
    try:
        importlib.import_module(name)
        return True
    except ImportError:
        return False
"""


def test_nothing_else_can_be_imported(box):
    names = ("numpy", "torch", "pip", "packaging", "verigrad", "verigrad.sandbox.judge", "pytest", "_pytest")
    outcomes = run(box, IMPORTS, *(Call("f", (name,)) for name in names))
    assert [outcome.value for outcome in outcomes] == [True] + [False] * (len(names) - 1)
    (plain,) = asyncio.run(box.run(IMPORTS, [Call("f", ("numpy",))], Limits())).outcomes
    assert plain.value is False


READS = """
import os, sys
import numpy
def f():
    found = []
    above = os.path.dirname(os.path.dirname(numpy.__file__))
    for folder in (above, *(f"{path}/{name}" for path in sys.path for name in ("site-packages", "dist-packages"))):
        names = os.listdir(folder) if os.path.isdir(folder) else []
        names += ["packaging", "torch", "pip", "verigrad", "pytest"]
        for name in (name for name in names if "numpy" not in name):
            for file in ("", "/__init__.py", "/METADATA", "/version.py"):
                try:
                    open(f"{folder}/{name}{file}").close()
                    found.append(name)
                except OSError:
                    pass
    return found[:5]
"""


@pytest.mark.parametrize("level", ["landlock", "namespaces", "full"])
def test_no_file_of_another_package_can_be_read(box_at, level):
    (outcome,) = run(box_at(level), READS, Call("f"))
    assert (outcome.error, outcome.value) == ("", [])


WRITES = """
import os, numpy
def f():
    made = []
    folder = os.path.dirname(numpy.__file__)
    for path in (folder, os.path.dirname(folder), os.path.join(folder, "__init__.py")):
        for change in (lambda p: os.chmod(p, 0o777), os.utime, lambda p: open(p, "r+"), lambda p: open(p + "/x", "w")):
            try:
                change(path)
                made.append(path)
            except OSError:
                pass
    return made
"""


@pytest.mark.parametrize("level", ["landlock", "namespaces", "full"])
def test_packages_cannot_be_changed(box_at, level):
    assert run(box_at(level), WRITES, Call("f"))[0].value == []


def test_a_changed_package_is_gone_with_the_program(box):
    poison = "import numpy as np\nnp.sum = np.add = np.equal = lambda *a, **k: True\ndef f(xs):\n    return 0\n"
    honest = "import numpy as np\ndef f(xs):\n    return np.sum(xs)\n"
    assert run(box, poison, Call("f", ([1, 2],)))[0].value == 0
    assert run(box, honest, Call("f", ([1, 2],)))[0].value == 3


# ---------------------------------------------------------------------------------------------- by the judge


def oracle(**changes):
    tests = (CallTest("three", ([1.0, 2.0, 3.0],), 2.0), CallTest("one", ([5.0],), 5.0))
    return Oracle(task_id="means@1/0", **{"tests": tests, "packages": NUMPY, **changes})


def test_a_task_says_what_its_programs_may_import(judged):
    program = "import numpy as np\ndef f(xs):\n    return np.mean(xs)\n"
    assert judged(program, oracle()).passed
    assert judged(program, oracle(packages=())).status == "exception"
    with pytest.raises(ConfigError, match=r"'nunpy', which is not installed .did you mean 'numpy'"):
        judged(program, oracle(packages=("nunpy",)))


CHEATS = {
    "an array subclass equal to everything": """
import numpy as np
class Any(np.ndarray):
    def __eq__(self, other): return True
    def tolist(self): return Any((1,))
def f(xs):
    return Any((1,))
""",
    "a number whose list is itself": """
import numpy as np
class Any(np.float64):
    def tolist(self): return self
    def __eq__(self, other): return True
def f(xs):
    return Any(0)
""",
    "an array of a billion": "import numpy as np\ndef f(xs):\n    return np.broadcast_to(2.0, 10**9)\n",
    "an array of objects that holds itself": """
import numpy as np
def f(xs):
    a = np.empty(1, dtype=object)
    a[0] = a
    return a
""",
    "numpy replaced by something": """
import sys
class Fake:
    ndarray = generic = object
sys.modules["numpy"] = Fake
class Any:
    def tolist(self): return self
    def __eq__(self, other): return True
def f(xs):
    return Any()
""",
    "numpy's comparison patched": "import numpy as np\nnp.allclose = np.equal = all\ndef f(xs):\n    return 0.0\n",
    "a pickle that runs": """
import numpy as np
class Run:
    def __reduce__(self): return (print, ("ran",))
def f(xs):
    return np.array([Run()], dtype=object)
""",
    "memory through ctypeslib": """
import ctypes, numpy as np
def f(xs):
    return float(np.ctypeslib.as_array((ctypes.c_double * 4).from_address(8))[0])
""",
    "a memory map of the judge": """
import numpy as np, os
def f(xs):
    return float(np.memmap(f"/proc/{os.getppid()}/mem", mode="r", shape=8)[0])
""",
}


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_through_packages_fail(judged, name):
    limits = Limits(cpu_s=1, wall_s=5, memory_mb=256)
    assert judged(CHEATS[name], oracle(limits=limits)).num_passed == 0
    assert judged("def f(xs):\n    return sum(xs) / len(xs)\n", oracle(limits=limits)).passed


def test_checkers_and_generators_have_the_packages_too(judged):
    checker = "import numpy as np\ndef check(args, got):\n    return bool(np.isclose(got, np.mean(args[0])))\n"
    one = (PropertyTest("three", (([1.0, 2.0, 6.0],),)),)
    assert judged("def f(xs):\n    return sum(xs) / len(xs)\n", oracle(tests=one, checker=checker)).passed


def test_drawn_tests(box_at):
    from verigrad.sandbox.generated import with_drawn_tests

    source = "import numpy as np\ndef inputs(random):\n    return (np.arange(random.randint(1, 9)).tolist(),)\n"
    gold = "import numpy as np\ndef f(xs):\n    return np.cumsum(xs)\n"
    task = oracle(gold=gold, generator=Generator(source=source, count=3), comparator=Comparator())
    drawn = asyncio.run(with_drawn_tests(task, "f", 1, box_at("auto"))).tests[2:]
    assert len(drawn) == 3
    for test in drawn:
        (xs,) = test.args
        assert test.expected == [sum(xs[: i + 1]) for i in range(len(xs))]


def test_packages_are_for_python(tmp_path):
    from verigrad.sandbox.languages import PolyglotSandbox

    box = PolyglotSandbox(workers=1)
    with pytest.raises(ConfigError, match="packages are for programs in Python"):
        box.for_language("c", NUMPY)
    asyncio.run(box.close())


def test_workers_with_packages_end_with_the_sandbox(descendants):
    before = descendants()

    async def main():
        async with ProcessSandbox(workers=1) as box:
            other = box.for_language("python", NUMPY)
            assert box.for_language("python", ("numpy", "numpy")) is other
            await other.run("import numpy", [], Limits())
            return len(descendants(before))

    assert asyncio.run(main()) > 0
    assert descendants(before) == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder that only root may enter")
def test_a_package_in_tmp_below_a_folder_that_only_root_may_enter(box_at, tmp_path, monkeypatch):
    folder = tmp_path / "closed" / "site-packages"
    (folder / "vg_closed-1.dist-info").mkdir(parents=True)
    (folder / "vg_closed-1.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: vg-closed\nVersion: 1\n")
    (folder / "vg_closed-1.dist-info/RECORD").write_text("vg_closed/__init__.py,,\nvg_closed/later.py,,\n")
    (folder / "vg_closed").mkdir()
    (folder / "vg_closed/__init__.py").write_text("")
    (folder / "vg_closed/later.py").write_text("value = 7\n")
    (folder / "vg_other.py").write_text("")
    (tmp_path / "closed").chmod(0o700)
    monkeypatch.syspath_prepend(str(folder))
    program = "def f():\n    from vg_closed.later import value\n    return value\n"
    for level in LEVELS:
        with_it = box_at(level).for_language("python", ("vg_closed",))
        (outcome,) = asyncio.run(with_it.run(program, [Call("f")], Limits())).outcomes
        assert (outcome.error, outcome.value) == ("", 7), level
        (outcome,) = asyncio.run(with_it.run(IMPORTS, [Call("f", ("vg_other",))], Limits())).outcomes
        assert outcome.value is False


def test_this_interpreter_sees_its_own_packages():
    """What the other tests stand on: numpy is found where it is imported from."""
    import numpy

    assert str(Path(numpy.__file__).parents[1]) in dict(find_packages(NUMPY).places)
    assert "numpy" in sys.modules
