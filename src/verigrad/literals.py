"""Plain values as the text that programs and answers write them down in, whoever wrote it."""

from __future__ import annotations

import ast
import hashlib
import marshal
import warnings
from contextlib import nullcontext
from typing import Any

__all__ = ["read_literal", "stable_text"]


def read_literal(source: str | ast.AST) -> Any:
    """The value that a text, or a node of a syntax tree, writes down.

    Raises:
        ValueError: it is no literal, or Python cannot read it: nested too deep, or a sum of a float and an integer
            beyond every float.

    >>> read_literal("[1, (2, 'x')]")
    [1, (2, 'x')]
    """
    is_text = isinstance(source, str)  # which may have an invalid escape, a warning
    try:
        with warnings.catch_warnings(action="ignore") if is_text else nullcontext():
            return ast.literal_eval(source)
    except (ValueError, TypeError, SyntaxError, ArithmeticError, MemoryError, RecursionError) as error:
        raise ValueError(f"no literal ({type(error).__name__}): {str(error)[:200]}") from error


def stable_text(value: Any) -> str:
    """`repr` of a plain value, or a hash where a number in it is too long for Python to write in decimal.

    >>> stable_text((1, "a")), len(stable_text([10**5000]))
    ("(1, 'a')", 64)
    """
    try:
        return repr(value)
    except ValueError:
        return hashlib.sha256(marshal.dumps(value, 2)).hexdigest()
