"""Functions of integers and booleans whose reference can be compared by proof: for the reward `equivalent`.

Each has few tests, which a special case for each of them passes; the reference's asserts say what inputs are meant.
"""

from __future__ import annotations

from typing import Any

from verigrad.tasks.base import TaskSet
from verigrad.types import CallTest, Oracle, Task

__all__ = ["VERSION", "load"]

VERSION = 1

# name -> what to write, the reference, and what it returns for some arguments.
_FUNCTIONS: dict[str, tuple[str, str, list[tuple[tuple[Any, ...], Any]]]] = {
    "clamp": (
        "Write `clamp(x, low, high)`, which returns the integer from low to high nearest to x. low is at most high.",
        """
def clamp(x, low, high):
    assert low <= high
    return max(low, min(x, high))
""",
        [((5, 0, 3), 3), ((-1, 0, 3), 0), ((2, 0, 3), 2)],
    ),
    "sign": (
        "Write `sign(n)`, which returns -1, 0 or 1 for a negative integer, zero and a positive one.",
        """
def sign(n):
    if n < 0:
        return -1
    return 1 if n else 0
""",
        [((-7,), -1), ((0,), 0), ((12,), 1)],
    ),
    "ceil_div": (
        "Write `ceil_div(a, b)`, which returns a / b rounded up to an integer, for integers a and b above 0.",
        """
def ceil_div(a, b):
    assert a > 0 and b > 0
    return -(-a // b)
""",
        [((7, 2), 4), ((8, 2), 4), ((1, 9), 1)],
    ),
    "median_of_three": (
        "Write `median_of_three(a, b, c)`, which returns the middle one of three integers by size.",
        """
def median_of_three(a, b, c):
    return max(min(a, b), min(max(a, b), c))
""",
        [((1, 2, 3), 2), ((9, 4, 7), 7), ((5, 5, 1), 5)],
    ),
    "is_leap_year": (
        "Write `is_leap_year(year)`, which returns whether a year above 0 is a leap year of the Gregorian calendar.",
        """
def is_leap_year(year):
    assert year > 0
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
""",
        [((2024,), True), ((1900,), False), ((2000,), True), ((2023,), False)],
    ),
    "is_triangle": (
        "Write `is_triangle(a, b, c)`, which returns whether three integers are the sides of a triangle with an area "
        "above 0.",
        """
def is_triangle(a, b, c):
    return a + b > c and b + c > a and c + a > b
""",
        [((3, 4, 5), True), ((1, 2, 3), False), ((2, 2, 3), True), ((0, 1, 1), False)],
    ),
    "exactly_one": (
        "Write `exactly_one(a, b, c)`, which returns whether exactly one of three booleans is true.",
        """
def exactly_one(a, b, c):
    return a + b + c == 1
""",
        [((True, False, False), True), ((True, True, False), False), ((False, False, False), False)],
    ),
    "overlap": (
        "Write `overlap(a, b, c, d)`, which returns how many integers lie in both ranges, from a to b and from c to d, "
        "ends included. a is at most b, and c at most d.",
        """
def overlap(a, b, c, d):
    assert a <= b and c <= d
    return max(0, min(b, d) - max(a, c) + 1)
""",
        [((1, 5, 3, 9), 3), ((1, 2, 3, 4), 0), ((0, 9, 4, 4), 1)],
    ),
    "ones_in_byte": (
        "Write `ones_in_byte(n)`, which returns how many ones the binary form of an integer from 0 to 255 has.",
        """
def ones_in_byte(n):
    assert 0 <= n < 256
    ones = 0
    for _ in range(8):
        ones += n % 2
        n //= 2
    return ones
""",
        [((0,), 0), ((255,), 8), ((20,), 2)],
    ),
    "next_weekday": (
        "Write `next_weekday(day)`, which returns the working day (1 to 5) that follows a day of the week, 1 to 7.",
        """
def next_weekday(day):
    assert 1 <= day <= 7
    return 1 if day >= 5 else day + 1
""",
        [((1,), 2), ((5,), 1), ((7,), 1)],
    ),
}


def load() -> TaskSet:
    """Ten tasks with their references as gold programs."""
    tasks, oracles = [], {}
    for name, (prompt, gold, cases) in _FUNCTIONS.items():
        tags = ("source:provable", f"family:{name}")
        task = Task(id=f"provable@{VERSION}/{name}", prompt=prompt, entry_point=name, tags=tags)
        tests = tuple(CallTest(f"case_{n}", args, expected) for n, (args, expected) in enumerate(cases))
        tasks.append(task)
        oracles[task.id] = Oracle(task_id=task.id, tests=tests, gold=gold.lstrip("\n"))
    return TaskSet(f"provable@{VERSION}", tuple(tasks), oracles, {})
