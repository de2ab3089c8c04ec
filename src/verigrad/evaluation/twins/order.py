"""Part: in which order a diffusion model writes, one token a step, at several temperatures."""

from __future__ import annotations

from dataclasses import replace

from verigrad.evaluation.twins.ar_ness import global_ar_ness, local_ar_ness, order_of
from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.models import Twin

__all__ = ["KS", "measure"]

KS = (1, 2, 4, 8)


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """A row a task and temperature: AR-ness of the answer, up to its end, for each k."""
    config = bench.config
    denoise = replace(config.one_by_one, remask_rounds=0)  # a step map knows last times alone
    rows: list[Row] = []
    for heat in config.order_temperatures:
        requests = bench.requests(twin, bench.tasks.tasks, temperature=heat)
        written = bench.write(twin, requests, denoise).completions
        for task, completion in zip(bench.tasks.tasks, written, strict=True):
            order = order_of(completion.step_map or ())
            rows.append(
                {
                    "record": "order",
                    "arm": "order",
                    "setting": heat,
                    "task_id": task.id,
                    "tokens": len(completion.ids),
                    **{f"local@{k}": local_ar_ness(order, k) for k in KS},
                    **{f"global@{k}": global_ar_ness(order, k) for k in KS},
                }
            )
    return rows
