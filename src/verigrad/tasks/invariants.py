"""Loop invariants to find: small programs, each proved right by one expression (`sandbox/proofs/invariant.py`)."""

from __future__ import annotations

from verigrad.tasks.base import TaskSet
from verigrad.types import InvariantTest, Oracle, Task

__all__ = ["VERSION", "load"]

VERSION = 1

_PROMPT = """This program is right for all integers that its first asserts let pass.

```python
{program}```

Find a loop invariant that proves it: an expression which is true when the loop begins, which every round keeps true, \
and from which, once the loop's condition is false, the last asserts follow. Use only {names}, integers, `+ - * // %`, \
comparisons, `and`, `or`, `not`, `abs`, `min` and `max`. Give it on the last line and nothing else there."""

# name -> program, an invariant. A prompt names what is bound where the loop begins.
_LOOPS: dict[str, tuple[str, str, str]] = {
    "count_up": (
        """
def count_up(n):
    assert n >= 0
    i = 0
    while i < n:
        i += 1
    assert i == n
""",
        "n, i",
        "i <= n",
    ),
    "sum_to": (
        """
def sum_to(n):
    assert n >= 0
    i = 0
    total = 0
    while i < n:
        i += 1
        total += i
    assert 2 * total == n * (n + 1)
""",
        "n, i, total",
        "i <= n and 2 * total == i * (i + 1)",
    ),
    "sum_of_odds": (
        """
def sum_of_odds(n):
    assert n >= 0
    i = 0
    square = 0
    while i != n:
        square += 2 * i + 1
        i += 1
    assert square == n * n
""",
        "n, i, square",
        "square == i * i",
    ),
    "multiply": (
        """
def multiply(a, b):
    assert b >= 0
    product = 0
    left = b
    while left > 0:
        product += a
        left -= 1
    assert product == a * b
""",
        "a, b, product, left",
        "left >= 0 and product == a * (b - left)",
    ),
    "divide": (
        """
def divide(a, b):
    assert a >= 0 and b > 0
    quotient = 0
    rest = a
    while rest >= b:
        rest -= b
        quotient += 1
    assert a == quotient * b + rest
    assert 0 <= rest < b
""",
        "a, b, quotient, rest",
        "a == quotient * b + rest and rest >= 0",
    ),
    "square_root": (
        """
def square_root(n):
    assert n >= 0
    root = 0
    while (root + 1) * (root + 1) <= n:
        root += 1
    assert root * root <= n < (root + 1) * (root + 1)
""",
        "n, root",
        "0 <= root and root * root <= n",
    ),
    "race": (
        """
def race(n):
    assert n > 0
    slow = 0
    fast = 2 * n
    while slow < fast:
        slow += 1
        fast -= 1
    assert slow == n
""",
        "n, slow, fast",
        "slow + fast == 2 * n and slow <= n",
    ),
    "parity": (
        """
def parity(n):
    assert n >= 0
    rest = n
    even = True
    while rest > 0:
        rest -= 1
        even = not even
    assert even == (n % 2 == 0)
""",
        "n, rest, even",
        "0 <= rest and even == ((n - rest) % 2 == 0)",
    ),
    "double": (
        """
def double(n):
    assert n >= 0
    left = n
    result = 0
    while left != 0:
        left -= 1
        result += 2
    assert result == 2 * n
""",
        "n, left, result",
        "result == 2 * (n - left)",
    ),
    "limited": (
        """
def limited(n):
    assert n >= 10
    x = 0
    y = 0
    while x < n:
        if y < 10:
            y += 1
        x += 1
    assert y == 10
""",
        "n, x, y",
        "n >= 10 and y == min(x, 10) and x <= n",
    ),
}


def load() -> TaskSet:
    """Ten tasks, each with an invariant that proves its program as the gold answer."""
    tasks, oracles = [], {}
    for name, (text, names, gold) in _LOOPS.items():
        program = text.lstrip("\n")
        task = Task(
            id=f"invariants@{VERSION}/{name}",
            prompt=_PROMPT.format(program=program, names=", ".join(f"`{word}`" for word in names.split(", "))),
            language="text",
            tags=("source:invariants", f"family:{name}"),
        )
        tasks.append(task)
        oracles[task.id] = Oracle(task_id=task.id, tests=(InvariantTest("invariant", program),), gold=gold)
    return TaskSet(f"invariants@{VERSION}", tuple(tasks), oracles, {})
