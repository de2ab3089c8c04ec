"""What programs cost: counts by hand, orders of growth, and attempts to look cheap."""

import asyncio
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from verigrad.errors import SandboxError
from verigrad.rewards.efficiency import cost_gain, efficiency, growth_exponent
from verigrad.sandbox.costs import BUDGET, CostMeter, _by_clock, meter_program, scaled, sweep
from verigrad.sandbox.process import ProcessSandbox
from verigrad.types import CallTest, Comparator, CostPoint, Oracle

LINEAR = """
def f(xs):
    seen = set()
    for x in xs:
        if x in seen:
            return True
        seen.add(x)
    return False
"""
QUADRATIC = """
def f(xs):
    for i in range(len(xs)):
        for j in range(i):
            if xs[i] == xs[j]:
                return True
    return False
"""
TEST = CallTest("a", (list(range(20)),), False)
EXACT = Comparator()


@pytest.fixture(scope="module")
def costs():
    """Costs of programs beside a reference, all in one sandbox."""
    with asyncio.Runner() as runner:
        sandbox = ProcessSandbox()

        def measure(*programs, reference=LINEAR, test=TEST, comparator=EXACT):
            meter = CostMeter(sandbox)
            oracle = Oracle(task_id="t", tests=(test,), gold=reference, comparator=comparator)

            async def all_of_them():
                return await asyncio.gather(*(meter.costs(program, oracle, "f") for program in programs))

            found = runner.run(all_of_them())
            return found[0] if len(found) == 1 else found

        yield measure
        runner.run(sandbox.close())


def counted(result):
    assert result.points, result.reason
    return [point.cost for point in result.points]


def test_linear_and_quadratic_programs_are_told_apart(costs):
    linear, quadratic = costs(LINEAR, QUADRATIC)
    assert counted(linear) == [point.reference for point in linear.points]
    assert [point.size for point in linear.points] == [20, 80, 320]
    assert growth_exponent(linear.points) == pytest.approx(1.0, abs=0.05)
    assert growth_exponent(quadratic.points) == pytest.approx(2.0, abs=0.05)
    assert cost_gain(linear.points) == 0.0 and cost_gain(quadratic.points) < -4


def test_the_count_is_the_same_in_every_process(costs):
    assert counted(costs(QUADRATIC)) == counted(costs(QUADRATIC))


MEASURE = """
import sys
names = {}
exec(compile(sys.stdin.read(), "<program>", "exec"), names)
program = '''
def f(words):
    found = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return sorted(found.items()), len(set(words) & set("abc"))
'''
print(names["measure"](program, "f", (["a", "b", "xyz", "a", "q"],), {}, 10**6)[:2])
"""


