"""Settings: a frozen dataclass filled from a TOML recipe and `--key value` overrides, and written back.

The dataclass alone defines what may be set: its annotations give the types, its defaults the values, its
docstring's `Attributes:` section the help. Supported annotations: `int`, `float`, `str`, `bool`, `Path`,
`Literal[...]`, `tuple[X, ...]`, `tuple[X, Y]`, `dict[str, X]`, another such dataclass, and `X | None` of these.

None is spelled `none` on the command line and `"none"` in TOML, which has no null.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import tomllib
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from verigrad.errors import ConfigError
from verigrad.registry import did_you_mean

__all__ = ["Setting", "describe", "diff", "load_config", "to_toml"]

_Config = TypeVar("_Config")
_NONE = "none"
_REQUIRED = dataclasses.MISSING
_SCALARS: dict[Any, str] = {int: "int", float: "float", str: "str", bool: "bool", Path: "path"}
_EXAMPLES: dict[Any, Any] = {int: 8, float: 0.5, str: "text", bool: True, Path: "runs/first"}


class Setting(NamedTuple):
    """One line of help: dotted key, type and default in words, and what the docstring says of it."""

    key: str
    type: str
    default: str
    sentence: str


# ------------------------------------------------------------------------------------------ reading


def load_config(cls: type[_Config], recipe: Path | None = None, overrides: Sequence[str] = ()) -> _Config:
    """Build `cls` from its defaults, then the recipe, then the overrides.

    Args:
        cls: a dataclass.
        recipe: a TOML file whose keys are the fields; nested dataclasses are tables.
        overrides: command-line words: `--learning-rate 1e-6`, `--learning-rate=1e-6`, `--model.rank 8`,
            `--eval-splits a,b`, `--shared-prompt`, `--no-shared-prompt`. Dashes and underscores are one.
            One key of a dict field is set by `--weights.tests 1`; the other keys stay. The last word counts.

    Raises:
        ConfigError: a key is unknown or missing, a value has the wrong type, or the dataclass refuses it.
    """
    table = _read_recipe(recipe) if recipe is not None else {}
    for path, text in _read_overrides(cls, overrides):
        _put(table, path, text)
    config: _Config = _build(cls, table, _REQUIRED, _Place(str(recipe) if recipe else "", ()))
    return config


@dataclass(frozen=True)
class _Place:
    """Where a value was written, for messages: a file and a key, or (without a file) a flag."""

    file: str
    path: tuple[str, ...]

    def at(self, name: str) -> _Place:
        return _Place(self.file, (*self.path, name))

    def __str__(self) -> str:
        key = ".".join(self.path)
        if self.file:
            return f"{self.file}: {key}" if key else self.file
        return _flag(key) if key else "the settings"

    def example(self, kind: Any) -> str:
        """How a right value is written here."""
        sample = _example(kind)
        if self.file:
            return f"{_key(self.path[-1])} = {_inline(sample)}"
        key = ".".join(self.path)
        while isinstance(sample, dict):
            [(name, sample)] = sample.items()
            key += "." + name
        return f"{_flag(key)} {_plain(sample)}"


@dataclass(frozen=True)
class _Text:
    """A value from the command line, not yet typed."""

    text: str
    place: _Place


class _Update(dict[str, Any]):
    """A table that only overrides made: it changes single keys of the default instead of replacing it."""


def _read_recipe(recipe: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(recipe.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the recipe {recipe}: {error.strerror}; wanted the path of a TOML file"
        ) from error
    except ValueError as error:  # not TOML, or not UTF-8
        raise ConfigError(f"{recipe} is not valid TOML: {error}") from error


def _read_overrides(cls: Any, words: Sequence[str]) -> Iterator[tuple[tuple[str, ...], _Text]]:
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or word == "--":
            raise ConfigError(
                f"got {word!r} where a setting was wanted; write it as --key value or --key=value; a recipe comes first"
            )
        name, equals, text = word[2:].partition("=")
        path, kind, negated = _locate(cls, name)
        is_bool = _without_none(kind) is bool
        if negated:
            if equals:
                raise ConfigError(f"{word!r} has a value, but --no-... takes none; write --{name[3:]} {text}")
            text = "false"
        elif not equals and is_bool:
            text = rest.pop(0) if rest and rest[0].lower() in ("true", "false", _NONE) else "true"
        elif not equals:
            if not rest or rest[0].startswith("--"):
                raise ConfigError(f"{word} has no value; write it like {_Place('', path).example(kind)}")
            text = rest.pop(0)
        yield path, _Text(text, _Place("", path))


def _locate(cls: Any, name: str) -> tuple[tuple[str, ...], Any, bool]:
    """Path and type of the setting a flag names, and whether the flag is the `--no-` form of a bool."""
    found = _walk(cls, name)
    if found:
        return *found, False
    if name.startswith(("no-", "no_")):
        found = _walk(cls, name[3:])
        if found and _without_none(found[1]) is bool:
            return *found, True
    known = [setting.key.replace("_", "-") for setting in describe(cls)]
    raise ConfigError(
        f"unknown setting --{name}{_did_you_mean_flag(name, known)}; known: {', '.join('--' + key for key in known)}"
    )


def _did_you_mean_flag(name: str, known: Sequence[str]) -> str:
    name = name.replace("_", "-")
    nested = [key for key in known if key.endswith("." + name)]
    return f" (did you mean '--{nested[0]}'?)" if nested else did_you_mean("--" + name, ["--" + key for key in known])


def _walk(cls: Any, name: str) -> tuple[tuple[str, ...], Any] | None:
    """Follow a dotted name through nested dataclasses and dicts; None where it leads nowhere."""
    kind, path = cls, []
    for part in name.split("."):
        kind = _without_none(kind)
        if dataclasses.is_dataclass(kind):
            part = part.replace("-", "_")
            if part not in _fields(kind):
                return None
            kind = _fields(kind)[part].type
        elif get_origin(kind) is dict and part:
            kind = get_args(kind)[1]
        else:
            return None
        path.append(part)
    return tuple(path), kind


def _put(table: dict[str, Any], path: tuple[str, ...], text: _Text) -> None:
    *parents, last = path
    for name in parents:
        if not isinstance(table.get(name), dict):
            table[name] = _Update()
        table = table[name]
    table[last] = text


# ----------------------------------------------------------------------------------------- building


def _build(cls: Any, table: dict[str, Any], base: Any, place: _Place) -> Any:
    """An instance of `cls`: `base` (or the defaults) with the table's values."""
    fields = _fields(cls)
    values = {}
    for name, raw in table.items():
        if name not in fields:
            raise ConfigError(
                f"{place.at(name)}: unknown key{did_you_mean(name, fields)}; known: {', '.join(sorted(fields))}"
            )
        default = fields[name].default if base is _REQUIRED else getattr(base, name)
        values[name] = _convert(fields[name].type, raw, default, place.at(name))
    if base is not _REQUIRED:
        values = {name: getattr(base, name) for name in fields} | values
    missing = [name for name, field in fields.items() if name not in values and field.default is _REQUIRED]
    if missing:
        raise ConfigError(f"{place}: {', '.join(missing)} must be given, for there is no default")
    try:
        return cls(**values)
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(f"{place}: {error}") from error


