"""What programs may import at the best level, and with which interpreters."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import pytest

import verigrad
from verigrad.sandbox.base import LEVELS, Call
from verigrad.types import Limits

MODULES = """
abc argparse array ast asyncio base64 binascii bisect bz2 calendar cmath codecs collections collections.abc
colorsys concurrent.futures configparser contextlib contextvars copy csv ctypes dataclasses datetime decimal
difflib dis doctest email enum fileinput fnmatch fractions functools gc getopt gettext glob graphlib gzip
hashlib heapq hmac html html.parser http.client inspect io ipaddress itertools json keyword linecache locale
logging lzma math mimetypes multiprocessing numbers operator os os.path pathlib pickle pkgutil platform
plistlib pprint queue quopri random re reprlib sched secrets select selectors shelve shlex shutil signal
socket sqlite3 ssl stat statistics string stringprep struct subprocess symtable sys sysconfig tarfile tempfile
textwrap threading time timeit token tokenize traceback tracemalloc types typing unicodedata unittest
urllib.parse uuid warnings weakref xml.dom.minidom xml.etree.ElementTree zipfile zlib zoneinfo
"""

USES = """
import asyncio, datetime, decimal, hashlib, json, os, random, re, sqlite3, ssl, tempfile, threading, time, zlib
def f():
    ran = []
    thread = threading.Thread(target=ran.append, args=(1,))
    thread.start()
    thread.join()
    async def later():
        await asyncio.sleep(0.001)
        return 2
    ran.append(asyncio.run(later()))
    with tempfile.NamedTemporaryFile("w+") as file, open(os.devnull, "w") as sink:
        print("text", file=sink)
        file.write("text")
        file.seek(0)
        ran.append(file.read())
    with sqlite3.connect(":memory:") as base:
        ran.append(base.execute("select 1 + 2").fetchone()[0])
    assert abs(time.time() - datetime.datetime.now().timestamp()) < 5
    assert len(os.urandom(8)) == 8 and time.perf_counter() > 0 and random.SystemRandom().random() < 1
    ran.append(hashlib.sha256(b"").hexdigest()[:4])
    ran.append(str(decimal.Decimal(1) / 3)[:5])
    return ran
"""
DONE = [1, 2, "text", 3, "e3b0", "0.333"]


def test_the_library_can_be_imported_and_used(box):
    known = [name for name in MODULES.split() if _exists(name)]
    program = "import importlib\ndef f(name):\n    importlib.import_module(name)\n"
    limits = Limits(processes=2, memory_mb=1024)
    execution = asyncio.run(box.run(program, [Call("f", (name,)) for name in known], limits))
    assert [(n, o.error) for n, o in zip(known, execution.outcomes, strict=True) if o.status != "returned"] == []
    (outcome,) = asyncio.run(box.run(USES, [Call("f")], limits)).outcomes
    assert (outcome.error, outcome.value) == ("", DONE)


def _exists(name):
    """Some interpreters are built without parts of it."""
    command = [sys.executable, "-I", "-S", "-c", f"import {name}"]
    return name not in ("bz2", "ctypes", "lzma", "sqlite3", "ssl", "zlib") or not subprocess.call(
        command, stderr=subprocess.DEVNULL
    )


# ------------------------------------------------------------------------------ other interpreters and users

JUDGE = """
import asyncio, json, sys
from verigrad.sandbox.base import LEVELS, Call
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import Limits

async def main():
    level, programs = sys.argv[1], json.load(sys.stdin)
    async with ProcessSandbox(workers=2, level=level) as box:
        found = {}
        for name, (program, arguments) in programs.items():
            limits = Limits(cpu_s=1, wall_s=5, processes=4)
            execution = await box.run(program, [Call("f", tuple(each)) for each in arguments], limits)
            outcomes = execution.outcomes or [execution]  # without outcomes, what stopped the program
            found[name] = [(o.status, repr(getattr(o, "value", None)), o.error) for o in outcomes]
        print(json.dumps({"level": box.level, "found": found}))

asyncio.run(main())
"""
OUTSIDE = """
import sys
def f(*folders):
    sys.path += folders
    try:
        import vg_installed
        return True
    except ImportError:
        return False
"""


def judge_with(python, source, programs, *, level="auto", prefix=()):
    done = subprocess.run(
        [*prefix, str(python), "-B", "-c", JUDGE, level],
        input=json.dumps(programs),
        env={"PYTHONPATH": str(source)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_virtual_environment_and_what_is_installed_in_it(box, tmp_path):
    venv.create(tmp_path / "env", symlinks=True, with_pip=False)
    (packages,) = (tmp_path / "env/lib").glob("python3*/site-packages")
    (packages / "vg_installed.py").write_text("")
    programs = {"uses": (USES, [()]), "outside": (OUTSIDE, [(str(packages),)])}
    told = judge_with(tmp_path / "env/bin/python", Path(verigrad.__file__).parents[1], programs)
    assert told["level"] == box.level
    assert told["found"] == {"uses": [["returned", repr(DONE), ""]], "outside": [["returned", "False", ""]]}


def test_packages_beside_the_library_are_out_of_reach(box_at):
    program = """
