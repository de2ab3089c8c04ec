"""Part: fewer steps, or a threshold, against quality, forward passes and time; the causal model with its KV cache.

All greedy, one sample a task, the same prompts in one batch of the same number of slots.
"""

from __future__ import annotations

from dataclasses import replace

from verigrad.engines.denoise_params import DenoiseParams
from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.config import CompareConfig
from verigrad.evaluation.twins.models import Twin

__all__ = ["measure", "settings"]


def settings(config: CompareConfig) -> dict[str, DenoiseParams]:
    """Ways of filling a canvas by name: numbers of steps, thresholds."""
    counts = sorted({round(fraction * config.max_tokens) for fraction in config.fractions}, reverse=True)
    found = {f"{count} steps": replace(config.one_by_one, steps=count) for count in counts}
    return found | {f"threshold {own:g}": config.by_threshold(own) for own in config.thresholds}


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """Rows of greedy answers; `setting` is the name of the way."""
    if twin.kind == "causal":
        return bench.answer(
            twin, bench.tasks, temperature=0.0, samples=1, facts={"arm": "greedy", "setting": "KV cache"}
        )
    rows = []
    for name, denoise in settings(bench.config).items():
        facts = {"arm": "greedy", "setting": name}
        rows += bench.answer(twin, bench.tasks, temperature=0.0, samples=1, denoise=denoise, facts=facts)
    return rows