def _convert(kind: Any, raw: Any, default: Any, place: _Place) -> Any:
    """A raw value (from TOML, or a `_Text`) as a value of type `kind`; `default` is what it replaces."""
    inner = _without_none(kind)
    if isinstance(raw, _Text):
        place, raw = raw.place, _parse(inner, raw.text)
    if inner != kind and raw == _NONE:
        return None
    origin, args = get_origin(inner), get_args(inner)
    if dataclasses.is_dataclass(inner) and isinstance(raw, dict):
        return _build(inner, raw, default if type(default) is inner else _REQUIRED, place)
    if origin is dict and isinstance(raw, dict):
        start = default if isinstance(raw, _Update) and isinstance(default, dict) else {}
        return start | {key: _convert(args[1], value, start.get(key), place.at(key)) for key, value in raw.items()}
    if origin is tuple and isinstance(raw, list):
        kinds = [args[0]] * len(raw) if args[-1] is Ellipsis else list(args)
        if len(kinds) == len(raw):
            return tuple(_convert(each, item, None, place) for each, item in zip(kinds, raw, strict=True))
    if origin is Literal and any(type(raw) is type(choice) and raw == choice for choice in args):
        return raw
    if inner in _SCALARS and type(raw) in (inner, {float: int, Path: str}.get(inner)):
        return inner(raw)
    raise ConfigError(
        f"{place}: got {raw!r} ({type(raw).__name__}), wanted {_type_name(kind)}; write it like {place.example(kind)}"
    )