import os, sys
def f():
    found = [f"{folder}/{name}" for folder in sys.path for name in ("site-packages", "dist-packages")]
    return [os.listdir(folder) for folder in found if os.path.isdir(folder)]
"""
    (outcome,) = asyncio.run(box_at("full").run(program, [Call("f")], Limits())).outcomes
    assert not any(outcome.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a home that only root may enter")
@pytest.mark.skipif(sys.base_prefix.startswith("/usr"), reason="this interpreter is the system's own")
def test_an_interpreter_that_only_root_may_enter(box_at):
    closed = [path for path in Path(sys.base_prefix).parents if path.stat().st_mode & 0o001 == 0]
    if not closed:
        pytest.skip("anyone may enter the folders above this interpreter")
    program = "import wave, os\ndef f():\n    return os.getuid() != 0, wave.__file__\n"
    (outcome,) = asyncio.run(box_at("full").run(program, [Call("f")], Limits())).outcomes
    assert outcome.value[0] is True
    assert outcome.value[1].startswith(sys.base_prefix)


@pytest.fixture(scope="module")
def as_nobody():
    """`as_nobody(programs, level)`: judge them as an ordinary user, with an interpreter that one may run."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can become another user, with setpriv")
    prefix = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs")
    probe = "import os, sys; sys.exit(sys.version_info < (3, 11) or not os.access(sys.executable, os.X_OK))"
    pythons = (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")
    usable = (p for p in pythons if os.path.exists(p) and not subprocess.call((*prefix, p, "-c", probe), stderr=-3))
    python = next(usable, None)
    if python is None:
        pytest.skip("no Python from 3.11 on that an ordinary user may run")
    ignored = shutil.ignore_patterns("__pycache__")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are for its user only
        os.chmod(folder, 0o755)
        shutil.copytree(Path(verigrad.__file__).parent, f"{folder}/verigrad", ignore=ignored)
        yield lambda programs, level: judge_with(python, folder, programs, level=level, prefix=prefix)


FORKS_UNTIL_STOPPED = """
import os, time
def f():
    made = 0
    try:
        while made < 500:
            if os.fork() == 0:
                time.sleep(60)
                os._exit(0)
            made += 1
    except OSError:
        return made
"""


def test_an_ordinary_users_programs_have_their_processes_counted_too(as_nobody):
    assert as_nobody({"forks": (FORKS_UNTIL_STOPPED, [()])}, "full")["found"] == {"forks": [["returned", "4", ""]]}


GOES_ON = """
import os, time
def f():
    end = time.monotonic() + 10
    while len(os.sched_getaffinity(0)) == 1 and time.monotonic() < end:
        time.sleep(0.001)
    return sorted(os.sched_getaffinity(0))
"""


@pytest.mark.parametrize("level", ["process", "full"])
def test_an_ordinary_users_program_that_goes_on_may_use_every_core(as_nobody, level):
    told = as_nobody({"goes on": (GOES_ON, [()])}, level)
    assert told["found"] == {"goes on": [["returned", repr(sorted(os.sched_getaffinity(0))), ""]]}


@pytest.mark.parametrize("level", ["process", "full"])
def test_a_program_of_root_without_the_right_to_place_others_may_use_every_core(box_at, level):
    """As root is in a container of Docker's unless it is given more."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("only root can give up a capability, with setpriv")
    prefix = ("setpriv", "--bounding-set=-sys_nice")
    box_at(level)
    source = Path(verigrad.__file__).parents[1]
    told = judge_with(sys.executable, source, {"goes on": (GOES_ON, [()])}, level=level, prefix=prefix)
    assert told["found"] == {"goes on": [["returned", repr(sorted(os.sched_getaffinity(0))), ""]]}


@pytest.mark.parametrize(
    ("level", "every"), [("full", 4), *(pytest.param(level, 1, marks=pytest.mark.slow) for level in LEVELS)]
)
def test_an_ordinary_user_judges_as_well(as_nobody, level, every):
    from sandbox.escapes import ESCAPES, holds
    from sandbox.exploits import EXPLOITS, FORKS, HONEST

    judge = {"file": __file__, "folder": str(Path(__file__).parent), "port": 1, "socket": "none", "pid": os.getpid()}
    exploits = {name: (source, [(13,), (2,), (7,)]) for name, source in {**EXPLOITS, **FORKS}.items()}
    del exploits["parsers: lone surrogate"], exploits["parsers: two megabytes"]  # the judge never lets these run
    exploits = {name: exploits[name] for name in list(exploits)[::every]}
    escapes = {n: (s, [(judge,)]) for n, (low, s) in ESCAPES.items() if holds(n, low, level)}
    told = as_nobody({**exploits, **escapes, "honest": (HONEST, [(2,)]), "uses": (USES, [()])}, level)
    found = told["found"]
    assert told["level"] == level
    right = ["176", "11", "56"]
    assert [name for name in exploits if [value for _, value, _ in found[name]] == right] == []
    quiet = {"None", "False", "[]", "0"}
    assert {n: found[n] for n in escapes if found[n][0][0] != "crashed" and found[n][0][1] not in quiet} == {}
    assert found["honest"] == [["returned", "11", ""]]
    assert level in ("process", "landlock") or found["uses"] == [["returned", repr(DONE), ""]]
