"""Hostile bytes and texts: nothing that reads them may fail, or see a right answer where there is none."""

import asyncio
import base64
import contextlib
import itertools
import json
import math
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from verigrad.rewards.format import extract_program
from verigrad.sandbox.answers import answer_is_right, last_number, literal, same_output
from verigrad.sandbox.base import Call, Script
from verigrad.sandbox.compare import equal
from verigrad.sandbox.jobs import calls_execution, stdin_execution
from verigrad.types import AnswerTest, Comparator, Limits, Task
from verigrad.values import encode

# ------------------------------------------------------------------------------------ answers on the wire

NUMBERS = st.sampled_from([0, 1, True, False, 1.0, -0.0, 1.05, 2, 2**70, math.nan, math.inf, -math.inf, 1j, 1.05 + 0j])
SCALARS = NUMBERS | st.sampled_from([None, "", "a", "1", "[", b"", b"a"])
KEYS = SCALARS | st.lists(SCALARS, max_size=2).map(tuple) | st.frozensets(SCALARS, max_size=2)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.sets(KEYS, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=2)
    ),
    max_leaves=6,
)
TAGS = st.text(max_size=3) | st.sampled_from(["set", "dict", "int", "float", "tuple", "bytes"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TAGS, inner, max_size=2),
    max_leaves=6,
)
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "status": st.sampled_from(["returned", "memory", "not_plain", "violation", "timeout", "passed"]) | JSON,
        "error": st.text(max_size=20) | JSON,
        "line": st.integers() | JSON,
        "lines": st.lists(st.integers(), max_size=3) | JSON,
        "value": VALUES.map(encode) | JSON,
    },
)
ANSWERS = st.binary(max_size=60) | (FIELDS | JSON).map(lambda form: json.dumps(form).encode())


@st.composite
def mutated(draw, answers):
    body = bytearray(draw(answers))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, len(body)))
        body[place : place + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body)


def report(answers, status):
    times = {"cpu_ms": [1.0] * answers, "total_cpu_ms": 1.0, "wall_ms": 1.0}
    return json.dumps({"status": status, "error": "", "exit": None, **times}).encode()


@settings(max_examples=300, deadline=None)
@given(st.lists(mutated(ANSWERS), min_size=1, max_size=4), st.booleans())
def test_no_answer_of_a_program_breaks_the_judge(bodies, traced):
    """The first body speaks of loading; where it does not say that in our words, that is a violation."""
    inputs = len(bodies) - 1
    execution = calls_execution([report(len(bodies), None), b"", *bodies], inputs, traced=traced)
    assert len(execution.outcomes) == (inputs if execution.status == "ran" else 0)
    for outcome, body in zip(execution.outcomes, bodies[1:], strict=False):
        encode(outcome.value)  # plain, or this raises
        if outcome.status == "returned":
            assert json.loads(body)["status"] == "returned"
    assert all(type(text) is str for text in execution.violations)
    stdin_execution([report(1, None), b"\xff", bodies[0]], traced=traced)


def test_frames_written_past_the_harness_are_violations(box):
    """Each program writes random bytes, or a frame that looks right, where answers go."""
    frames = [b"", b"\0", b"\0" * 13, b"\xff" * 13, b"\0\0\0\2" + b"n" * 8 + b"\1{}", b"\xff\xff\xff\xff" + b"n" * 9]
    frames += [bytes((7 * i * j) % 256 for j in range(i)) for i in (1, 5, 12, 13, 14, 100, 5000)]
    program = """
import base64, os
def f(frame):
    os.write(4, base64.b64decode(frame))
    return 1
"""

    async def main():
        runs = [box.run(program, [Call("f", (base64.b64encode(frame).decode(),))], Limits()) for frame in frames]
        return await asyncio.gather(*runs)

    first, *others = asyncio.run(main())
    assert first.outcomes[0].value == 1
    assert [run.outcomes[0].status for run in others] == ["violation"] * len(others)
    after = asyncio.run(box.run("", [Script("assert True")], Limits()))
    assert after.outcomes[0].status == "returned"


# -------------------------------------------------------------------------------------------- comparison


def same(got, expected, c):
    """By the docstrings of `Comparator` and `equal`, trying all pairings of unordered things."""
    numbers = (bool, int, float, complex)
    if c.strict and type(got) is not type(expected):
        return False
    if type(got) in numbers and type(expected) in numbers:
        return same_number(got, expected, c)
    if type(got) in (set, frozenset) and type(expected) in (set, frozenset):
        return same_bag(list(got), list(expected), c)
    if type(got) is not type(expected):
        return False
    if type(got) in (list, tuple):
        return len(got) == len(expected) and all(map(same, got, expected, [c] * len(got)))
    if type(got) is dict:
        exact = Comparator(strict=c.strict)
        pairs = [(a, b) for a in got for b in expected if same(a, b, exact)]
        return len(got) == len(expected) == len(pairs) and all(same(got[a], expected[b], c) for a, b in pairs)
    return got == expected


