"""A subset of Python over integers and booleans, read as formulas; nothing is ever executed.

In it: functions of positional parameters; assignments, also of tuples and with an operator; `+ - * // %`, `**` with
a constant exponent, `abs min max int bool`, comparisons, `and or not`, conditional expressions; `if`, `for` over a
`range` of constants (unrolled) with `break`, `continue` and `else`, `return`, `assert`, `raise` of a built-in
exception; calls of the program's other functions, without recursion (inlined); constants of the module. Everything
else is refused by name and line (`Outside`): nothing is approximated. Integers are unbounded, as Python's are.

What raises in Python raises here: division by zero, arithmetic on None, a name without a value. Failing asserts are
kept apart from other exceptions, because a reference's asserts say for which inputs it is meant.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from verigrad.literals import read_literal
from verigrad.sandbox.proofs.terms import (
    FALSE,
    TRUE,
    Term,
    TooLarge,
    add,
    boolean,
    both,
    div,
    either,
    equals,
    integer,
    less,
    mod,
    multiply,
    negate,
    opposite,
    subtract,
)
from verigrad.sandbox.proofs.values import NOTHING, UNBOUND, Kind, Value, flag, join, known, number, same

__all__ = ["Machine", "Meaning", "Outside", "Program", "local_names", "meaning", "parse_program"]

_MAX_CHARACTERS = 20_000
_MAX_ROUNDS = 256
_MAX_STEPS = 20_000
_MAX_EXPONENT = 64

_ALLOWED = (
    ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign, ast.For, ast.If,
    ast.Assert, ast.Raise, ast.Expr, ast.Pass, ast.Break, ast.Continue, ast.BoolOp, ast.BinOp, ast.UnaryOp, ast.IfExp,
    ast.Compare, ast.Call, ast.Constant, ast.Name, ast.Tuple, ast.expr_context, ast.boolop, ast.operator, ast.unaryop,
    ast.cmpop,
)  # fmt: skip
_EXCEPTIONS = {"ArithmeticError", "AssertionError", "Exception", "RuntimeError", "TypeError", "ValueError"}
_EXCEPTIONS |= {"IndexError", "KeyError", "LookupError", "NotImplementedError", "OverflowError", "ZeroDivisionError"}
_HARMLESS_IMPORTS = {"__future__", "math", "typing"}


class Outside(Exception):
    """A program is not in the subset; says which construct is not, and its line."""

    def __init__(self, construct: str, node: ast.AST | None = None) -> None:
        line = getattr(node, "lineno", None)
        super().__init__(construct if line is None else f"{construct} (line {line})")
        self.construct = construct
        self.line = line


@dataclass(frozen=True)
class Meaning:
    """What a call gives, for all values of its arguments at once.

    Attributes:
        value: what it returns, wherever it does.
        returns: the condition under which it does.
        raises: that under which it raises, a failing assert apart.
        rejects: that under which an assert fails. Of the three conditions exactly one holds.
    """

    value: Value
    returns: Term
    raises: Term
    rejects: Term


@dataclass(frozen=True)
class Program:
    """Functions and constants that a module defines; None stands for a name bound to something outside the subset."""

    names: Mapping[str, ast.FunctionDef | Value | None]


def meaning(source: str, entry_point: str, arguments: Sequence[Value]) -> Meaning:
    """What `entry_point(*arguments)` of a program gives.

    Raises:
        Outside: the program, or a part of it that the call needs, is not in the subset.
    """
    try:
        machine = Machine(parse_program(source))
        value = machine.call(entry_point, list(arguments), None)
    except RecursionError:
        raise Outside("nesting too deep to read") from None
    except TooLarge as error:
        raise Outside(str(error)) from None
    return Meaning(value, machine.live, machine.raised, machine.rejected)


# ---------------------------------------------------------------------------------------------- modules


def parse_program(source: str) -> Program:
    """The module's functions and constants; the last binding of a name counts.

    Raises:
        Outside: it does not parse, or does more when imported than define functions and constants.
    """
    names: dict[str, ast.FunctionDef | Value | None] = {}
    for node in _parse(source).body:
        match node:
            case ast.FunctionDef():
                _check_definition(node)
                names[node.name] = node
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                names[name] = _constant(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                _check_annotation(node.annotation)
                names[name] = _constant(value)
            case ast.Import(names=aliases) if all(alias.name in _HARMLESS_IMPORTS for alias in aliases):
                names |= {alias.asname or alias.name: None for alias in aliases}
            case ast.ImportFrom(module=module, names=aliases, level=0) if module in _HARMLESS_IMPORTS:
                if any(alias.name == "*" for alias in aliases):
                    raise Outside("an import of everything", node)
                names |= {alias.asname or alias.name: None for alias in aliases}
            case ast.Expr(value=ast.Constant()) | ast.Pass():
                pass
            case _:
                raise Outside(f"{_describe(node)} in the module", node)
    return Program(names)


def _parse(source: str) -> ast.Module:
    if len(source) > _MAX_CHARACTERS:
        raise Outside(f"a program of {len(source)} characters, over {_MAX_CHARACTERS}")
    try:
        with warnings.catch_warnings(action="ignore"):  # of the program's, such as an invalid escape
            tree = ast.parse(source)
            compile(tree, "program", "exec")  # finds what the grammar alone does not, a `break` outside a loop
            return tree
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        raise Outside(f"a program that does not parse: {error}") from None


def _constant(node: ast.expr) -> Value | None:
    """A literal's value; None for others, which may not be calls or the like: they would run when imported."""
    try:
        value = read_literal(node)
    except ValueError:
        raise Outside("a value of the module that is no literal", node) from None
    if value is None:
        return NOTHING
    if type(value) is bool:
        return flag(boolean(value))
    return number(integer(value)) if type(value) is int else None


