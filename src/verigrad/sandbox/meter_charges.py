"""What the meter charges for work that built-in code does, and how large it takes values to be.

One of the four files that `meter` is made of. Standard library only.
"""

from __future__ import annotations

import functools
import heapq
import itertools
import math
import operator
import types
from bisect import bisect, bisect_left, bisect_right
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Any

__all__ = [
    "CONSTANT",
    "FILE",
    "INDEXED",
    "MODULE",
    "OPERATORS",
    "OURS",
    "TAKE_FUNCTIONS",
    "VIEWS",
    "hashable",
    "is_constant_method",
    "is_the_programs",
    "size",
    "work_after",
    "work_before",
    "work_of_operator",
]

FILE = "<measured>"
"""The file that code of the measured program is of."""
MODULE = "measured"
"""The module that it is."""
VIEWS: tuple[Any, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_SIZED: tuple[Any, ...] = (str, bytes, bytearray, list, tuple, dict, set, frozenset, deque, range, *VIEWS)
INDEXED = (list, tuple, str, bytes, bytearray, deque)
CONSTANT: frozenset[Any] = frozenset(
    {
        *(len, isinstance, issubclass, callable, type, id, iter, next, range, enumerate, zip, map, filter, reversed),
        *(getattr, hasattr, setattr, chr, ord, super, object, slice, property, staticmethod, classmethod, print),
        *(
            itertools.chain,
            itertools.count,
            itertools.repeat,
            itertools.islice,
            itertools.accumulate,
            itertools.groupby,
        ),
        *(itertools.takewhile, itertools.dropwhile, itertools.starmap, itertools.filterfalse, itertools.zip_longest),
        *(itertools.pairwise, itertools.compress, functools.partial, defaultdict, functools.lru_cache),
    }
)
_LOGARITHMIC: frozenset[Any] = frozenset(
    {heapq.heappush, heapq.heappop, heapq.heapreplace, heapq.heappushpop, bisect, bisect_left, bisect_right}
)
TAKE_FUNCTIONS: frozenset[Any] = frozenset(
    {map, filter, sorted, min, max, functools.reduce, functools.partial, itertools.accumulate, itertools.groupby}
    | {itertools.takewhile, itertools.dropwhile, itertools.starmap, itertools.filterfalse}
)
_GROW_INTEGERS: frozenset[Any] = frozenset({pow, math.factorial, math.comb, math.perm, math.prod, int})
_CONSTANT_METHODS: dict[type, set[str]] = {
    list: {"append"},
    dict: {"get", "setdefault", "pop", "popitem", "items", "keys", "values", "move_to_end"},
    set: {"add", "discard", "remove", "pop"},
    deque: {"append", "appendleft", "pop", "popleft"},
}
OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mult": operator.mul,
    "Div": operator.truediv,
    "FloorDiv": operator.floordiv,
    "Mod": operator.mod,
    "Pow": operator.pow,
    "LShift": operator.lshift,
    "RShift": operator.rshift,
    "BitOr": operator.or_,
    "BitXor": operator.xor,
    "BitAnd": operator.and_,
    "MatMult": operator.matmul,
    "Eq": operator.eq,
    "NotEq": operator.ne,
    "Lt": operator.lt,
    "LtE": operator.le,
    "Gt": operator.gt,
    "GtE": operator.ge,
}


OURS = (lambda: None).__code__.co_filename
"""The file that the meter's own code is of, once it runs in the sandbox."""


def size(value: Any) -> int:
    """How much a linear pass over a value takes: its length, or the words of an integer beyond one."""
    if type(value) is int:
        return value.bit_length() >> 6
    return len(value) if isinstance(value, _SIZED) else 0


def hashable(value: Any) -> bool:
    """Whether it may be looked up in the tables here."""
    return type(value).__hash__ is not None


def is_the_programs(function: Any) -> bool:
    """Whether calling it runs instructions that are counted, and nothing else to speak of."""
    if isinstance(function, types.MethodType):
        function = function.__func__
    if isinstance(function, types.FunctionType):
        return function.__code__.co_filename in (FILE, OURS)
    kind = function if isinstance(function, type) else type(function)
    return kind.__module__ == MODULE


def work_before(function: Any, args: Sequence[Any]) -> int:
    """What a call takes by its arguments and its object."""
    if hashable(function) and function in _LOGARITHMIC:
        return size(args[0]).bit_length()
    owner = getattr(function, "__self__", None)
    if is_constant_method(function, args):
        return 0
    own = size(owner) if isinstance(function, types.BuiltinMethodType) and not isinstance(owner, type) else 0
    if own and function.__name__ == "sort":
        own *= own.bit_length()
    return 1 + own + sum(map(size, args))


def is_constant_method(function: Any, args: Sequence[Any]) -> bool:
    """Whether it is a method that takes the same for an object of any size."""
    if not isinstance(function, types.BuiltinMethodType):
        return False
    kind: type = type(function.__self__)
    name = function.__name__
    if kind is list and name == "pop":
        return not args or args[0] == -1
    kind = dict if kind in (OrderedDict, defaultdict) else kind
    return name in _CONSTANT_METHODS.get(kind, ())


def work_after(function: Any, args: Sequence[Any], result: Any) -> int:
    """What a call took by its result."""
    length = size(result) if not is_constant_method(function, args) else 0
    if function is sorted:
        return length * length.bit_length()
    if function is sum and len(args) > 1 and isinstance(result, list | tuple):
        return length * size(args[0])  # a new sequence for every term
    if hashable(function) and function in _GROW_INTEGERS and type(result) is int:
        words = size(result) + max((size(value) for value in args if type(value) is int), default=0)
        return _product(words, words)
    if function is str and args and type(args[0]) is int:
        return length * length >> 6
    return length


def work_of_operator(name: str, left: Any, right: Any, result: Any) -> int:
    """What `left <operator> right` took."""
    if type(left) is int and type(right) is int:
        a, b = size(left), size(right)
        if name == "Mult":
            return _product(a, b)
        if name in ("FloorDiv", "Mod"):
            return max(0, a - b) * (b + 1)
        if name == "Pow":
            return _product(size(result), size(result))
        return size(result) + min(a, b) if name not in ("Eq", "NotEq") else min(a, b)
    if isinstance(left, set | frozenset | dict):
        return size(left) + size(right)
    if isinstance(result, bool):  # a comparison, which goes on as far as both sides do
        return min(size(left), size(right))
    return size(result)


def _product(words: int, others: int) -> int:
    return int(max(words, others) * (min(words, others) + 1) ** 0.585)
