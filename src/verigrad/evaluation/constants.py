"""Programs and answers that say the same whatever they are asked, in every language that tasks have.

A task that one of them solves has tests that hardly look. They return or print the usual suspects (0, an empty list)
and every value that the task's own tests expect.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from verigrad.prototypes import Prototype, Type, parse
from verigrad.sandbox.answers import answer_is_right
from verigrad.types import AnswerTest, CallTest, InputTest, Oracle, StdioTest, Task

__all__ = ["constant_programs", "guesses", "printing", "returning"]

_Named = tuple[str, str]
"""A value as people read it, and the program or answer that gives it."""

_SUSPECTS: tuple[Any, ...] = (None, True, False, 0, 1, -1, "", [], {}, ())
_LONGEST = 2000
"""Characters of a value; longer ones are left out."""


def constant_programs(task: Task, oracle: Oracle) -> list[_Named]:
    """Programs of the task's language that answer the same whatever they are given, no two alike.

    Of tasks whose answer is text: answers that are not the one expected.
    """
    if task.language == "text":
        return _wrong_answers(oracle)
    if task.entry_point is None:
        wanted = [
            text for test in oracle.tests if isinstance(test, StdioTest) for text in (test.stdout, *test.alternatives)
        ]
        return printing(task.language, ["", *wanted])
    values = [*_SUSPECTS, *_expected(oracle)]
    return returning(task.language, task.entry_point, values, prototype=oracle.prototype)


def _expected(oracle: Oracle) -> Iterator[Any]:
    for test in oracle.tests:
        if isinstance(test, CallTest):
            yield test.expected
            if (test.comparator or oracle.comparator).mode == "any_of":
                yield from test.expected


def returning(language: str, name: str, values: Sequence[Any], *, prototype: str = "") -> list[_Named]:
    """Functions that return one of these values each; values that the language cannot express are left out.

    Args:
        language: `python`, `c`, `cpp`, `javascript`.
        name: of the function.
        values: plain ones.
        prototype: of the function, in C and C++.
    """
    write = _writer(language, name, prototype)
    programs: dict[str, str] = {}
    for value in values:
        try:
            text = repr(value)
            program = write(value) if len(text) < _LONGEST else None
        except ValueError:  # too long to write in decimal, no number outside Python, or of another type than the result
            continue
        if program is not None:
            programs.setdefault(program, text[:40])
    return [(text, program) for program, text in programs.items()]


def _writer(language: str, name: str, prototype: str) -> Callable[[Any], str]:
    if language == "python":
        return lambda value: _python(name, value)
    if language == "javascript":
        return lambda value: f"function {name}(...inputs) {{\n  return {_javascript(value)};\n}}\n"
    signature = parse(prototype, name, language)
    return lambda value: _c_function(signature, language, _c(signature.returns, signature.returns.fit(value)))


_NAMED = "nan, inf = float('nan'), float('inf')"
"""What `repr` takes for granted."""


def _python(name: str, value: Any) -> str:
    return f"def {name}(*args, **kwargs):\n    {_NAMED}\n    return {value!r}\n"


def _javascript(value: Any) -> str:
    """The value as an expression that the sandbox reads back as the value."""
    if isinstance(value, set | frozenset):
        return f"new Set([{', '.join(map(_javascript, value))}])"
    if isinstance(value, dict):
        return f"new Map([{', '.join(f'[{_javascript(key)}, {_javascript(item)}]' for key, item in value.items())}])"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_javascript, value))}]"
    if type(value) is int and abs(value) > 2**53:
        return f"{value}n"
    return json.dumps(value, allow_nan=False)


_C_HEADERS = ("stdbool.h", "stddef.h", "stdint.h", "sys/types.h")
_CPP_HEADERS = ("map", "set", "string", "tuple", "unordered_map", "unordered_set", "utility", "vector", "cstdint")


def _c_function(signature: Prototype, language: str, value: str) -> str:
    headers = "".join(f"#include <{name}>\n" for name in (_CPP_HEADERS if language == "cpp" else _C_HEADERS))
    parameters = ", ".join(f"{kind.spelling} p{index}" for index, kind in enumerate(signature.parameters))
    return f"{headers}{signature.returns.spelling} {signature.name}({parameters or 'void'}) {{\n  return {value};\n}}\n"


def _c(kind: Type, value: Any) -> str:
    """The fitting value as an expression of its type in C or C++."""
    if kind.kind == "integer":
        return f"({kind.spelling}){value}ULL" if value >= 0 else f"({kind.spelling})(-{-value - 1}LL - 1)"
    if kind.kind == "float":
        if not math.isfinite(value):
            raise ValueError(f"{value} cannot be written down")
        return f"({kind.spelling}){value.hex()}"
    if kind.kind == "bool":
        return str(int(value))
    if kind.kind == "char":
        return f"(char){value.encode('utf-8', 'surrogatepass')[0]}"
    if kind.kind == "text":
        return f"({kind.spelling}){_c_text(value)}"
    if kind.kind == "dict":
        key, item = kind.items
        parts = [f"{{{_c(key, k)}, {_c(item, v)}}}" for k, v in value.items()]
    elif kind.kind == "tuple":
        parts = [_c(own, part) for own, part in zip(kind.items, value, strict=True)]
    else:
        parts = [_c(kind.items[0], part) for part in value]
    return f"{kind.spelling}{{{', '.join(parts)}}}"


def _c_text(text: str) -> str:
    """A string literal, every byte in octal, which nothing that follows can change the meaning of."""
    return '"' + "".join(f"\\{byte:03o}" for byte in text.encode("utf-8", "surrogatepass")) + '"'


def printing(language: str, texts: Sequence[str]) -> list[_Named]:
    """Programs that print one of these texts each."""
    return [(repr(text)[:40], _prints(language, text)) for text in dict.fromkeys(texts)]


def _prints(language: str, text: str) -> str:
    if language == "python":
        return f"print({text!r}, end='')\n"
    if language == "javascript":
        return f"process.stdout.write({json.dumps(text)});\n"
    size = len(text.encode("utf-8", "surrogatepass"))
    return f"#include <stdio.h>\nint main(void) {{\n  fwrite({_c_text(text)}, 1, {size}, stdout);\n  return 0;\n}}\n"


def _wrong_answers(oracle: Oracle) -> list[_Named]:
    """Texts beside the right answer that the task's own rule refuses: another number, a letter more, another kind."""
    found: dict[str, None] = {}
    for test in oracle.tests:
        if isinstance(test, AnswerTest) and test.form == "math":
            found[f"$({test.expected}) + 1$"] = None
        elif isinstance(test, AnswerTest):
            texts = map(repr, _beside(test.expected)) if test.form == "literal" else (f"1{test.expected}", "0", "-1")
            wrong = (text for text in texts if not answer_is_right(text, test, oracle.comparator)[0])
            found.update(dict.fromkeys(itertools.islice(wrong, 2)))
    return [(f"answer {text[:40]}", text) for text in found]


def guesses(oracle: Oracle) -> list[str]:
    """Arguments that somebody might try where arguments are the answer; one of them may happen to be right.

    >>> from verigrad.types import InputTest
    >>> guesses(Oracle(task_id="t", tests=(InputTest("t", "def f(n): return n", "f", 2),)))[:3]
    ['None', 'True', 'False']
    """
    return [repr(value) for value in _SUSPECTS] if any(isinstance(test, InputTest) for test in oracle.tests) else []


def _beside(value: Any) -> tuple[Any, ...]:
    if isinstance(value, bool):
        return (not value, None)
    if isinstance(value, int | float):
        return (value + 1, 2 * value + 1, None)  # the second one is beyond most tolerances
    if isinstance(value, str):
        return (value + "a", None)
    return ([value], None)
