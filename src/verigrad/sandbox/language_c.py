"""C and C++ by gcc: a program is compiled once, with a generated `main` around its function where one is called."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from verigrad.prototypes import Prototype, Type, parse
from verigrad.sandbox.base import Call, ExecutionStatus, Stdin
from verigrad.sandbox.commands import Command, CommandResult

__all__ = ["CPP", "C", "Gcc"]

_DRIVERS = Path(__file__).with_name("drivers")
_ERROR = re.compile(r"^(?:\./)?([^:\n]+):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.MULTILINE)
_ABSENT = re.compile(
    r"not declared|not been declared|undeclared|no matching function|too (?:few|many) arguments|undefined reference"
)
_MACROS = ("main", "int", "long", "char", "double", "return", "auto", "for", "if", "while")
"""What programs may have redefined: `#define int long long` is a habit."""


@dataclass(frozen=True)
class Gcc:
    """A language that gcc compiles."""

    name: str
    compiler: str
    standard: str
    package: str
    startup_s: float = 0.0
    threads: int = 0

    @property
    def tools(self) -> tuple[str, ...]:
        return (self.compiler,)

    @property
    def _source(self) -> str:
        return f"program.{self.name}"

    def build(self, source: str, call: Call | None) -> Command:
        """Compile the program, with a driver around it where it is called."""
        files = {self._source: source.encode("utf-8", "surrogatepass")}
        main = self._source
        if call is not None:
            main = f"main.{self.name}"
            files[main] = self._main(parse(call.prototype, call.function, self.name)).encode()
            for name in ("driver.h", "driver.hpp"):
                files[name] = (_DRIVERS / name).read_bytes()
        options = ("-O2", "-w", "-fmax-errors=5", "-fno-diagnostics-show-caret", "-fdiagnostics-color=never")
        argv = (self.compiler, f"-std={self.standard}", *options, main, "-o", "program", "-lm")
        return Command(argv, files, keep=("program",))

    def complaint(self, built: CommandResult, call: Call | None) -> tuple[ExecutionStatus, str, int | None]:
        """The compiler's first error in the program; one about the function, elsewhere, says that it is not there."""
        text = built.stderr.decode("utf-8", "replace")
        errors = _ERROR.findall(text)
        inside = [(int(line), what) for file, line, what in errors if file == self._source]
        if inside:
            return "syntax_error", inside[0][1], inside[0][0]
        first = errors[0][2] if errors else text.strip()
        if (call is not None or "main" in text) and _ABSENT.search(text):
            name = call.function if call is not None else "main"
            return "no_entry_point", f"the program defines no function {name!r} that can be called: {first}", None
        return "syntax_error", first, None

    def probe(self, call: Call | None) -> str:
        """A program that does nothing, with the function if one is called."""
        header = "#include <iostream>\n" if self.name == "cpp" else "#include <stdio.h>\n"
        if call is None:
            return header + "int main(void) { return 0; }\n"
        prototype = parse(call.prototype, call.function, self.name)
        parameters = ", ".join(f"{kind.spelling} p{index}" for index, kind in enumerate(prototype.parameters))
        return f"{header}{prototype.returns.spelling} {prototype.name}({parameters}) {{ __builtin_trap(); }}\n"

    def start(self, source: str, built: CommandResult, item: Call | Stdin, nonce: str) -> Command:
        """The compiled program; arguments of a call are words on its standard input."""
        files = {"program": built.files["program"]}
        if isinstance(item, Stdin):
            return Command(("./program",), files, stdin=item.text.encode("utf-8", "surrogatepass"))
        parameters = parse(item.prototype, item.function, self.name).parameters
        words = "".join(kind.write(value) for kind, value in zip(parameters, item.args, strict=True))
        return Command(("./program",), files, stdin=f"{nonce} {words}\n".encode())

    def value(self, body: str, call: Call) -> Any:
        """The value, read as the type that the function returns."""
        return parse(call.prototype, call.function, self.name).returns.read(json.loads(body)["value"])

    def raised(self, done: CommandResult) -> tuple[str, int | None]:
        """The exit status and the last line printed as an error."""
        lines = done.stderr.decode("utf-8", "replace").split("\n")
        last = next((line for line in reversed(lines) if line.strip()), "")
        return f"exit status {done.exit_code}" + (f": {last}" if last else ""), None

    def _main(self, prototype: Prototype) -> str:
        body = self._cpp_body(prototype) if self.name == "cpp" else self._c_body(prototype)
        return "\n".join(
            [
                f'#include "driver.{"hpp" if self.name == "cpp" else "h"}"',
                "#define main verigrad_program_main",
                f'#include "{self._source}"',
                *(f"#undef {name}" for name in _MACROS),
                "int main(void) {",
                "verigrad_begin();",
                *body,
                "}",
                "",
            ]
        )

    def _cpp_body(self, prototype: Prototype) -> list[str]:
        reads = [
            f"auto verigrad_{index} = verigrad_driver::read<{kind.spelling}>();"
            for index, kind in enumerate(prototype.parameters)
        ]
        return [*reads, f"verigrad_driver::answer([&] {{ return ::{prototype.name}({_names(prototype)}); }});"]

    def _c_body(self, prototype: Prototype) -> list[str]:
        reads = [line for index, kind in enumerate(prototype.parameters) for line in _read(f"verigrad_{index}", kind)]
        kind = prototype.returns
        result = f"{kind.spelling} verigrad_result = ({kind.spelling}){prototype.name}({_names(prototype)});"
        return [
            *reads,
            result,
            "verigrad_open();",
            f"verigrad_put_{_word(kind)}(verigrad_result);",
            "verigrad_close();",
        ]


def _names(prototype: Prototype) -> str:
    return ", ".join(f"verigrad_{index}" for index in range(len(prototype.parameters)))


def _word(kind: Type) -> str:
    """What the driver's functions for a type are called after."""
    if kind.kind == "integer":
        return "signed" if kind.signed else "unsigned"
    return kind.kind


def _read(name: str, kind: Type) -> list[str]:
    """C that declares `name` and reads it."""
    if kind.kind != "list":
        return [f"{kind.spelling} {name} = ({kind.spelling})verigrad_{_word(kind)}();"]
    (item,) = kind.items
    return [
        f"size_t {name}_count = verigrad_count();",
        f"{item.spelling} *{name} = verigrad_array({name}_count, sizeof({item.spelling}));",
        f"for (size_t i = 0; i < {name}_count; i++) {name}[i] = ({item.spelling})verigrad_{_word(item)}();",
    ]


C = Gcc("c", "gcc", "gnu17", "gcc libc6-dev")
CPP = Gcc("cpp", "g++", "gnu++17", "g++")