def _parse(kind: Any, text: str) -> Any:
    """A command-line word as the TOML value it stands for; the word itself where it cannot be `kind`."""
    origin, args = get_origin(kind), get_args(kind)
    if kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            return text
    if origin is tuple:
        items = text.split(",") if text else []
        kinds = [args[0]] * len(items) if args[-1] is Ellipsis else list(args)
        return [_parse(_without_none(each), item) for each, item in zip(kinds, items, strict=False)]
    if origin is Literal:
        return next((choice for choice in args if _plain(choice) == text), text)
    return text


# ------------------------------------------------------------------------------------------ writing


def to_toml(config: Any) -> str:
    """The whole configuration as TOML, every field named; `load_config` reads back an equal one.

    Raises:
        ConfigError: a text is literally "none" where None is possible too, and so could not be told apart.
    """
    return "\n".join(_table_lines(config, type(config), ())).lstrip("\n") + "\n"


def _table_lines(value: Any, kind: Any, path: tuple[str, ...]) -> Iterator[str]:
    """Lines of one table: its own keys first, then its sub-tables under their headers."""
    kinds = _entry_kinds(value, kind)
    items = {name: value[name] if isinstance(value, dict) else getattr(value, name) for name in kinds}
    for name, item in items.items():
        if not _is_table(item):
            if item == _NONE and _without_none(kinds[name]) != kinds[name]:
                raise ConfigError(f"{'.'.join((*path, name))}: the text 'none' means no value here; choose another")
            yield f"{_key(name)} = {_inline(item)}"
    for name, item in items.items():
        if _is_table(item):
            header = (*path, name)
            yield f"\n[{'.'.join(map(_key, header))}]"
            yield from _table_lines(item, _without_none(kinds[name]), header)


def _entry_kinds(value: Any, kind: Any) -> dict[str, Any]:
    """Annotation of every entry of a dataclass or dict."""
    if isinstance(value, dict):
        return dict.fromkeys(value, get_args(kind)[1])
    return {name: field.type for name, field in _fields(type(value)).items()}


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or dataclasses.is_dataclass(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _inline(name)


def _inline(value: Any) -> str:
    """A TOML value on one line."""
    if value is None:
        return _inline(_NONE)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str | Path):
        # TOML's escapes are JSON's, but it refuses a bare DEL and knows no surrogate pairs.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    entries = value if isinstance(value, dict) else {name: getattr(value, name) for name in _fields(type(value))}
    return "{" + ", ".join(f"{_key(name)} = {_inline(item)}" for name, item in entries.items()) + "}"


# --------------------------------------------------------------------------------- help and changes


def describe(config: Any) -> list[Setting]:
    """Every setting of a dataclass in order, nested ones by dotted key.

    Sentences come from the `Attributes:` section of each dataclass's docstring.

    Args:
        config: the class, whose defaults are told, or an instance, whose values are.
    """
    if isinstance(config, type):
        return list(_settings(config, _REQUIRED, ""))
    return list(_settings(type(config), config, ""))


