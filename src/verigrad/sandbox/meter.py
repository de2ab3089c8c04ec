"""The meter: counts what a program does, deterministically, inside the program's own process.

This file is run in the sandbox as a program of its own (`sandbox/costs.py` sends it); it is given the program to be
measured as text, rewrites it, runs it, and returns the count. Standard library only.

The cost is the number of bytecode instructions executed outside this file (by `sys.monitoring` from Python 3.12 on,
before that by `sys.settrace` with `f_trace_opcodes`), plus one unit for every element that built-in code works through,
which instructions do not show: `sum(xs)` is one instruction and len(xs) units. To see the arguments, calls, operators,
slices, `in` and starred values are rewritten to go through the meter; iterators given to built-in code are counted as
they are drawn from. What is charged:

    sort                           n log2 n
    most functions and methods     the sizes of arguments, of the object and of the result
    append, get, len, ...          nothing beyond the instruction
    heappush, bisect               log2 n
    large integers                 by their words: n m^0.585 for a product (Karatsuba), n m for a division

A size is a length, or for an integer its number of 64-bit words less one.

A program that could tamper with the count is not measured (`NotRated`): imports beyond a list, dynamic code, frames,
threads, most dunder attributes. That is a fence and no proof: the process is the program's. `costs` holds the count
against the CPU clock, which is not.
"""

from __future__ import annotations

import ast
import builtins
import functools
import heapq
import itertools
import math
import operator
import sys
import types
from bisect import bisect, bisect_left, bisect_right
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

__all__ = ["NotRated", "OverBudget", "instrumented", "measure"]