def _check_annotation(node: ast.expr | None) -> None:
    """Annotations run when a function is defined: only names of types that are always there."""
    plain = isinstance(node, ast.Name) and node.id in ("int", "bool")
    if node is not None and not plain and not isinstance(node, ast.Constant):
        raise Outside("an annotation other than int and bool", node)


def _check_definition(function: ast.FunctionDef) -> None:
    """What runs when a function is defined, called or not."""
    arguments = function.args
    if function.decorator_list or arguments.vararg or arguments.kwonlyargs or arguments.kwarg:
        raise Outside("a decorator, *args, **kwargs or a keyword-only parameter", function)
    for default in arguments.defaults:
        _constant(default)
    for parameter in (*arguments.posonlyargs, *arguments.args):
        _check_annotation(parameter.annotation)
    _check_annotation(function.returns)


def _check_body(function: ast.FunctionDef) -> None:
    """What a function may hold wherever it stands, reached or not: a `yield` in dead code still makes a generator."""
    for statement in function.body:
        for node in ast.walk(statement):
            if not isinstance(node, _ALLOWED):
                raise Outside(_describe(node), node)
            if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
                raise Outside("a call of something that is no name", node)


def local_names(nodes: Sequence[ast.AST]) -> list[str]:
    """Names that these statements bind, in order, each once."""
    found = [n for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return list(dict.fromkeys(name.id for name in sorted(found, key=lambda name: (name.lineno, name.col_offset))))


def _describe(node: ast.AST) -> str:
    """The construct's name in words: `ListComp` is a `list comp`."""
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in type(node).__name__).strip()
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


# ------------------------------------------------------------------------------------------- execution


@dataclass
class _State:
    """Where execution may be: the condition under which it is there, and the values of the names then."""

    live: Term
    environment: dict[str, Value]


@dataclass
class _Loop:
    left: list[_State] = field(default_factory=list)
    next_round: list[_State] = field(default_factory=list)


@dataclass
class _Frame:
    """A running call: what it returned so far, and the loops it is in."""

    returned: list[tuple[Term, Value]] = field(default_factory=list)
    loops: list[_Loop] = field(default_factory=list)


