"""Part: what a program returns (CRUXEval's output prediction, on the tasks' own gold programs)."""

from __future__ import annotations

from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.models import Twin
from verigrad.tasks.derived import outputs

__all__ = ["measure"]


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """Rows of greedy answers."""
    asked = outputs(bench.tasks, seed=bench.config.seed)
    return bench.answer(twin, asked, temperature=0.0, samples=1, facts={"arm": "answer", "setting": "greedy"})
