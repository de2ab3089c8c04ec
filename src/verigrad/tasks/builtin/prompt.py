"""The text a policy sees: signature, statement, example asserts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from verigrad.types import CallTest, Comparator

__all__ = ["assertion", "literal", "write_prompt"]


def write_prompt(name: str, signature: str, statement: str, examples: Sequence[CallTest]) -> str:
    """Instruction, heading, statement and examples, in the wording MBPP made usual."""
    text = f"Write a Python function `def {name}({signature}):`\n\n{statement}"
    if not examples:
        return text
    tests = "\n".join(assertion(name, test) for test in examples)
    return f"{text}\n\nYour code should pass these tests:\n\n{tests}"


def assertion(name: str, test: CallTest) -> str:
    """One assert that says what `test` checks; tolerances show only where the expected value is one number.

    >>> assertion("halve", CallTest("example_1", (5,), 2.5, comparator=Comparator(atol=1e-6)))
    'assert abs(halve(5) - 2.5) < 1e-06'
    """
    comparator = test.comparator or Comparator()
    call = f"{name}({', '.join(literal(value) for value in test.args)})"
    wanted = literal(test.expected)
    if comparator.mode == "truthy":
        return f"assert {call}" if test.expected else f"assert not {call}"
    if comparator.mode == "any_of":
        return f"assert {call} in {wanted}"
    if comparator.mode == "multiset":
        return f"assert sorted({call}) == {literal(sorted(test.expected))}"
    if comparator.mode == "set":
        return f"assert set({call}) == {literal(set(test.expected))}"
    if comparator.atol and type(test.expected) is float:
        return f"assert abs({call} - {wanted}) < {comparator.atol}"
    return f"assert {call} == {wanted}"


def literal(value: Any) -> str:
    """`repr` of a plain value, with sets in a fixed order.

    >>> literal([{"b", "a"}, (1,), set()])
    "[{'a', 'b'}, (1,), set()]"
    """
    kind = type(value)
    if kind in (set, frozenset):
        items = ", ".join(sorted(literal(item) for item in value))
        braces = f"{{{items}}}" if value else "set()"
        return braces if kind is set else f"frozenset({braces if value else ''})"
    if kind is list:
        return "[" + ", ".join(literal(item) for item in value) + "]"
    if kind is tuple:
        return "(" + ", ".join(literal(item) for item in value) + (",)" if len(value) == 1 else ")")
    if kind is dict:
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    return repr(value)
