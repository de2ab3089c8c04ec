"""The meter: counts what a program does, deterministically, inside the program's own process.

This file, with `meter_charges`, `meter_rewrite` and `meter_library` in front, is run in the sandbox as a program of
its own (`sandbox/costs.py` sends it); it is given the program to be measured as text, rewrites it, runs it, and returns
the count. Standard library only.

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
threads, most special names, all of the library but public names of a few modules. That is a fence and no proof: the
process is the program's. `costs` holds the count against the CPU clock, which is not.
"""

from __future__ import annotations

import builtins
import sys
import types
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from verigrad.sandbox.meter_charges import (
    CONSTANT,
    FILE,
    INDEXED,
    MODULE,
    OPERATORS,
    OURS,
    TAKE_FUNCTIONS,
    VIEWS,
    hashable,
    is_constant_method,
    is_the_programs,
    size,
    work_after,
    work_before,
    work_of_operator,
)
from verigrad.sandbox.meter_library import IMPORTS, public_names
from verigrad.sandbox.meter_rewrite import NotRated, instrumented, refused

__all__ = ["OverBudget", "measure"]

_MISSING_BUILTINS = frozenset(
    {
        *("eval", "exec", "compile", "globals", "locals", "vars", "dir", "open", "input", "breakpoint", "help"),
        *("exit", "quit", "copyright", "credits", "license"),
    }
)


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
        code = compile(instrumented(program), FILE, "exec", dont_inherit=True)
        module = types.ModuleType(MODULE)
        sys.modules[MODULE] = module
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
        if frame.f_code.co_filename == OURS:
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
        if code.co_filename == OURS:
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
        self._modules: dict[str, types.ModuleType] = {}
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
        # Plain functions: `deepcopy` takes a method apart and shows what it belongs to.
        guarded = {
            "__import__": lambda *args: self._import(*args),
            "getattr": lambda *args: self._getattr(*args),
            "setattr": lambda *args: self._setattr(*args),
        }
        return {
            "__builtins__": {**known, **guarded},
            "__name__": MODULE,
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
        if is_the_programs(function):
            return function(*args, **kwargs)
        known = hashable(function)
        if (known and function in TAKE_FUNCTIONS) or getattr(function, "__name__", "") == "sort":
            args = tuple(self._counting(value) for value in args)
            kwargs = {name: self._counting(value) for name, value in kwargs.items()}
        if known and function in CONSTANT:
            self.charge(len(args))
            return function(*args, **kwargs)
        self.charge(work_before(function, args))
        if not is_constant_method(function, args):
            args = tuple(self._counted(value) for value in args)
        result = function(*args, **kwargs)
        self.charge(work_after(function, args, result))
        return result

    def binary(self, name: str, left: Any, right: Any) -> Any:
        """`left <operator> right`."""
        result = OPERATORS[name](left, right)
        self.charge(work_of_operator(name, left, right, result))
        return result

    def augmented(self, name: str, left: Any, right: Any) -> Any:
        """The right side of `left <operator>= right`, charged; None for a left side that cannot be read twice.

        An iterator, which a list or a dict draws from, is charged as it is drawn from.
        """
        if type(left) is int and type(right) is int:
            self.charge(work_of_operator(name, left, right, left))
        else:
            self.charge(size(right) + (size(left) * right if name == "Mult" and type(right) is int else 0))
        return self._counted(right)

    def contains(self, item: Any, container: Any, wanted: bool) -> bool:
        """`item in container`, or `not in`."""
        self.charge(size(container) if isinstance(container, (*INDEXED, *VIEWS)) else 0)
        return (item in self._counted(container)) is wanted

    def result(self, value: Any) -> Any:
        """The value of a slice or a formatted string."""
        self.charge(size(value))
        return value

    def moved(self, value: Any) -> Any:
        """A sequence of which a part is replaced or deleted."""
        self.charge(size(value) if isinstance(value, list | deque | bytearray) else 0)
        return value

    def operand(self, value: Any) -> Any:
        """A value that is unpacked, compared in a chain, or whose parts are moved."""
        self.charge(size(value))
        return self._counted(value)

    # ------------------------------------------------------------------------------------------- helpers

    def _counted(self, value: Any) -> Any:
        """An iterator of built-in code, so that each step of it is charged; all else as it is."""
        kind = type(value)
        if not hasattr(kind, "__next__") or kind is types.GeneratorType or kind.__module__ == MODULE:
            return value
        return self._steps(value)

    def _steps(self, values: Iterator[Any]) -> Iterator[Any]:
        for value in values:
            self.charge(1 + (len(value) if type(value) is tuple else 0))
            yield value

    def _counting(self, value: Any) -> Any:
        """A built-in function that built-in code is going to call, so that its work is charged."""
        if value in (len, None) or not callable(value) or is_the_programs(value):
            return value
        return lambda *args: self.call(value, *args)

    def _import(self, name: str, _globals: Any = None, _locals: Any = None, wanted: Any = (), level: int = 0) -> Any:
        if name == "sys":
            return types.SimpleNamespace(maxsize=sys.maxsize, setrecursionlimit=lambda limit: None)
        if name not in IMPORTS or level:
            raise self.refuse(f"it imports {name}")
        self._importing = True
        try:
            seen = name if wanted else name.partition(".")[0]
            if seen not in self._modules:
                self._modules[seen] = public_names(seen, self.refuse)
            return self._modules[seen]
        finally:
            self._importing = False

    def _getattr(self, value: Any, name: str, *default: Any) -> Any:
        if refused(name):
            raise self.refuse(f"it reads the attribute {name!r}")
        return getattr(value, name, *default)

    def _setattr(self, value: Any, name: str, new: Any) -> None:
        if refused(name):
            raise self.refuse(f"it sets the attribute {name!r}")
        setattr(value, name, new)