def test_hash_seeds_change_no_count():
    runs = [
        subprocess.run(
            [sys.executable, "-c", MEASURE],
            input=meter_program(),
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1", "12345")
    ]
    assert len(set(runs)) == 1 and runs[0].startswith("('rated', ")


def body(expression):
    return f"def f(xs):\n    return {expression}\n"


# What each does with a list of n numbers, by hand: the exponent of n.
GROWTH = {
    "len(xs)": 0,
    "xs[0]": 0,
    "xs[-3:]": 0,
    "sum(xs)": 1,
    "max(xs)": 1,
    "xs[1:][0]": 1,
    "list(xs)[0]": 1,
    "(xs + xs)[0]": 1,
    "(xs * 2)[0]": 1,
    "-1 in xs": 1,
    "xs.count(1)": 1,
    "xs.copy()[0]": 1,
    "[*xs][0]": 1,
    "{**dict.fromkeys(xs)}[0]": 1,
    "len(','.join(map(str, xs)))": 1,
    "len(f'{xs}')": 1,
    "sum(map(abs, xs))": 1,
    "sum(x for x in xs)": 1,
    "len(list(zip(xs, xs)))": 1,
    "any(x < 0 for x in xs)": 1,
    "xs == list(xs)": 1,
    "(lambda a, *b: a)(*xs)": 1,
    "sum(range(len(xs) ** 2))": 2,
    "sum(map(xs.count, xs))": 2,
    "sum(x in xs for x in xs)": 2,
    "sum([xs.index(x) for x in xs])": 2,
    "len(sum([[x] for x in xs], []))": 2,
    "sum(map(sum, [xs for x in xs]))": 2,
    "len(max([xs for x in xs], key=sum))": 2,
    "len(list(filter(xs.count, xs)))": 2,
    "[xs.insert(0, 1) for x in list(xs)][0]": 2,
    "len(xs * len(xs))": 2,
}


@pytest.mark.parametrize("expression", GROWTH)
def test_work_in_builtins_is_charged(costs, expression):
    program = body(expression)
    found = costs(program, reference=program)
    # The instructions that every size takes hide the growth of the cheapest at 20 items: 80 and 320 decide.
    exponent = growth_exponent(found.points[1:])
    assert exponent == pytest.approx(GROWTH[expression], abs=0.35), counted(found)


def test_sorting_takes_n_log_n(costs):
    """n log2 n for 320 items is about 2880, and the method is charged like the function."""
    for program in (body("sorted(xs)[0]"), "def f(xs):\n    xs.sort()\n    return xs[0]\n"):
        cost = counted(costs(program, reference=body("min(xs)")))
        assert 320 * 8 < cost[2] < 320 * 13
    assert counted(costs(body("sorted(xs, key=lambda x: -x)[-1]"), reference=body("min(xs)")))[2] > 320 * 13


def test_statements_are_charged_too(costs):
    """Deleting the first of n, extending, replacing slices, unpacking: linear each, so n of them are quadratic."""
    statements = ("del xs[0]; xs.append(0)", "xs[0:1] = [1]", "a, *b = xs", "b = xs.pop(0); xs.append(b)")
    drawing = ("b = []; b += zip(xs, xs)", "b = {}; b |= zip(xs, xs)", "b = [0]; b[:] = map(abs, xs)")
    within = ("b = {0: xs}; del b[0][0]; xs.append(0)", "b = [xs]; b[0][:1], c = [1], 2")
    for statement in (*statements, *drawing, *within):
        program = f"def f(xs):\n    for _ in range(len(xs)):\n        {statement}\n    return 0\n"
        found = costs(program, reference=program)
        assert growth_exponent(found.points[1:]) > 1.6, statement
    cheap = "def f(xs):\n    d = dict.fromkeys(xs)\n    for x in xs:\n        del d[x]\n    return len(d)\n"
    assert growth_exponent(costs(cheap, reference=cheap).points[1:]) < 1.2


def test_parts_are_replaced_and_deleted_once(costs):
    """What stands left of the brackets runs once, however it is charged."""
    program = """
def f(xs):
    asked = []
    def own():
        asked.append(1)
        return xs
    del own()[0]
    own()[1:3] = [5, 6]
    own()[:2] += (7,)
    (own()[0:1], *rest), last = ([9], 8), 0
    assert (xs[0], xs[2], rest, last, len(asked)) == (9, 7, [8], 0, 4), (xs, asked)
    return False
"""
    assert costs(program).points


def test_big_integers_are_charged(costs):
    """2 ** n has n bits: its square costs far more than n additions of small numbers."""
    test = CallTest("a", (20_000,), 0)
    big = "def f(n):\n    x = 2 ** n\n    y = x * x\n    return y % 7 * 0\n"
    small = "def f(n):\n    x = 2\n    y = x * x\n    return y % 7 * 0\n"
    dear, cheap = costs(big, small, reference=small, test=test)
    assert all(d > 20 * c for d, c in zip(counted(dear), counted(cheap), strict=True))


@pytest.mark.slow
def test_what_is_over_the_budget_costs_the_budget(costs):
    endless = "def f(xs):\n    n = 0\n    while len(xs) > 20 and n < 10**9:\n        n += 1\n    return False\n"
    swallowing = "def f(xs):\n    while True:\n        try:\n            while True: pass\n        except: pass\n"
    found = costs(endless)
    assert [point.capped for point in found.points] == [False, True, True] and counted(found)[1:] == [BUDGET] * 2
    assert growth_exponent(found.points) is None
    assert all(point.capped for point in costs(swallowing).points)


# ------------------------------------------------------------------------------------------ looking cheap

REFUSED = {
    "tracing off": "import sys\nsys.settrace(None)\n",
    "by another name": "from typing import sys\nsys.settrace(None)\n",
    "through a module": "import collections\ncollections._sys.settrace(None)\n",
    "threads": "import threading\n",
    "dynamic code": "exec('pass')\n",
    "frames": "def g():\n    yield\nx = g().gi_frame\n",
    "globals of a function": "x = (lambda: 0).__globals__\n",
    "getattr": "x = getattr(len, '__self' + '__')\n",
    "reading the clock": "import time\n",
    "native code": "import ctypes\n",
    "the meter's name": "x = __cost_call__\n",
    "setting an attribute": "setattr(len, '__call__', 0)\n",
    "operator": "from operator import attrgetter\n",
    "enum": "import enum\nread = enum.bltns.getattr\n",
    "text": "import string\nread = string.Formatter().get_field\n",
    "a name that is hidden": (
        "class Name(str):\n    def startswith(self, *args):\n        return False\n"
        "x = getattr(lambda: 0, Name('__globals__'))\n"
    ),
    "wraps": (
        "import functools\nbox = []\nclass W:\n    def __setattr__(self, name, value):\n        box.append(value)\n"
        "functools.update_wrapper(W(), lambda: 0, ('__globals__',), ())\nbox[0]['__cost_call__']\n"
    ),
    "a class around wraps": (
        "import functools\nbox = []\nW = type('W', (), {'__setattr__': lambda self, name, value: box.append(value)})\n"
        "functools.wraps(lambda: 0, ('__globals__',), ())(W())\nbox[0]['__cost_call__']\n"
    ),
    "what wraps updates": (
        "import functools, random\nW = type('W', (), {'__dict__': {}})\nw = W()\nfunctools.update_wrapper(w, random)\n"
    ),
    "match by keyword": "match (lambda: 0):\n    case object(__globals__=x):\n        pass\nx['__cost_call__']\n",
    "match by position": (
        "class M(type):\n    pass\nM = type('M', (type,), {'__instancecheck__': lambda *args: True})\n"
        "W = M('W', (), {'__match_args__': ('__globals__',)})\n"
        "match (lambda: 0):\n    case W(x):\n        pass\nx['__cost_call__']\n"
    ),
    "a call of its own": "def __cost_call__(function, *args, **kwargs):\n    return function(*args, **kwargs)\n",
    "an import of its own": "from operator import call as __cost_call__\n",
    "a class of its own": "class __cost_operand__:\n    pass\n",
    "an error of its own": "try:\n    1 / 0\nexcept ZeroDivisionError as __cost_result__:\n    pass\n",
    "a copy of a method": "import copy\nmemo = {}\ncopy.deepcopy(getattr, memo)\nmeter = memo[id(memo)][0]\n",
    "annotations": "import typing\ndef g(x: 'print(g.__globals__) or int'):\n    pass\ntyping.get_type_hints(g)\n",
    "a reference": (
        "import typing\n(text,) = typing.get_args(typing.List['print((lambda: 0).__globals__) or int'])\n"
        "text._evaluate({}, {}, recursive_guard=frozenset())\n"
    ),
    "dispatch": (
        "import functools\n@functools.singledispatch\ndef g(x):\n    pass\n"
        "@g.register\ndef h(x: 'print(g.__globals__) or int'):\n    pass\n"
    ),
    "fields": (
        "import dataclasses\nname = 'k: print((lambda: 0).__globals__)'\n"
        "names = {'__annotations__': {name: int}, name: dataclasses.field(init=False)}\n"
        "try:\n    dataclasses.dataclass(eq=False, repr=False)(type('A', (), names))\nexcept TypeError:\n    pass\n"
    ),
    "fields above": (
        "import dataclasses\n@dataclasses.dataclass\nclass A:\n    k: int = dataclasses.field(init=False)\n"
        "dataclasses.fields(A)[0].name = 'k: print((lambda: 0).__globals__)'\n"
        "try:\n    dataclasses.dataclass(eq=False, repr=False)(type('B', (A,), {}))\nexcept TypeError:\n    pass\n"
    ),
    "a module within": "from re import _compiler\n_compiler.isstring\n",
    "caught": "try:\n    import gc\nexcept BaseException:\n    pass\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_who_could_change_the_count_is_not_rated(costs, name):
    found = costs(REFUSED[name] + LINEAR)
    assert found.points == () and found.reason


def test_the_library_is_there_for_honest_programs(costs):
    """What the fence could be in the way of, used as it is meant."""
    program = """
from __future__ import annotations
import abc, collections.abc, copy, dataclasses, functools, heapq, re, string, sys, typing
import collections.abc as shapes
from collections import Counter, abc as kinds, namedtuple
from dataclasses import dataclass, field
from functools import lru_cache, wraps

sys.setrecursionlimit(5000)
Pair = namedtuple("Pair", "left right")

class Shape(abc.ABC):
    __slots__ = ("__private",)
    def __init__(self):
        self.__private = 1
    def __len__(self):
        return self.__private

@dataclass(order=True, frozen=True)
class Item:
    key: int
    rest: list[int] = field(default_factory=list, compare=False)

@dataclasses.dataclass
class More(Item):
    last: int = 0

class Row(typing.NamedTuple):
    x: int = 1

def traced(function):
    @wraps(function)
    def inner(*args):
        return function(*args)
    return inner

@traced
@lru_cache(maxsize=None)
def double(n):
    return 2 * n

def f(xs):
    assert isinstance(xs, shapes.Sequence) and isinstance(xs, kinds.Sized) and collections.abc.Iterable is not None
    heap = [3, 1, 2]
    heapq._heapify_max(heap)
    assert sorted([Item(2), Item(1)])[0].key == 1 and Pair(1, 2).left == Row().x == len(Shape()) == 1
    assert double.__name__ == "double" and double(2) == 4 and copy.deepcopy([heap]) == [[3, 1, 2]]
    assert re.sub("a", "b", string.ascii_lowercase[:2]) == "bb" and Counter("aab")["a"] == 2
    match xs:
        case list([]) | tuple():
            return False
        case str(text):
            return False
    return len(set(xs)) < len(xs)
"""
    program = program.replace("@dataclasses.dataclass\nclass More", "@dataclasses.dataclass(frozen=True)\nclass More")
    assert costs(program).points


def test_a_table_made_at_import_is_paid_for_every_time(costs):
    """All answers computed when loading, and then looked up: each input pays the whole table."""
    table = (
        "def slow(n):\n    return sum(i * i for i in range(n))\n\n\n"
        "TABLE = {n: slow(n) for n in range(400)}\n\n\ndef f(n):\n    return TABLE[n]\n"
    )
    plain = "def f(n):\n    return sum(i * i for i in range(n))\n"
    found = costs(table, reference=plain, test=CallTest("a", (20,), 2470))
    assert all(point.cost > 10 * point.reference for point in found.points)


def test_a_cache_does_not_live_from_input_to_input(costs):
    """The same key for every input: after the first, a shared cache would answer at once."""
    caching = (
        "CACHE = {}\n\n\ndef f(xs):\n    if 0 not in CACHE:\n        CACHE[0] = sum(xs) > -1\n    return CACHE[0]\n"
    )
    found = costs(caching, reference=body("sum(xs) > -1"))
    assert growth_exponent(found.points[1:]) > 0.5


def test_wrong_answers_on_larger_inputs_are_not_cheap(costs):
    hasty = "def f(xs):\n    return len(xs) > 20\n"
    found = costs(hasty)
    assert found.points == () and "fewer than two" in found.reason


def test_work_that_is_not_counted_shows_on_the_clock(costs):
    """A regular expression that backtracks is one call; the CPU clock sees it and takes the count's place."""
    backtracking = (
        "import re\n\n\ndef f(xs):\n    re.match('(a|a)*b', 'a' * (23 if len(xs) > 20 else 3))\n    return False\n"
    )
    found = costs(backtracking)
    assert found.suspect
    assert counted(found)[1] > 2_000


def test_the_clock_decides_only_far_beyond_the_reference():
    """100 units a millisecond, 20 ms free: 120 ms beside 10 ms of the reference are 9000 units."""
    point = CostPoint(1, cost=500, reference=400, cpu_ms=120.0, reference_cpu_ms=10.0)
    assert _by_clock(point).cost == 9000
    honest = CostPoint(1, cost=100_000, reference=400, cpu_ms=120.0, reference_cpu_ms=10.0)
    assert _by_clock(honest) == honest


# ----------------------------------------------------------------------------------------------- programs


def test_ordinary_programs_are_rated(costs):
    """Classes, generators, decorators, closures, matches, recursion and the library run as they do outside."""
    program = """
from __future__ import annotations
import functools
import heapq
import sys
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Optional


@dataclass(order=True)
class Item:
    value: int
    tags: list[str] = field(default_factory=list)


class Stack:
    def __init__(self, items):
        super().__init__()
        self.items = list(items)

    def __len__(self):
        return len(self.items)


@functools.lru_cache(maxsize=None)
def depth(n):
    return 0 if n == 0 else 1 + depth(n - 1)


def chunks(xs, n):
    it = iter(xs)
    yield from zip(*[it] * n)


def f(xs: list[int]) -> Optional[int]:
    sys.setrecursionlimit(5000)
    heap = [Item(x) for x in xs]
    heapq.heapify(heap)
    smallest = heapq.heappop(heap).value
    counts: Counter[int] = Counter(xs)
    groups = defaultdict(list)
    for x, n in counts.most_common():
        groups[n].append(x)
    queue = deque(xs, maxlen=3)
    queue.rotate(1)
    match [smallest, *queue]:
        case [0, *rest] if len(rest) == 3:
            text = f"{smallest:>{3}} {len(Stack(xs))!r}"
        case _:
            text = ""
    total = 0
    for a, b in chunks(xs, 2):
        total += a * b if 0 <= a < b else -1
    words = "x=1, y=2".replace(" ", "").split(",")
    first, *others = words
    return total + depth(300) + len(text) + len(groups) + len(first) + (not others is None)
"""
    found = costs(program, reference=program)
    names = {}
    exec(program, names)  # ours
    assert found.points, found.reason
    assert names["f"](list(range(20))) > 0


def test_without_a_reference_nothing_is_rated(costs):
    assert costs(LINEAR, reference=None).reason.startswith("the task has no reference")
    assert costs(LINEAR, test=CallTest("a", (), False, kwargs={"xs": []})).points == ()


def test_what_is_earned(costs):
    quick, same, slow = costs(body("len(set(xs)) < len(xs)"), LINEAR, QUADRATIC)
    values = [efficiency(None, None, None, costs=found).value for found in (quick, same, slow)]
    assert values == [1.0, 0.5, 0.0]
    assert efficiency(None, None, None, costs=None).value == 0.0
    parts = efficiency(None, None, None, costs=slow).parts
    assert parts["growth"] == pytest.approx(2.0, abs=0.05) and parts["suspect"] == 0.0


def test_inputs_grow_by_kind():
    assert sweep(([1, 2], 3)) == [([1, 2], 3), (list_of(4), 3), (list_of(16), 3)]
    assert sweep((2, "ab"))[1] == (2, "abababab")
    assert sweep((5, 2)) == [(5, 2), (20, 8), (80, 32)]
    assert sweep((None,)) == [(None,)] * 3
    assert scaled({3, 1}, 2) == {3, 1, 7, 5} and scaled(("a",), 3) == ("a", "a", "a")
    assert len(scaled(list(range(1000)), 16)) == 5000


def list_of(turns):
    return [n + 3 * turn for turn in range(turns) for n in (1, 2)]


COUNTED = """
import json, sys
meter = {}
exec(compile(sys.stdin.read(), "<program>", "exec"), meter)
program, size = sys.argv[1], int(sys.argv[2])
print(json.dumps(meter["measure"](program, "f", [list(range(size))], {}, 100_000)[:2]))
"""
NEWER = ("python3.12", "python3.13", "python3.14")
BESIDE = (path for name in NEWER for path in Path(sys.base_prefix).parent.glob(f"*/bin/{name}"))  # as pyenv has them
FOUND = {*map(str, BESIDE), *(path for name in NEWER if (path := shutil.which(name)))}
INTERPRETERS = {path for path in FOUND if not subprocess.call([path, "-c", ""], stderr=subprocess.DEVNULL)}


@pytest.mark.parametrize("python", [sys.executable, *sorted(INTERPRETERS)])
def test_instructions_are_counted_under_every_version_of_python(python):
    """From 3.12 on by `sys.monitoring`: under 3.13.0 `sys.settrace` counts 1 where there are 30 000."""

    def counted(program, size):
        command = [python, "-c", COUNTED, program, str(size)]
        seed = {"PYTHONHASHSEED": "0"}
        done = subprocess.run(command, input=meter_program(), env=seed, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    status, cost = counted(LINEAR, 1000)
    assert status == "rated" and 10_000 < cost < 20_000  # five short statements a round, `in` and `add` through us
    assert counted(LINEAR, 2000)[1] / cost == pytest.approx(2, abs=0.02)
    assert counted("def f(xs):\n    while True:\n        pass\n", 1) == ["over", 100_000]
    assert counted("import os\ndef f(xs):\n    return 0\n", 1)[0] == "not_rated"


@pytest.mark.parametrize(
    ("mode", "gold", "other", "rated"),
    [
        ("multiset", "xs", "xs[::-1]", 3),
        ("set", "xs", "xs[::-1] + xs[:1]", 3),
        ("truthy", "len(xs) > 0", "len(xs)", 3),
        ("exact", "xs", "xs[::-1]", 0),
        ("multiset", "xs", "xs[1:]", 0),
    ],
)
def test_answers_are_compared_as_the_task_compares(costs, mode, gold, other, rated):
    test = CallTest("a", (list(range(20)),), None)
    sources = [f"def f(xs):\n    return {value}\n" for value in (gold, other)]
    found = costs(sources[1], reference=sources[0], test=test, comparator=Comparator(mode=mode))
    assert len(found.points) == rated


class Fails:
    """A sandbox that cannot run the first program it is given."""

    def __init__(self, sandbox):
        self.sandbox, self.asked = sandbox, 0

    async def run(self, *words):
        self.asked += 1
        if self.asked == 1:
            raise SandboxError("no more processes")
        return await self.sandbox.run(*words)


def test_a_sandbox_that_failed_once_is_asked_again():
    async def measured():
        sandbox = ProcessSandbox(workers=1)
        meter, oracle = CostMeter(Fails(sandbox)), Oracle(task_id="t", tests=(TEST,), gold=LINEAR)
        with pytest.raises(SandboxError):
            await meter.costs(QUADRATIC, oracle, "f")
        found = await meter.costs(QUADRATIC, oracle, "f")
        await sandbox.close()
        return found

    assert len(asyncio.run(measured()).points) == 3


def test_one_that_gives_up_waiting_spoils_nothing_for_another():
    async def measured():
        sandbox = ProcessSandbox(workers=1)
        meter, oracle = CostMeter(sandbox), Oracle(task_id="t", tests=(TEST,), gold=LINEAR)
        first, second = (asyncio.ensure_future(meter.costs(QUADRATIC, oracle, "f")) for _ in range(2))
        await asyncio.sleep(0.01)
        first.cancel()
        found = await second
        await sandbox.close()
        return found

    assert len(asyncio.run(measured()).points) == 3


class Counts:
    """Counts what it is asked to run."""

    def __init__(self, sandbox):
        self.sandbox, self.count = sandbox, 0

    async def run(self, *asked, **options):
        self.count += 1
        return await self.sandbox.run(*asked, **options)


def test_what_is_not_asked_for_any_more_is_forgotten():
    """Room for two programs on three inputs: the reference, asked for each time, is measured once."""

    async def measured():
        sandbox = Counts(ProcessSandbox(workers=1))
        meter, oracle = CostMeter(sandbox, cache_size=6), Oracle(task_id="t", tests=(TEST,), gold=LINEAR)
        counts = []
        for program in (QUADRATIC, QUADRATIC, QUADRATIC + "#", QUADRATIC + "#", QUADRATIC):
            before = sandbox.count
            assert len((await meter.costs(program, oracle, "f")).points) == 3
            counts.append(sandbox.count - before)
        await sandbox.sandbox.close()
        return counts

    assert asyncio.run(measured()) == [6, 0, 3, 0, 3]


def test_inputs_are_made_larger_in_linear_time():
    started = time.process_time()
    assert scaled(list(range(50_000)), 1) == list(range(50_000))
    assert time.process_time() - started < 1


def test_inputs_too_long_to_be_written_in_decimal_are_measured(costs):
    test = CallTest("a", ([10**5000, 1, 2],), False)
    assert len(costs(QUADRATIC, test=test).points) == 3
