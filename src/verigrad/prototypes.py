"""Typed signatures of C and C++ functions: read from a prototype, checked against the plain values of a task's tests.

    parse("double mean(const double *values, int n);", "mean", "c")

Values take the form their type asks for: an int where a double is wanted becomes a float, a list where a pair is
wanted a tuple. What cannot be converted without loss is refused, so that a task is found wrong before any program is
judged by it. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["Kind", "Prototype", "Type", "parse"]

Kind = Literal["integer", "float", "bool", "char", "text", "list", "tuple", "dict", "set"]

_SUPPORTED = {
    "c": "integers, float, double, bool, char, strings (char *), and as parameters arrays of these (int *values)",
    "cpp": "integers, float, double, bool, char, std::string, and std::vector, pair, tuple, map, unordered_map, set "
    "and unordered_set of these, by value or by reference",
}
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/|^[ \t]*#[^\n]*", re.DOTALL | re.MULTILINE)
_TOKEN = re.compile(r"\s*(\w+|::|\[\s*\]|\S)")
_IGNORED = ("const", "static", "inline", "extern", "constexpr", "restrict", "std", "::", "&", "struct")
_SIZED = {f"{sign}int{bits}_t": (bits, sign == "") for sign in ("", "u") for bits in (8, 16, 32, 64)}
_SIZED |= {"size_t": (64, False), "ssize_t": (64, True), "ptrdiff_t": (64, True)}
_INTEGER_WORDS = ("unsigned", "signed", "short", "long", "int", "char")
_PLAIN: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "float": (int, float),
    "bool": (bool,),
    "char": (str,),
    "text": (str,),
}
_CONTAINERS: Mapping[str, tuple[Kind, int | None]] = {
    "vector": ("list", 1),
    "pair": ("tuple", 2),
    "tuple": ("tuple", None),
    "map": ("dict", 2),
    "unordered_map": ("dict", 2),
    "set": ("set", 1),
    "unordered_set": ("set", 1),
}


@dataclass(frozen=True)
class Type:
    """A type that plain values can be turned into and back.

    Attributes:
        kind: of plain value; a `char` is a text of one character.
        spelling: in the language, without `const` and `&`.
        items: of a container: of its elements, or keys and values.
        bits: of an integer, with `signed`.
    """

    kind: Kind
    spelling: str
    items: tuple[Type, ...] = ()
    bits: int = 0
    signed: bool = True

    def fit(self, value: Any) -> Any:
        """The value in the form that this type has.

        Raises:
            ValueError: it has none.

        >>> parse("std::pair<double, int> f(int x)", "f", "cpp").returns.fit([1, 2])
        (1.0, 2)
        """
        if self.kind in ("list", "tuple", "set", "dict"):
            return self._fit_many(value)
        if type(value) not in _PLAIN[self.kind]:
            raise ValueError(f"wanted a value for {self.spelling}, got {_short(value)}")
        if self.kind == "integer":
            low = -(1 << self.bits - 1) if self.signed else 0
            if not low <= value < low + (1 << self.bits):
                raise ValueError(f"{value} does not fit into {self.spelling} ({self.bits} bits)")
        if self.kind == "char" and len(value.encode("utf-8", "surrogatepass")) != 1:
            raise ValueError(f"wanted one character of one byte for {self.spelling}, got {_short(value)}")
        if self.kind in ("text", "char") and "\0" in value:
            raise ValueError(f"a text for {self.spelling} cannot hold a null character")
        return float(value) if self.kind == "float" else value

    def _fit_many(self, value: Any) -> Any:
        if self.kind == "dict":
            if not isinstance(value, dict):
                raise ValueError(f"wanted a dict for {self.spelling}, got {_short(value)}")
            return {self.items[0].fit(key): self.items[1].fit(item) for key, item in value.items()}
        allowed = (set, frozenset) if self.kind == "set" else (list, tuple)
        if not isinstance(value, allowed):
            raise ValueError(f"wanted a {self.kind} for {self.spelling}, got {_short(value)}")
        if self.kind == "set":
            return {self.items[0].fit(item) for item in value}
        if self.kind == "list":
            return [self.items[0].fit(item) for item in value]
        if len(value) != len(self.items):
            raise ValueError(f"wanted {len(self.items)} parts for {self.spelling}, got {_short(value)}")
        return tuple(item.fit(part) for item, part in zip(self.items, value, strict=True))

    def write(self, value: Any) -> str:
        """A fitting value as the words that drivers read: numbers, lengths before what has one, texts in hexadecimal.

        >>> parse("int f(std::vector<std::string> x)", "f", "cpp").parameters[0].write(["ab", ""])
        '2 2 6162 0 '
        """
        if self.kind in ("text", "char"):
            data = value.encode("utf-8", "surrogatepass")
            return f"{len(data)} {data.hex()} " if data else "0 "
        if self.kind == "float":
            return f"{value.hex() if value == value else 'nan'} "
        if self.kind in ("integer", "bool"):
            return f"{int(value)} "
        if self.kind == "tuple":
            return "".join(item.write(part) for item, part in zip(self.items, value, strict=True))
        if self.kind == "dict":
            key, item = self.items
            return f"{len(value)} " + "".join(key.write(k) + item.write(v) for k, v in value.items())
        return f"{len(value)} " + "".join(self.items[0].write(part) for part in value)

    def read(self, form: Any) -> Any:
        """The value of the JSON form that drivers write: containers as arrays, dicts as arrays of pairs.

        Raises:
            ValueError: it is not of this type.
        """
        if self.kind == "dict":
            pairs = [self._part(item, 2) for item in self._part(form)]
            return {self.items[0].read(key): self.items[1].read(item) for key, item in pairs}
        if self.kind == "tuple":
            return tuple(
                item.read(part) for item, part in zip(self.items, self._part(form, len(self.items)), strict=True)
            )
        if self.kind == "list":
            return [self.items[0].read(part) for part in self._part(form)]
        if self.kind == "set":
            return {self.items[0].read(part) for part in self._part(form)}
        if self.kind == "text" and (form is None or type(form) is str):  # a null pointer; null characters
            return form
        return self.fit(form)

    def _part(self, form: Any, length: int | None = None) -> list[Any]:
        if type(form) is not list or length not in (None, len(form)):
            raise ValueError(f"malformed {self.spelling}")
        return form


@dataclass(frozen=True)
class Prototype:
    """A function's signature."""

    name: str
    returns: Type
    parameters: tuple[Type, ...]

    def __str__(self) -> str:
        return f"{self.returns.spelling} {self.name}({', '.join(kind.spelling for kind in self.parameters)})"

    def fit(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Arguments in the form that the parameters have.

        Raises:
            ValueError: they are too many or too few, or one does not fit.
        """
        if len(args) != len(self.parameters):
            raise ValueError(f"{self.name} takes {len(self.parameters)} arguments, got {len(args)}")
        return tuple(kind.fit(value) for kind, value in zip(self.parameters, args, strict=True))


def parse(source: str, function: str, language: str) -> Prototype:
    """The prototype of `function` in `source`, which may go on with its body and hold more.

    Raises:
        ValueError: it is not there, or has a type that values cannot be turned into; the message lists which can.

    >>> [kind.kind for kind in parse("bool all(const int *a, size_t n) {", "all", "c").parameters]
    ['list', 'integer']
    """
    text = _COMMENT.sub(" ", source)
    found = re.search(rf"([^;{{}}]*?)\b{re.escape(function)}\s*\(([^()]*)\)", text)
    if found is None or not found.group(1).strip():
        raise ValueError(f"no prototype of {function}; wanted one such as 'int {function}(int x);'")
    try:
        returns = _parse_type(found.group(1), language)
        inside = found.group(2).strip()
        parameters = [_parse_type(part, language, named=True) for part in _split(inside) if part.strip() != "void"]
    except ValueError as error:
        raise ValueError(f"{function}: {error}; supported are {_SUPPORTED[language]}") from error
    if language == "c" and returns.kind == "list":
        raise ValueError(f"{function}: an array cannot be returned; supported are {_SUPPORTED[language]}")
    return Prototype(function, returns, tuple(parameters))


def _split(text: str) -> list[str]:
    """At commas outside of angle brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "<") - (character == ">")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts if text else []


