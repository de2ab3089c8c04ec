"""JavaScript by node: a program is a script in sloppy mode with `require`; a module in the newer style is not."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verigrad.sandbox.base import Call, ExecutionStatus, Stdin
from verigrad.sandbox.commands import Command, CommandResult
from verigrad.values import decode, encode

__all__ = ["JAVASCRIPT", "Node"]

_DRIVER = Path(__file__).with_name("drivers") / "driver.js"
_PLACE = re.compile(r"program\.js:(\d+)")
_ERROR = re.compile(r"^(?:Uncaught )?(\w*(?:Error|Exception)\b.*)$", re.MULTILINE)
_IDENTIFIER = re.compile(r"[A-Za-z_$][\w$]*")


@dataclass(frozen=True)
class Node:
    """A language that node runs. Numbers come back as floats, since it has no others, except integers beyond 2**53."""

    name: str = "javascript"
    tools: tuple[str, ...] = ("node",)
    package: str = "nodejs"
    startup_s: float = 0.05
    threads: int = 24

    def build(self, source: str, call: Call | None) -> Command:
        """Check the program's syntax."""
        if call is not None and not _IDENTIFIER.fullmatch(call.function):
            raise ValueError(f"{call.function!r} is no name of a function in JavaScript")
        return Command(("node", "--check", "program.js"), _files(source))

    def complaint(self, built: CommandResult, call: Call | None) -> tuple[ExecutionStatus, str, int | None]:
        """The syntax error, with its line."""
        error, line = self.raised(built)
        return "syntax_error", error, line

    def probe(self, call: Call | None) -> str:
        """An empty program."""
        return ""

    def start(self, source: str, built: CommandResult, item: Call | Stdin, nonce: str) -> Command:
        """The program as a script, or the driver that loads it and calls its function."""
        if isinstance(item, Stdin):
            return Command(("node", "program.js"), _files(source), stdin=item.text.encode("utf-8", "surrogatepass"))
        args = [encode(value) for value in item.args]
        job = {"nonce": nonce, "name": item.function, "args": args, "asBool": item.as_bool}
        files = {**_files(source), "driver.js": _DRIVER.read_bytes()}
        return Command(("node", "driver.js"), files, stdin=json.dumps(job).encode())

    def value(self, body: str, call: Call) -> Any:
        """The value, every number a float."""
        return decode(json.loads(body, parse_int=float)["value"])

    def raised(self, done: CommandResult) -> tuple[str, int | None]:
        """The error that ended the script, and its line."""
        text = done.stderr.decode("utf-8", "replace")
        place, error = _PLACE.search(text), _ERROR.search(text)
        what = error.group(1) if error else f"exit status {done.exit_code}"
        return what, int(place.group(1)) if place else None


def _files(source: str) -> dict[str, bytes]:
    return {"program.js": source.encode("utf-8", "surrogatepass")}


JAVASCRIPT = Node()