def _settings(cls: Any, base: Any, prefix: str) -> Iterator[Setting]:
    sentences = _attribute_sentences(cls)
    for name, field in _fields(cls).items():
        default = field.default if base is _REQUIRED else getattr(base, name)
        inner = _without_none(field.type)
        if dataclasses.is_dataclass(inner):
            yield from _settings(inner, default if type(default) is inner else _REQUIRED, f"{prefix}{name}.")
        else:
            yield Setting(prefix + name, _type_name(field.type), _default_words(default), sentences.get(name, ""))


def _attribute_sentences(cls: Any) -> dict[str, str]:
    """Name -> text of the docstring's `Attributes:` section, continuation lines joined; inherited ones too."""
    sentences: dict[str, str] = {}
    for ancestor in reversed(cls.__mro__):
        name = ""
        _, _, section = inspect.cleandoc(ancestor.__doc__ or "").partition("Attributes:\n")
        for line in section.splitlines():
            if line and not line.startswith("    "):
                break
            start = re.fullmatch(r" {4}(\w+): (.*)", line)
            if start:
                name = start[1]
                sentences[name] = start[2].strip()
            elif name and line.strip():
                sentences[name] += " " + line.strip()
    return sentences


def diff(before: _Config, after: _Config) -> dict[str, tuple[Any, Any]]:
    """Settings that differ: dotted key -> (value before, value after), None where a side has no such key."""
    old, new = _leaves(before, ""), _leaves(after, "")
    keys = list(dict.fromkeys([*old, *new]))
    return {key: (old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)}


def _leaves(config: Any, prefix: str) -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for name in _fields(type(config)):
        value = getattr(config, name)
        nested = dataclasses.is_dataclass(value)
        leaves |= _leaves(value, f"{prefix}{name}.") if nested else {prefix + name: value}
    return leaves


# ---------------------------------------------------------------------------------- about dataclasses


class _Field(NamedTuple):
    type: Any
    default: Any  # _REQUIRED where there is none


def _fields(cls: Any) -> dict[str, _Field]:
    """The fields that can be set, by name, annotations resolved and default factories called."""
    hints = get_type_hints(cls)
    found = {}
    for field in dataclasses.fields(cls):
        if field.init:
            make = field.default_factory
            default = field.default if make is dataclasses.MISSING else make()
            found[field.name] = _Field(hints[field.name], default)
    return found


def _without_none(kind: Any) -> Any:
    """`X` of `X | None`; any other annotation as it is."""
    if get_origin(kind) in (Union, types.UnionType):
        members = [member for member in get_args(kind) if member is not type(None)]
        if len(members) == 1:
            return members[0]
    return kind


def _type_name(kind: Any) -> str:
    inner = _without_none(kind)
    origin, args = get_origin(inner), get_args(inner)
    if inner != kind:
        return _type_name(inner) + " or none"
    if inner in _SCALARS:
        return _SCALARS[inner]
    if dataclasses.is_dataclass(inner):
        return "a table of " + ", ".join(_fields(inner))
    if origin is Literal:
        return "one of " + ", ".join(map(_plain, args))
    if origin is dict:
        return "a table of " + _type_name(args[1])
    if origin is tuple and args[-1] is Ellipsis:
        return "a list of " + _type_name(args[0])
    if origin is tuple:
        return "a list: " + ", ".join(map(_type_name, args))
    raise TypeError(f"no setting can have the type {kind!r}; wanted one of those in the docstring of {__name__}")


def _example(kind: Any) -> Any:
    """Some value of a type."""
    inner = _without_none(kind)
    origin, args = get_origin(inner), get_args(inner)
    if origin is Literal:
        return args[0]
    if origin is dict:
        return {"key": _example(args[1])}
    if origin is tuple:
        return tuple(_example(arg) for arg in args if arg is not Ellipsis)
    if dataclasses.is_dataclass(inner):
        name, field = next(iter(_fields(inner).items()))
        return {name: _example(field.type)}
    return _EXAMPLES[inner]


def _plain(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(_plain, value))
    return str(value) if isinstance(value, str | Path) else _inline(value)


def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")


def _default_words(default: Any) -> str:
    if default is _REQUIRED:
        return "required"
    return _NONE if default is None else _plain(default)