def same_number(got, expected, c):
    parts = [(complex(x).real, complex(x).imag) if type(x) is complex else (x, 0.0) for x in (got, expected)]
    if all(a == b or (a != a and b != b) for a, b in zip(*parts, strict=True)):
        return True
    finite = all(math.isfinite(part) for pair in parts for part in pair)
    return bool not in (type(got), type(expected)) and finite and abs(got - expected) <= c.atol + c.rtol * abs(expected)


def same_bag(got, expected, c):
    return len(got) == len(expected) and any(
        all(map(same, order, expected, [c] * len(got))) for order in itertools.permutations(got)
    )


def right(got, expected, c):
    sequences, collections = (list, tuple), (list, tuple, set, frozenset)
    if c.mode == "multiset" and type(got) in sequences and type(got) is type(expected):
        return same_bag(list(got), list(expected), c)
    if c.mode == "set" and type(got) in collections and type(expected) in collections:
        # Every element has its like on the other side.
        return all(any(same(a, b, c) for b in expected) for a in got) and all(
            any(same(a, b, c) for a in got) for b in expected
        )
    return same(got, expected, c)


@settings(max_examples=500, deadline=None)
@given(
    VALUES,
    VALUES,
    st.sampled_from(["exact", "multiset", "set"]),
    st.booleans(),
    st.sampled_from([(0.0, 0.0), (0.1, 0.0), (0.0, 0.1)]),
    st.booleans(),
)
def test_comparison_passes_nothing_that_the_obvious_one_does_not(got, other, mode, strict, tolerance, alike):
    atol, rtol = tolerance
    comparator = Comparator(mode=mode, strict=strict, atol=atol, rtol=rtol)
    expected = got if alike else other
    passed = equal(got, expected, comparator)
    wanted = right(got, expected, comparator)
    assert passed == wanted if not (atol or rtol) else passed <= wanted


# ------------------------------------------------------------------------------------------ answers, code

PIECES = (
    *("```", "```python\n", "\n```\n", "~~~", "def f(x):\n", "    return x\n", "import a\n", "\n", " ", "\t", "f", "-"),
    *("(", "[", "{", "1", "1,000", "$", ".5", "1e5", "e", "'", "\\", "\0", "\ud800", "@", "class C:\n", "# ", "9" * 50),
)
TEXTS = st.lists(st.text(max_size=6) | st.sampled_from(PIECES), max_size=14).map("".join)


@settings(max_examples=500, deadline=None)
@example("```python\n\t0", None, "")
@given(TEXTS, st.sampled_from([None, "f", "f("]), st.sampled_from(["", "import math\ndef f(x):\n    '''Doc.'''\n"]))
def test_a_program_that_is_found_stands_where_the_span_says(text, entry_point, stub):
    found = extract_program(text, Task(id="t", prompt="", entry_point=entry_point, stub=stub))
    if found is not None:
        start, end = found.span
        assert 0 <= start <= end <= len(text)
        stands = text[start:end]
        assert stands.strip()
        assert "".join(found.program.split()).endswith("".join(stands.split()))  # but for margins and blank lines


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text", ["```" + " " * 200_000, "\n" * 200_000, "```x\n" * 40_000, "def f" * 40_000, "1," * 99_999]
)
def test_long_texts_take_no_quadratic_time(text):
    """Which would be minutes."""
    extract_program(text, Task(id="t", prompt="", entry_point="f"))
    answer_is_right(text, AnswerTest(name="a", expected=1, form="number"), Comparator())
    assert same_output(text, text + "\n")


@settings(max_examples=200, deadline=None)
@example("```python\n0", 0, False)
@example("0\n1", 0, False)
@example("so:\n`[]`\n```\n\n", [], False)
@given(TEXTS, st.sampled_from([0, 1, 1000, "1,000", [], "x", (1,)]), st.booleans())
def test_an_answer_is_right_only_where_it_says_so(text, expected, tolerant):
    comparator = Comparator(atol=0.1) if tolerant else Comparator()
    if isinstance(expected, int | str) and expected != "x":
        passed, _ = answer_is_right(text, AnswerTest(name="a", expected=expected, form="number"), comparator)
        if passed:
            wanted = Decimal(str(expected).replace(",", ""))
            assert abs(last_number(text) - wanted) <= (Decimal("0.1000001") if tolerant else 0)
            assert str(expected)[0] in text or tolerant
    passed, _ = answer_is_right(text, AnswerTest(name="a", expected=expected, form="literal"), comparator)
    if passed:
        lines = [line.strip() for line in text.splitlines()]
        last = next((line for line in reversed(lines) if line and not line.startswith("```")), "")
        assert any(equal(value, expected, comparator) for value in literals(text, last.strip("`")))


def literals(*texts):
    """The values of those that are Python literals."""
    for text in texts:
        with contextlib.suppress(ValueError):
            yield literal(text)


@given(TEXTS, TEXTS)
def test_outputs_are_the_same_up_to_white_space_only(got, expected):
    if same_output(got, expected):
        assert got.split() == expected.split()
    assert same_output(got + " \n\n", got)