def _parse_type(text: str, language: str, *, named: bool = False) -> Type:
    """The type of a declaration; `named` if a parameter's name may follow it."""
    tokens = [token for token in _TOKEN.findall(text) if token not in _IGNORED]
    if language == "cpp":
        kind, rest = _parse_cpp(tokens, text)
        if rest and not (named and len(rest) == 1 and rest[0].isidentifier()):
            raise ValueError(f"the type {text.strip()!r} is not supported")
        return kind
    stars = sum(token == "*" or token.startswith("[") for token in tokens)
    words = [token for token in tokens if token != "*" and not token.startswith("[")]
    kind, rest = _parse_scalar(words, text)
    if len(rest) > 1 or (rest and not named):
        raise ValueError(f"the type {text.strip()!r} is not supported")
    if stars and kind.kind == "char":
        kind, stars = Type("text", "char *"), stars - 1
    if stars > 1:
        raise ValueError(f"the type {text.strip()!r} is not supported")
    return Type("list", f"{kind.spelling} *", (kind,)) if stars else kind


def _parse_cpp(tokens: list[str], text: str) -> tuple[Type, list[str]]:
    """The type that the tokens begin with, and those after it."""
    name = tokens[0] if tokens else ""
    if name == "string":
        return Type("text", "std::string"), tokens[1:]
    if name not in _CONTAINERS:
        return _parse_scalar(tokens, text)
    kind, count = _CONTAINERS[name]
    items: list[Type] = []
    rest = tokens[1:]
    while rest and rest[0] == ("," if items else "<"):
        item, rest = _parse_cpp(rest[1:], text)
        items.append(item)
    if not rest or rest[0] != ">" or (count or len(items)) != len(items):
        raise ValueError(f"the type {text.strip()!r} is not supported")
    spelling = f"std::{name}<{', '.join(item.spelling for item in items)}>"
    return Type(kind, spelling, tuple(items)), rest[1:]


def _parse_scalar(tokens: list[str], text: str) -> tuple[Type, list[str]]:
    name, rest = (tokens[0], tokens[1:]) if tokens else ("", [])
    if name in ("double", "float"):
        return Type("float", name), rest
    if name in ("bool", "_Bool"):
        return Type("bool", "bool"), rest
    if name in _SIZED:
        bits, signed = _SIZED[name]
        return Type("integer", name, bits=bits, signed=signed), rest
    words = []
    while tokens and tokens[0] in _INTEGER_WORDS:
        words.append(tokens[0])
        tokens = tokens[1:]
    if words == ["char"]:
        return Type("char", "char"), tokens
    if not words or (words[0] == "long" and tokens[:1] == ["double"]):
        raise ValueError(f"the type {text.strip()!r} is not supported")
    bits = 8 if "char" in words else 16 if "short" in words else 64 if "long" in words else 32
    return Type("integer", " ".join(words), bits=bits, signed="unsigned" not in words), tokens


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