class Machine:
    """Runs statements on all inputs at once.

    Attributes:
        live: the condition under which execution gets to where it is now.
        raised: that under which it has raised an exception, a failing assert apart.
        rejected: that under which an assert has failed.
        environment: values of the local names.
    """

    def __init__(self, program: Program) -> None:
        self.live = TRUE
        self.raised = FALSE
        self.rejected = FALSE
        self.environment: dict[str, Value] = {}
        self._program = program
        self._frame = _Frame()
        self._calls: list[str] = []
        self._steps = 0

    def call(self, name: str, arguments: list[Value], node: ast.AST | None) -> Value:
        """Run a function of the program to its end; `live` is then the condition under which it returns."""
        function = self._program.names.get(name)
        if not isinstance(function, ast.FunctionDef):
            raise Outside(f"a call of {name!r}, which is no function of the program", node)
        if name in self._calls:
            raise Outside(f"recursion of {name!r}", node)
        _check_body(function)
        outer = self.environment, self._frame
        self.environment, self._frame = self._bound(function, arguments, node), _Frame()
        self._calls.append(name)
        self.block(function.body)
        self._return(NOTHING)
        returned = self._frame.returned
        self._calls.pop()
        self.environment, self._frame = outer
        self.live = either(*(condition for condition, _ in returned))
        return join(returned) if self.live is not FALSE else NOTHING

    def _bound(self, function: ast.FunctionDef, arguments: list[Value], node: ast.AST | None) -> dict[str, Value]:
        names = [parameter.arg for parameter in (*function.args.posonlyargs, *function.args.args)]
        defaults = [_constant(default) for default in function.args.defaults]
        missing = len(names) - len(arguments)
        if not 0 <= missing <= len(defaults):
            raise Outside(f"a call of {function.name!r} with {len(arguments)} arguments", node)
        given = [*arguments, *defaults[len(defaults) - missing :]]
        environment = dict.fromkeys(local_names(function.body), UNBOUND)
        for name, value in zip(names, given, strict=True):
            if value is None:
                raise Outside(f"the default of {name!r}", function)
            environment[name] = value
        return environment

    # statements

    def block(self, statements: Sequence[ast.stmt]) -> None:
        for statement in statements:
            if self.live is FALSE:
                return
            self._count(statement)
            self._statement(statement)

    def _count(self, node: ast.AST) -> None:
        self._steps += 1
        if self._steps > _MAX_STEPS:
            raise Outside(f"more than {_MAX_STEPS} steps, loops unrolled", node)

    def _statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Pass() | ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
                pass
            case ast.Expr():
                self.value(node.value)
            case ast.Assign():
                self._assign(node.targets, node.value)
            case ast.AnnAssign(value=ast.expr() as value):
                self._assign([node.target], value)
            case ast.AugAssign(target=ast.Name(id=name)):
                left = self._name(name, node)
                self.environment[name] = self._binary(node.op, left, node.value, node)
            case ast.If():
                self._if(node)
            case ast.For():
                self._for(node)
            case ast.Return():
                self._return(self.value(node.value) if node.value is not None else NOTHING)
            case ast.Assert():
                self._assert(node)
            case ast.Raise():
                self._raise(node)
            case ast.Break():
                self._leave(self._frame.loops[-1].left)
            case ast.Continue():
                self._leave(self._frame.loops[-1].next_round)
            case _:
                raise Outside(_describe(node), node)

    def _assign(self, targets: Sequence[ast.expr], node: ast.expr) -> None:
        """The value first, then the targets from left to right; tuples only from a tuple of the same length."""
        several = isinstance(node, ast.Tuple)
        values = [self.value(item) for item in node.elts] if isinstance(node, ast.Tuple) else [self.value(node)]
        for target in targets:
            names = target.elts if several and isinstance(target, ast.Tuple) else [target]
            if several != isinstance(target, ast.Tuple) or len(names) != len(values):
                raise Outside("an assignment of a tuple, or to one, that is not element by element", target)
            for name, value in zip(names, values, strict=True):
                if not isinstance(name, ast.Name):
                    raise Outside("an assignment to something that is no name", target)
                self.environment[name.id] = value

    def _if(self, node: ast.If) -> None:
        condition = self.value(node.test).truth
        start = self._state()
        ends = []
        for holds, statements in ((condition, node.body), (negate(condition), node.orelse)):
            self._go(_State(both(start.live, holds), dict(start.environment)))
            self.block(statements)
            ends.append(self._state())
        self._go(_meet(ends))

    def _for(self, node: ast.For) -> None:
        if not isinstance(node.target, ast.Name):
            raise Outside("a loop over something that is no name", node.target)
        loop = _Loop()
        self._frame.loops.append(loop)
        for item in self._range(node.iter):
            if self.live is FALSE:
                break
            self.environment[node.target.id] = number(integer(item))
            self.block(node.body)
            self._go(_meet([self._state(), *loop.next_round]))
            loop.next_round.clear()
        self._frame.loops.pop()
        self.block(node.orelse)
        self._go(_meet([self._state(), *loop.left]))

    def _range(self, node: ast.expr) -> range:
        match node:
            case ast.Call(func=ast.Name(id="range"), args=args, keywords=[]) if 1 <= len(args) <= 3:
                bounds = [known(self.value(arg)) for arg in args]
            case _:
                raise Outside("a loop over something that is no range", node)
        if "range" in self._program.names or "range" in self.environment:
            raise Outside("a name 'range' of its own", node)
        if any(bound is None for bound in bounds) or (len(bounds) == 3 and bounds[2] == 0):
            raise Outside("a range whose bounds are not constant", node)
        rounds = range(*(int(bound or 0) for bound in bounds))
        if rounds[_MAX_ROUNDS:]:
            raise Outside(f"a loop of over {_MAX_ROUNDS} rounds", node)
        return rounds

    def _return(self, value: Value) -> None:
        if self.live is not FALSE:
            self._frame.returned.append((self.live, value))
        self.live = FALSE

    def _leave(self, waiting: list[_State]) -> None:
        waiting.append(self._state())
        self.live = FALSE

    def _assert(self, node: ast.Assert) -> None:
        if node.msg is not None and not isinstance(node.msg, ast.Constant):
            raise Outside("an assert's message that is no constant", node)
        fails = negate(self.value(node.test).truth)
        self.rejected = either(self.rejected, both(self.live, fails))
        self.live = both(self.live, negate(fails))

    def _raise(self, node: ast.Raise) -> None:
        match node:
            case ast.Raise(exc=ast.Name(id=name), cause=None):
                pass
            case ast.Raise(exc=ast.Call(func=ast.Name(id=name), args=args, keywords=[]), cause=None) if all(
                isinstance(arg, ast.Constant) for arg in args
            ):
                pass
            case _:
                raise Outside("a raise of something that is no exception with a constant message", node)
        if name not in _EXCEPTIONS or name in self._program.names or name in self.environment:
            raise Outside(f"a raise of {name!r}", node)
        self._fail(TRUE)

    def _state(self) -> _State:
        return _State(self.live, self.environment)

    def _go(self, state: _State) -> None:
        self.live, self.environment = state.live, dict(state.environment)

    def _fail(self, condition: Term) -> None:
        self.raised = either(self.raised, both(self.live, condition))
        self.live = both(self.live, negate(condition))

    @contextmanager
    def _where(self, condition: Term) -> Iterator[None]:
        """What is evaluated inside is evaluated only where the condition holds."""
        before = self.live
        inside = self.live = both(before, condition)
        yield
        self.live = before if self.live is inside else either(both(before, negate(condition)), self.live)

    # expressions

    def value(self, node: ast.expr) -> Value:
        """What an expression gives where it raises nothing; where it raises, `live` no longer holds."""
        self._count(node)
        match node:
            case ast.Constant():
                found = _constant(node)
                if found is None:
                    raise Outside(f"a constant of type {type(node.value).__name__}", node)
                return found
            case ast.Name():
                return self._name(node.id, node)
            case ast.UnaryOp(op=ast.Not()):
                return flag(negate(self.value(node.operand).truth))
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                operand = self._number(self.value(node.operand))
                return number(opposite(operand) if isinstance(node.op, ast.USub) else operand)
            case ast.BinOp():
                return self._binary(node.op, self.value(node.left), node.right, node)
            case ast.BoolOp():
                return self._and_or(node)
            case ast.Compare():
                return self._compare(node)
            case ast.IfExp():
                return self._conditional(self.value(node.test).truth, node)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name not in self.environment:
                arguments = [self.value(arg) for arg in args]
                if name in self._program.names:
                    return self.call(name, arguments, node)
                return self._builtin(name, arguments, node)
        raise Outside(_describe(node), node)

    def _name(self, name: str, node: ast.AST) -> Value:
        found = self.environment.get(name, self._program.names.get(name))
        if not isinstance(found, Value):
            raise Outside(f"the name {name!r}", node)
        self._fail(found.is_a("unbound"))
        rest: dict[Kind, tuple[Term, Term]] = {kind: part for kind, part in found.parts.items() if kind != "unbound"}
        return Value(rest) if rest else NOTHING  # where nothing is left, nobody is alive to see it

    def _number(self, value: Value) -> Term:
        self._fail(value.no_number)
        return value.as_int

    def _binary(self, op: ast.operator, left: Value, right_node: ast.expr, node: ast.AST) -> Value:
        right = self.value(right_node)
        if isinstance(op, ast.BitAnd | ast.BitOr | ast.BitXor):
            return _logical(op, left, right, node)
        a, b = self._number(left), self._number(right)
        match op:
            case ast.Add():
                return number(add(a, b))
            case ast.Sub():
                return number(subtract(a, b))
            case ast.Mult():
                return number(multiply(a, b))
            case ast.FloorDiv() | ast.Mod():
                self._fail(equals(b, integer(0)))
                return number(div(a, b) if isinstance(op, ast.FloorDiv) else mod(a, b))
            case ast.Pow():
                return number(_power(a, b, node))
        raise Outside(f"the operator {type(op).__name__}", node)

    def _and_or(self, node: ast.BoolOp) -> Value:
        found = self.value(node.values[0])
        for other in node.values[1:]:
            goes_on = found.truth if isinstance(node.op, ast.And) else negate(found.truth)
            if goes_on is FALSE:
                break
            with self._where(goes_on):
                following = self.value(other)
            found = join([(goes_on, following), (negate(goes_on), found)])
        return found

    def _conditional(self, condition: Term, node: ast.IfExp) -> Value:
        cases = []
        for holds, branch in ((condition, node.body), (negate(condition), node.orelse)):
            if holds is not FALSE:
                with self._where(holds):
                    cases.append((holds, self.value(branch)))
        return join(cases)

    def _compare(self, node: ast.Compare) -> Value:
        left, holds = self.value(node.left), TRUE
        for op, right_node in zip(node.ops, node.comparators, strict=True):
            if holds is FALSE:
                break
            with self._where(holds):
                right = self.value(right_node)
                one = self._comparison(op, left, right, node)
            holds, left = both(holds, one), right
        return flag(holds)

    def _comparison(self, op: ast.cmpop, left: Value, right: Value, node: ast.AST) -> Term:
        match op:
            case ast.Eq():
                return same(left, right, strict=False)
            case ast.NotEq():
                return negate(same(left, right, strict=False))
            case ast.Is() | ast.IsNot() if right is NOTHING:
                found = left.is_a("none")
                return found if isinstance(op, ast.Is) else negate(found)
            case ast.Lt() | ast.LtE() | ast.Gt() | ast.GtE():
                a, b = self._number(left), self._number(right)
                if isinstance(op, ast.Gt | ast.GtE):
                    a, b = b, a
                return less(a, b, or_equal=isinstance(op, ast.LtE | ast.GtE))
        raise Outside(f"the comparison {type(op).__name__}", node)

    def _builtin(self, name: str, arguments: list[Value], node: ast.AST) -> Value:
        match name, arguments:
            case "bool", [value]:
                return flag(value.truth)
            case "int", [value]:
                return number(self._number(value))
            case "abs", [value]:
                whole = number(self._number(value))
                negative = less(whole.as_int, integer(0))
                return join([(negative, number(opposite(whole.as_int))), (negate(negative), whole)])
            case (("min" | "max"), [first, *others]) if others:
                return self._extreme(first, others, smallest=name == "min")
        raise Outside(f"a call of {name!r} with {len(arguments)} arguments", node)

    def _extreme(self, found: Value, others: list[Value], *, smallest: bool) -> Value:
        """As Python's: of equal values the first."""
        for other in others:
            a, b = self._number(other), self._number(found)
            better = less(a, b) if smallest else less(b, a)
            found = join([(better, other), (negate(better), found)])
        return found


