"""What a tiny model learns procedural programs from: texts, better texts, demonstrations. All of split `train`."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from verigrad.seeds import derive_seed
from verigrad.tasks.builtin.prompt import literal
from verigrad.tasks.procedural.suite import load
from verigrad.types import CallTest, Oracle, Task

__all__ = ["annealed_texts", "demonstrations", "texts"]

_AT_ONCE = 9000  # of the 38,000 programs of depth 2
_TASKS = 1 << 20  # seeds of task sets stay below, so that ids stay short


def texts(count: int, *, depth: int, seed: int) -> Iterator[str]:
    """Documents to pre-train on: programs behind their statement, without one, or before what they return."""
    for task, oracle in _tasks(count, depth, seed, "texts"):
        kind = Random(derive_seed(seed, "texts", task.id)).random()
        if kind < 0.7:
            yield f"{task.prompt}\n{oracle.gold}"
        else:
            yield f"{oracle.gold}{_calls(task, oracle)}" if kind < 0.9 else str(oracle.gold)


def annealed_texts(count: int, *, depth: int, seed: int) -> Iterator[str]:
    """Documents for the last part of pre-training: questions with their answers, in all forms, fenced as in a chat."""
    for prompt, answer in demonstrations(count, depth=depth, seed=derive_seed(seed, "annealed")):
        yield f"{prompt}\n{answer}"


def demonstrations(count: int, *, depth: int, seed: int) -> Iterator[tuple[str, str]]:
    """Prompts and answers: six of ten are programs to write, two programs to mend, two results to tell."""
    shares = {"write": 0.6, "repair": 0.2, "output": 0.2}
    found: list[tuple[str, str]] = []
    for form, share in shares.items():
        for task, oracle in _tasks(round(count * share), depth, seed, "demonstrations", form):
            gold = (oracle.gold or "").strip()
            found.append((task.prompt, gold if task.language == "text" else f"```python\n{gold}\n```"))
    Random(derive_seed(seed, "demonstrations")).shuffle(found)
    yield from found


def _tasks(count: int, depth: int, seed: int, *purpose: str) -> Iterator[tuple[Task, Oracle]]:
    """Tasks in sets of `_AT_ONCE`, in none of which a program comes twice: there are not as many as one may ask for."""
    form = purpose[-1] if purpose[-1] in ("repair", "output") else "write"
    for number, first in enumerate(range(0, count, _AT_ONCE)):
        own = derive_seed(seed, *purpose, *([f"set {number}"] if number else [])) % _TASKS
        tasks = load("train", form=form, count=min(_AT_ONCE, count - first), depth=depth, seed=own)
        for task in tasks.tasks:
            yield task, tasks.oracle(task)


def _calls(task: Task, oracle: Oracle) -> str:
    tests = [test for test in oracle.tests if isinstance(test, CallTest)][:3]
    return "".join(
        f"{task.entry_point}({', '.join(map(literal, test.args))}) == {literal(test.expected)}\n" for test in tests
    )
