"""Part: a broken program mended, by answering a prompt that shows it, or by refinement of the program itself.

Refinement puts the broken program on the canvas as the answer to the plain question, and in each round masks what the
model doubts most and writes it anew. It can change tokens, not their number.
"""

from __future__ import annotations

from verigrad.engines.base import SamplingParams
from verigrad.engines.denoise import canvases, refine
from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.models import Twin, dtype_of
from verigrad.evaluation.twins.rows import CLOSE, OPEN, answered
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.tasks.derived import repairs
from verigrad.types import Task

__all__ = ["measure"]

_DOUBTS = 4  # forward passes that finding the doubtful tokens takes: `refine`'s default


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """Rows of greedy answers (`answer`), and for diffusion models of each round of refinement (`refine`)."""
    broken = repairs(bench.tasks, seed=bench.config.seed)
    rows = bench.answer(twin, broken, temperature=0.0, samples=1, facts={"arm": "answer", "setting": "greedy"})
    return rows + _refined(bench, twin, broken) if twin.kind == "diffusion" else rows


def _refined(bench: Bench, twin: Twin, broken: TaskSet) -> list[Row]:
    rows: list[Row] = []
    slots = bench.config.slots
    for first in range(0, len(broken), slots):
        rows += _refine(bench, twin, broken, broken.tasks[first : first + slots])
    return rows


def _refine(bench: Bench, twin: Twin, broken: TaskSet, tasks: tuple[Task, ...]) -> list[Row]:
    spec, config, encode = twin.diffusion, bench.config, twin.tokenizer.encode
    lines, spans, prompts = [], [], []
    for task in tasks:
        question, program = _parted(task)
        opened, own, closed = (encode(part, add_special_tokens=False) for part in (OPEN, program, CLOSE))
        line, start = answered(bench, twin, question, [*opened, *own, *closed])
        lines.append(line)
        prompts.append(start)
        spans.append((start + len(opened), start + len(opened) + len(own)))
    ids, real = canvases(lines, spec, prompts)
    editable = real.new_zeros(ids.shape)
    left = real.long().argmax(1).tolist()
    for row, (start, stop) in enumerate(spans):
        editable[row, left[row] + start : left[row] + stop] = True
    rounds = refine(
        twin.model,
        ids,
        editable,
        spec,
        config.one_by_one,
        sampling=[SamplingParams(temperature=0.0)] * len(tasks),
        seeds=[derive_seed(config.seed, "refine", task.id) for task in tasks],
        real=real,
        prompt_lengths=prompts,
        rounds=config.rounds,
        share=config.share,
        dtype=dtype_of(config),
    )
    rows: list[Row] = []
    passes = [0] * len(tasks)
    for number, done in enumerate(rounds, 1):
        texts = [
            twin.tokenizer.decode(
                done.ids[row, left[row] + start : left[row] + stop].tolist(), skip_special_tokens=True
            )
            for row, (start, stop) in enumerate(spans)
        ]
        statuses = bench.judge_texts([f"{OPEN}{text}{CLOSE}" for text in texts], tasks, broken)
        passes = [old + new + _DOUBTS for old, new in zip(passes, done.passes.tolist(), strict=True)]
        for row, (task, status) in enumerate(zip(tasks, statuses, strict=True)):
            rows.append(
                {
                    "arm": "refine",
                    "setting": f"round {number}",
                    "record": "sample",
                    "task_id": task.id,
                    "sample": 0,
                    "status": status,
                    "tokens": spans[row][1] - spans[row][0],
                    "passes": passes[row],
                    "completion": texts[row],
                }
            )
    return rows


def _parted(task: Task) -> tuple[str, str]:
    """The plain question of a repair task, and the broken program."""
    head, _, rest = task.prompt.rpartition(OPEN)
    return head.partition("\n")[2].rstrip("\n"), rest.removesuffix(CLOSE)
