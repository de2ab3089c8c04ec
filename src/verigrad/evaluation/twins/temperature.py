"""Part: many samples of every task at several temperatures, for pass@k."""

from __future__ import annotations

from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.models import Twin

__all__ = ["measure"]


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """Rows of all samples; `setting` is the temperature."""
    config = bench.config
    rows = []
    for heat in config.temperatures:
        facts = {"arm": "samples", "setting": heat}
        rows += bench.answer(twin, bench.tasks, temperature=heat, samples=config.samples, facts=facts)
    return rows