_FILE = "<measured>"
_MODULE = "measured"
_ALLOWED_IMPORTS = frozenset(
    {
        *("abc", "bisect", "collections", "copy", "dataclasses", "datetime", "decimal", "enum", "fractions"),
        *("functools", "heapq", "itertools", "math", "numbers", "operator", "random", "re", "statistics", "string"),
        *("typing", "__future__"),
    }
)
_ALLOWED_DUNDERS = frozenset({"__init__", "__name__", "__doc__", "__class__", "__post_init__", "__new__"})
_REFUSED_ATTRIBUTES = frozenset(
    {
        *("f_back", "f_globals", "f_locals", "f_builtins", "f_trace", "f_trace_opcodes", "tb_frame", "tb_next"),
        *("gi_frame", "gi_code", "cr_frame", "ag_frame", "attrgetter", "methodcaller", "settrace", "setprofile"),
        *("sys", "os", "gc", "builtins", "inspect", "threading", "types", "weakref", "ctypes", "importlib", "_sys"),
        *("_os", "_thread", "_weakref"),
    }
)
_MISSING_BUILTINS = frozenset(
    {
        *("eval", "exec", "compile", "globals", "locals", "vars", "dir", "open", "input", "breakpoint", "help"),
        *("exit", "quit", "copyright", "credits", "license"),
    }
)
_VIEWS: tuple[Any, ...] = (type({}.keys()), type({}.values()), type({}.items()))
_SIZED: tuple[Any, ...] = (str, bytes, bytearray, list, tuple, dict, set, frozenset, deque, range, *_VIEWS)
_INDEXED = (list, tuple, str, bytes, bytearray, deque)
_CONSTANT: frozenset[Any] = frozenset(
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
_TAKE_FUNCTIONS: frozenset[Any] = frozenset(
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
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
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


class NotRated(BaseException):
    """The program does something that a deterministic count cannot follow, or that could change the count."""


class OverBudget(BaseException):
    """The program costs more than is counted."""


def measure(
    program: str, entry_point: str, args: Sequence[Any], kwargs: dict[str, Any], budget: int
) -> tuple[str, int, Any]:
    """Load the program and call its entry point.

    Returns:
        `("rated", cost, value)`, loading included, or `("over", budget, None)`, or `("not_rated", 0, reason)`.
        What the program raises is raised.
    """
    meter = _Meter(budget)
    try:
        code = compile(instrumented(program), _FILE, "exec", dont_inherit=True)
        module = types.ModuleType(_MODULE)
        sys.modules[_MODULE] = module
        names = module.__dict__
        names.update(meter.names())
        meter.run(lambda: exec(code, names))
        value = meter.run(lambda: names[entry_point](*args, **kwargs))
    except NotRated as reason:
        return "not_rated", 0, str(reason)
    except OverBudget:
        return "over", budget, None
    return "rated", meter.units, value


# ------------------------------------------------------------------------------------------------ counting


class _Tracer:
    """Calls `count` before each instruction outside this file. For Python up to 3.11."""

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count
        self._settrace = sys.settrace

    def begin(self) -> None:
        self._settrace(self._on_call)

    def end(self) -> bool:
        """Stop; returns whether it was still on."""
        counting = sys.gettrace() == self._on_call
        self._settrace(None)
        return counting

    def _on_call(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename == _OURS:
            return None
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        return self._on_event

    def _on_event(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        if event == "opcode":
            self._count()
        return self._on_event


class _Monitor:
    """The same for Python from 3.12 on, where tracing is slow: PEP 669."""

    _TOOL = 3

    def __init__(self, count: Callable[[], None]) -> None:
        self._count = count
        self._monitoring: Any = vars(sys)["monitoring"]
        self._instruction = self._monitoring.events.INSTRUCTION

    def begin(self) -> None:
        self._monitoring.use_tool_id(self._TOOL, "meter")
        self._monitoring.register_callback(self._TOOL, self._instruction, self._on_instruction)
        self._monitoring.set_events(self._TOOL, self._instruction)

    def end(self) -> bool:
        """Stop; returns whether it was still on."""
        counting = self._monitoring.get_events(self._TOOL) == self._instruction
        self._monitoring.set_events(self._TOOL, 0)
        self._monitoring.free_tool_id(self._TOOL)
        return bool(counting)

    def _on_instruction(self, code: types.CodeType, offset: int) -> Any:
        if code.co_filename == _OURS:
            return self._monitoring.DISABLE
        self._count()
        return None


class _Meter:
    """The count, and what the rewritten program calls in place of calls and operators; one a process."""

    def __init__(self, budget: int) -> None:
        self.units = 0
        self._budget = budget
        self._importing = False
        self._reason = ""
        self._watch = (_Monitor if hasattr(sys, "monitoring") else _Tracer)(self._on_instruction)
        for name in ("settrace", "setprofile", "monitoring", "_getframe"):
            if hasattr(sys, name):
                delattr(sys, name)
        sys.setrecursionlimit(10_000)  # a rewritten call takes two frames

    def run(self, action: Callable[[], Any]) -> Any:
        """Run `action` under the count.

        Raises:
            NotRated, OverBudget: also where the program has caught the exception that said so.
        """
        self._watch.begin()
        try:
            return action()
        finally:
            counting = self._watch.end()
            if self._reason:
                raise NotRated(self._reason)
            if self.units > self._budget:
                raise OverBudget
            if not counting:
                raise NotRated("the program switched the count off")

    def _on_instruction(self) -> None:
        if not self._importing:
            self.charge(1)

    def charge(self, units: int) -> None:
        self.units += units
        if self.units > self._budget:
            raise OverBudget

    def names(self) -> dict[str, Any]:
        """What the program finds around it: built-ins, less some, and the meter's own names."""
        known = {name: value for name, value in vars(builtins).items() if name not in _MISSING_BUILTINS}
        guarded = {"__import__": self._import, "getattr": self._getattr, "setattr": self._setattr}
        return {
            "__builtins__": {**known, **guarded},
            "__name__": _MODULE,
            "__cost_call__": self.call,
            "__cost_binary__": self.binary,
            "__cost_augmented__": self.augmented,
            "__cost_contains__": self.contains,
            "__cost_result__": self.result,
            "__cost_operand__": self.operand,
            "__cost_moved__": self.moved,
        }

    def refuse(self, reason: str) -> NotRated:
        self._reason = self._reason or reason
        return NotRated(reason)

    # --------------------------------------------------------------------------------- what a program does

    def call(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        """`function(*args, **kwargs)`, its work charged where it is not code that is counted."""
        if _is_the_programs(function):
            return function(*args, **kwargs)
        known = _hashable(function)
        if (known and function in _TAKE_FUNCTIONS) or getattr(function, "__name__", "") == "sort":
            args = tuple(self._counting(value) for value in args)
            kwargs = {name: self._counting(value) for name, value in kwargs.items()}
        if known and function in _CONSTANT:
            self.charge(len(args))
            return function(*args, **kwargs)
        self.charge(_work_before(function, args))
        if not _is_constant_method(function, args):
            args = tuple(self._counted(value) for value in args)
        result = function(*args, **kwargs)
        self.charge(_work_after(function, args, result))
        return result

    def binary(self, name: str, left: Any, right: Any) -> Any:
        """`left <operator> right`."""
        result = _OPERATORS[name](left, right)
        self.charge(_work_of_operator(name, left, right, result))
        return result

    def augmented(self, name: str, left: Any, right: Any) -> Any:
        """The right side of `left <operator>= right`, charged; None for a left side that cannot be read twice."""
        if type(left) is int and type(right) is int:
            self.charge(_work_of_operator(name, left, right, left))
        else:
            self.charge(_size(right) + (_size(left) * right if name == "Mult" and type(right) is int else 0))
        return right

    def contains(self, item: Any, container: Any, wanted: bool) -> bool:
        """`item in container`, or `not in`."""
        self.charge(_size(container) if isinstance(container, (*_INDEXED, *_VIEWS)) else 0)
        return (item in self._counted(container)) is wanted

    def result(self, value: Any) -> Any:
        """The value of a slice or a formatted string."""
        self.charge(_size(value))
        return value

    def moved(self, value: Any) -> None:
        """A sequence of which a part is replaced or deleted."""
        self.charge(_size(value) if isinstance(value, list | deque | bytearray) else 0)

    def operand(self, value: Any) -> Any:
        """A value that is unpacked, compared in a chain, or whose parts are moved."""
        self.charge(_size(value))
        return self._counted(value)

    # ------------------------------------------------------------------------------------------- helpers

    def _counted(self, value: Any) -> Any:
        """An iterator of built-in code, so that each step of it is charged; all else as it is."""
        kind = type(value)
        if not hasattr(kind, "__next__") or kind is types.GeneratorType or kind.__module__ == _MODULE:
            return value
        return self._steps(value)

    def _steps(self, values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            self.charge(1 + (len(value) if type(value) is tuple else 0))
            yield value

    def _counting(self, value: Any) -> Any:
        """A built-in function that built-in code is going to call, so that its work is charged."""
        if value in (len, None) or not callable(value) or _is_the_programs(value):
            return value
        return lambda *args: self.call(value, *args)

    def _import(self, name: str, *args: Any) -> Any:
        if name == "sys":
            return types.SimpleNamespace(maxsize=sys.maxsize, setrecursionlimit=lambda limit: None)
        if name.partition(".")[0] not in _ALLOWED_IMPORTS:
            raise self.refuse(f"it imports {name}")
        self._importing = True
        try:
            return builtins.__import__(name, *args)
        finally:
            self._importing = False

    def _getattr(self, value: Any, name: str, *default: Any) -> Any:
        if _refused(name):
            raise self.refuse(f"it reads the attribute {name!r}")
        return getattr(value, name, *default)

    def _setattr(self, value: Any, name: str, new: Any) -> None:
        if _refused(name):
            raise self.refuse(f"it sets the attribute {name!r}")
        setattr(value, name, new)


_OURS = _Meter.run.__code__.co_filename


def _size(value: Any) -> int:
    """How much a linear pass over a value takes: its length, or the words of an integer beyond one."""
    if type(value) is int:
        return value.bit_length() >> 6
    return len(value) if isinstance(value, _SIZED) else 0


def _hashable(value: Any) -> bool:
    return type(value).__hash__ is not None


def _is_the_programs(function: Any) -> bool:
    """Whether calling it runs instructions that are counted, and nothing else to speak of."""
    if isinstance(function, types.MethodType):
        function = function.__func__
    if isinstance(function, types.FunctionType):
        return function.__code__.co_filename in (_FILE, _OURS)
    kind = function if isinstance(function, type) else type(function)
    return kind.__module__ == _MODULE


def _work_before(function: Any, args: Sequence[Any]) -> int:
    """What a call takes by its arguments and its object."""
    if _hashable(function) and function in _LOGARITHMIC:
        return _size(args[0]).bit_length()
    owner = getattr(function, "__self__", None)
    if _is_constant_method(function, args):
        return 0
    own = _size(owner) if isinstance(function, types.BuiltinMethodType) and not isinstance(owner, type) else 0
    if own and function.__name__ == "sort":
        own *= own.bit_length()
    return 1 + own + sum(map(_size, args))


def _is_constant_method(function: Any, args: Sequence[Any]) -> bool:
    if not isinstance(function, types.BuiltinMethodType):
        return False
    kind: type = type(function.__self__)
    name = function.__name__
    if kind is list and name == "pop":
        return not args or args[0] == -1
    kind = dict if kind in (OrderedDict, defaultdict) else kind
    return name in _CONSTANT_METHODS.get(kind, ())


def _work_after(function: Any, args: Sequence[Any], result: Any) -> int:
    """What a call took by its result."""
    length = _size(result) if not _is_constant_method(function, args) else 0
    if function is sorted:
        return length * length.bit_length()
    if function is sum and len(args) > 1 and isinstance(result, list | tuple):
        return length * _size(args[0])  # a new sequence for every term
    if _hashable(function) and function in _GROW_INTEGERS and type(result) is int:
        words = _size(result) + max((_size(value) for value in args if type(value) is int), default=0)
        return _product(words, words)
    if function is str and args and type(args[0]) is int:
        return length * length >> 6
    return length


def _work_of_operator(name: str, left: Any, right: Any, result: Any) -> int:
    if type(left) is int and type(right) is int:
        a, b = _size(left), _size(right)
        if name == "Mult":
            return _product(a, b)
        if name in ("FloorDiv", "Mod"):
            return max(0, a - b) * (b + 1)
        if name == "Pow":
            return _product(_size(result), _size(result))
        return _size(result) + min(a, b) if name not in ("Eq", "NotEq") else min(a, b)
    if isinstance(left, set | frozenset | dict):
        return _size(left) + _size(right)
    if isinstance(result, bool):  # a comparison, which goes on as far as both sides do
        return min(_size(left), _size(right))
    return _size(result)


def _product(words: int, others: int) -> int:
    return int(max(words, others) * (min(words, others) + 1) ** 0.585)


# ---------------------------------------------------------------------------------------------- rewriting


def instrumented(program: str) -> ast.Module:
    """The program with its calls, operators, slices and unpackings going through the meter.

    Raises:
        NotRated: it names something that the count could be changed with.
        SyntaxError: it is no program.
    """
    tree = ast.parse(program)
    for node in ast.walk(tree):
        _check(node)
    rewritten = _Rewriter().visit(tree)
    assert isinstance(rewritten, ast.Module)
    return ast.fix_missing_locations(rewritten)


def _check(node: ast.AST) -> None:
    if isinstance(node, ast.Attribute) and _refused(node.attr):
        raise NotRated(f"it uses the attribute {node.attr!r}")
    if isinstance(node, ast.Name) and node.id.startswith("__") and node.id not in _ALLOWED_DUNDERS:
        raise NotRated(f"it uses the name {node.id!r}")
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if _refused(alias.name):
                raise NotRated(f"it imports {alias.name!r}")
    if isinstance(node, ast.AsyncFunctionDef):
        raise NotRated("it is asynchronous")


def _refused(name: str) -> bool:
    return name in _REFUSED_ATTRIBUTES or (name.startswith("__") and name not in _ALLOWED_DUNDERS)


class _Rewriter(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id == "super":
            return node
        return _called("call", node.func, *node.args, keywords=node.keywords)

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        return _called("binary", ast.Constant(type(node.op).__name__), node.left, node.right)

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        left: ast.expr = ast.Constant(None)
        if isinstance(node.target, ast.Name):
            left = ast.Name(node.target.id, ast.Load())
        node.value = _called("augmented", ast.Constant(type(node.op).__name__), left, node.value)
        return node

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if len(node.ops) > 1:
            node.left = _called("operand", node.left)
            node.comparators = [_called("operand", side) for side in node.comparators]
            return node
        (op,), (right,) = node.ops, node.comparators
        if isinstance(op, ast.In | ast.NotIn):
            return _called("contains", node.left, right, ast.Constant(isinstance(op, ast.In)))
        if isinstance(op, ast.Is | ast.IsNot):
            return node
        return _called("binary", ast.Constant(type(op).__name__), node.left, right)

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        sliced = isinstance(node.slice, ast.Slice)
        return _called("result", node) if sliced and isinstance(node.ctx, ast.Load) else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        self.generic_visit(node)
        return _called("result", node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        node.value = self.visit(node.value)  # a format has to stay what it is
        return node

    def visit_MatchValue(self, node: ast.MatchValue) -> ast.AST:
        return node

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = _called("operand", node.value)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.generic_visit(node)
        pairs = zip(node.keys, node.values, strict=True)
        node.values = [value if key is not None else _called("operand", value) for key, value in pairs]
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if any(isinstance(part, ast.Starred) for target in node.targets for part in ast.walk(target)):
            node.value = _called("operand", node.value)
        moved = [target for target in node.targets if _moves_the_rest(target, ast.Slice)]
        return [*map(_charged, moved), node] if moved else node

    def visit_Delete(self, node: ast.Delete) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        moved = [target for target in node.targets if _moves_the_rest(target, ast.expr)]
        return [*map(_charged, moved), node] if moved else node


def _moves_the_rest(target: ast.expr, index: type[ast.expr]) -> bool:
    """A part of something named is replaced or deleted, so that what follows it moves up."""
    return isinstance(target, ast.Subscript) and isinstance(target.slice, index) and isinstance(target.value, ast.Name)


def _charged(target: ast.expr) -> ast.stmt:
    assert isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name)
    return ast.Expr(_called("moved", ast.Name(target.value.id, ast.Load())))


def _called(name: str, *args: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
    return ast.Call(ast.Name(f"__cost_{name}__", ast.Load()), list(args), list(keywords))
