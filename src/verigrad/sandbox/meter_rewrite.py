"""What the meter makes of a program before it runs: calls, operators, slices and unpackings go through the count.

One of the four files that `meter` is made of. Standard library only.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

__all__ = ["NotRated", "instrumented", "refused"]

_ALLOWED_DUNDERS = frozenset({"__init__", "__name__", "__doc__", "__class__", "__post_init__", "__new__", "__slots__"})
_ARITHMETIC = (
    *("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift"),
    *("and", "or", "xor"),
)
_SPECIAL_METHODS = _ALLOWED_DUNDERS | {
    f"__{name}__"
    for name in (
        *("repr", "str", "format", "bytes", "bool", "hash", "len", "length_hint", "iter", "next", "reversed"),
        *("contains", "getitem", "setitem", "delitem", "missing", "call", "eq", "ne", "lt", "le", "gt", "ge"),
        *("enter", "exit", "copy", "deepcopy", "set_name", "get", "set", "delete", "init_subclass"),
        *("class_getitem", "int", "float", "complex", "index", "round", "trunc", "floor", "ceil", "neg", "pos"),
        *("abs", "invert"),
        *(f"{side}{name}" for side in ("", "r", "i") for name in _ARITHMETIC),
    )
}
_REFUSED_ATTRIBUTES = frozenset(
    {
        *("f_back", "f_globals", "f_locals", "f_builtins", "f_trace", "f_trace_opcodes", "tb_frame", "tb_next"),
        *("gi_frame", "gi_code", "cr_frame", "ag_frame", "attrgetter", "methodcaller", "settrace", "setprofile"),
        *("sys", "os", "gc", "builtins", "inspect", "threading", "types", "weakref", "ctypes", "importlib", "_sys"),
    }
)
_BY_POSITION = frozenset(
    {*("bool", "bytearray", "bytes", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple")}
)


class NotRated(BaseException):
    """The program does something that a deterministic count cannot follow, or that could change the count."""


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
    if isinstance(node, ast.Attribute) and refused(node.attr):
        raise NotRated(f"it uses the attribute {node.attr!r}")
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            if refused(alias.name):
                raise NotRated(f"it imports {alias.name!r}")
    if isinstance(node, ast.AsyncFunctionDef):
        raise NotRated("it is asynchronous")
    if isinstance(node, ast.MatchClass):
        for name in node.kwd_attrs:
            if refused(name):
                raise NotRated(f"it matches the attribute {name!r}")
        if node.patterns and not (isinstance(node.cls, ast.Name) and node.cls.id in _BY_POSITION):
            raise NotRated("it matches attributes by their position")  # which `__match_args__` names
    allowed = _SPECIAL_METHODS if isinstance(node, ast.FunctionDef) else _ALLOWED_DUNDERS
    for name in _identifiers(node):
        if _is_special(name) and name not in allowed:
            raise NotRated(f"it uses the name {name!r}")


def _identifiers(node: ast.AST) -> Iterator[str]:
    """What the node reads or binds, by whatever statement: a `def` and an `import as` bind names too."""
    if isinstance(node, ast.Constant | ast.ImportFrom):
        return
    for field, value in ast.iter_fields(node):
        if isinstance(node, ast.alias) and field == "name":
            continue
        for name in value if isinstance(value, list) else (value,):
            if isinstance(name, str):
                yield name


def refused(name: str) -> bool:
    """Whether an attribute of this name could be used to change the count; a name is a `str` and nothing derived."""
    return type(name) is not str or name in _REFUSED_ATTRIBUTES or (_is_special(name) and name not in _ALLOWED_DUNDERS)


def _is_special(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")  # `__private` of a class is another matter


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
        if isinstance(node.ctx, ast.Load):
            return _called("result", node) if sliced else node
        if sliced or isinstance(node.ctx, ast.Del):  # what follows moves up
            node.value = _called("moved", node.value)
        return node

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

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        if any(_draws(part) for target in node.targets for part in ast.walk(target)):
            node.value = _called("operand", node.value)
        return node


def _draws(part: ast.AST) -> bool:
    """A target that takes as many values as there are: `*rest`, or a slice."""
    several = isinstance(part, ast.Starred) or (isinstance(part, ast.Subscript) and isinstance(part.slice, ast.Slice))
    return several and isinstance(getattr(part, "ctx", None), ast.Store)


def _called(name: str, *args: ast.expr, keywords: Sequence[ast.keyword] = ()) -> ast.Call:
    return ast.Call(ast.Name(f"__cost_{name}__", ast.Load()), list(args), list(keywords))
