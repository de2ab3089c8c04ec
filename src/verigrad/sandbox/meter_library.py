"""What a measured program finds of the standard library: public names of a few modules.

Not there is what a module knows for its own use (`enum.bltns`, `random._os`), what reads attributes named in a text
(`attrgetter`, `Formatter`), and what evaluates text (`get_type_hints`, `singledispatch`): each leads to the meter.

One of the four files that `meter` is made of. Standard library only.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import importlib
import types
from collections.abc import Callable, Iterator
from typing import Any

from verigrad.sandbox.meter_rewrite import refused

__all__ = ["IMPORTS", "public_names"]

IMPORTS = frozenset(
    {
        *("abc", "bisect", "collections", "collections.abc", "copy", "dataclasses", "datetime", "decimal", "enum"),
        *("fractions", "functools", "heapq", "itertools", "math", "numbers", "operator", "random", "re", "statistics"),
        *("string", "typing", "__future__"),
    }
)
_WITHOUT: dict[str, set[str]] = {
    "dataclasses": {"make_dataclass"},
    "functools": {"singledispatch", "singledispatchmethod"},
    "operator": {"attrgetter", "methodcaller"},
    "string": {"Formatter"},
    "typing": {"get_type_hints", "get_args", "ForwardRef", "evaluate_forward_ref"},
}
_PRIVATE: dict[str, tuple[str, ...]] = {"heapq": ("_heapify_max", "_heappop_max", "_heapreplace_max")}
_PLAIN_FUNCTIONS: tuple[type, ...] = (types.FunctionType, type(functools.lru_cache(len)))
_make_dataclass_of, _update_wrapper = dataclasses.dataclass, functools.update_wrapper


def public_names(name: str, refuse: Callable[[str], BaseException]) -> types.ModuleType:
    """A module of `IMPORTS` as the program sees it.

    Args:
        refuse: makes the exception that says why the program is not rated.
    """
    module = importlib.import_module(name)
    known = vars(module)
    public = getattr(module, "__all__", None)
    if public is None:
        public = [word for word, value in known.items() if word[0] != "_" and not isinstance(value, types.ModuleType)]
    seen = types.ModuleType(f"<{name}>")  # `from a import b` falls back to the module a.b, of which there is none
    names = {*public, *_PRIVATE.get(name, ())} - _WITHOUT.get(name, set())
    vars(seen).update({word: known[word] for word in names if word in known})
    if name == "collections":
        vars(seen)["abc"] = public_names("collections.abc", refuse)
    if name == "dataclasses":
        vars(seen)["dataclass"] = _guarded_dataclass(refuse)
    if name == "functools":
        vars(seen).update(_guarded_wrappers(refuse))
    return seen


def _guarded_dataclass(refuse: Callable[[str], BaseException]) -> Callable[..., Any]:
    """Names of fields become part of a text that is executed, and are not looked at."""

    def decorated(kind: Any, options: dict[str, Any]) -> Any:
        if type(kind) not in (type, abc.ABCMeta):
            raise refuse("it makes a dataclass of a metaclass of its own")
        for name in _names_of_fields(kind):
            if refused(name) or not name.isidentifier():
                raise refuse("it makes a dataclass with a field of a name that is none")
        return _make_dataclass_of(**options)(kind)

    def dataclass(kind: Any = None, /, **options: Any) -> Any:
        return decorated(kind, options) if kind is not None else lambda kind: decorated(kind, options)

    return dataclass


def _names_of_fields(kind: Any) -> Iterator[Any]:
    """Those of annotations and of the classes above, or None where it cannot be known."""
    annotations = getattr(kind, "__annotations__", {})
    yield from annotations if type(annotations) is dict else (None,)
    for above in kind.__mro__:
        fields = vars(above).get("__dataclass_fields__", {})
        for field in fields.values() if type(fields) is dict else (None,):
            yield field.name if type(field) is dataclasses.Field else None


def _guarded_wrappers(refuse: Callable[[str], BaseException]) -> dict[str, Any]:
    """`wraps` hands a list of attributes on, given as text, from anything to anything."""

    def update_wrapper(wrapper: Any, wrapped: Any) -> Any:
        if type(wrapper) not in _PLAIN_FUNCTIONS or type(wrapped) not in _PLAIN_FUNCTIONS:
            raise refuse("it wraps what is no function")
        return _update_wrapper(wrapper, wrapped)

    def wraps(wrapped: Any) -> Any:
        return lambda wrapper: update_wrapper(wrapper, wrapped)

    return {"update_wrapper": update_wrapper, "wraps": wraps}