def _meet(states: list[_State]) -> _State:
    """One state for several, of which at most one is alive."""
    alive = [state for state in states if state.live is not FALSE]
    if not alive:
        return _State(FALSE, states[0].environment)
    names = alive[0].environment
    environment = {name: join([(state.live, state.environment[name]) for state in alive]) for name in names}
    return _State(either(*(state.live for state in alive)), environment)


def _logical(op: ast.operator, left: Value, right: Value, node: ast.AST) -> Value:
    """`& | ^` of two booleans."""
    if set(left.parts) != {"bool"} or set(right.parts) != {"bool"}:
        raise Outside("a bitwise operator on something that is no boolean", node)
    a, b = left.truth, right.truth
    operations: dict[type[ast.operator], Callable[[Term, Term], Term]] = {
        ast.BitAnd: both,
        ast.BitOr: either,
        ast.BitXor: lambda a, b: negate(equals(a, b)),
    }
    return flag(operations[type(op)](a, b))


def _power(base: Term, exponent: Term, node: ast.AST) -> Term:
    times = exponent.constant
    if times is None or not 0 <= times <= _MAX_EXPONENT:
        raise Outside(f"a power whose exponent is no constant from 0 to {_MAX_EXPONENT}", node)
    product = base if times else integer(1)
    for _ in range(times - 1):
        product = multiply(product, base)
    return product
