"""Part: how some answers came about, token by token, for the page to play."""

from __future__ import annotations

from dataclasses import replace

from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.models import Twin

__all__ = ["measure"]


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """A row a played task, one token a step and by the first threshold: `tokens` and the `steps` they came in."""
    config = bench.config
    rows: list[Row] = []
    chosen = bench.tasks.tasks[: config.played]
    ways = {"one token a step": config.one_by_one}
    if config.thresholds:
        ways[f"threshold {config.thresholds[0]:g}"] = config.by_threshold(config.thresholds[0])
    for name, way in ways.items():
        denoise = replace(way, remask_rounds=0)  # a step map knows last times alone
        written = bench.write(twin, bench.requests(twin, chosen, temperature=0.0), denoise).completions
        statuses = bench.judge_texts([own.text for own in written], chosen, bench.tasks)
        for task, completion, status in zip(chosen, written, statuses, strict=True):
            rows.append(
                {
                    "record": "playback",
                    "arm": "playback",
                    "setting": name,
                    "task_id": task.id,
                    "prompt": task.prompt,
                    "status": status,
                    "tokens": [twin.tokenizer.decode([id_]) for id_ in completion.ids],
                    "steps": list(completion.step_map or ()),
                    "logprobs": list(completion.sampler_logprobs),
                }
            )
    return rows
