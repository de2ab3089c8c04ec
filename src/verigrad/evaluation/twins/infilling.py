"""Part: gaps of one line, and of several, in gold programs; the length of the gap told, averaged, fixed or free.

    oracle    the gap has the places of what stood there: it tells the answer's length
    average   the mean over all gaps of this kind, rounded
    fixed     a number set beforehand
    free      until the model ends it itself, which only causal models can

A causal model under the first three may end sooner, and is cut off there.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.gaps import Filled, fill_canvas, middle_ids, write_middle
from verigrad.evaluation.twins.models import Twin
from verigrad.tasks.derived import Infill, infills

__all__ = ["LENGTHS", "measure"]

LENGTHS = ("oracle", "average", "fixed", "free")


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """A row a gap and way: `arm` is `canvas`, `fim` or `prefix`, `setting` the gap's size and its length's policy."""
    rows: list[Row] = []
    for size, several in (("one line", False), ("several lines", True)):
        gaps = infills(bench.tasks, several_lines=several, seed=bench.config.seed)
        if not gaps:
            continue
        for length in LENGTHS:
            places = _places(bench, twin, gaps, length)
            for arm, filled in _ways(bench, twin, gaps, places, length).items():
                rows += _rows(bench, gaps, filled, {"arm": arm, "setting": f"{size}, {length}"})
    return rows


def _places(bench: Bench, twin: Twin, gaps: Sequence[Infill], length: str) -> list[int]:
    own = [len(middle_ids(twin, gap)) for gap in gaps]
    if length == "oracle":
        return own
    if length == "free":
        return [bench.config.max_tokens] * len(gaps)
    return [round(fmean(own)) if length == "average" else bench.config.gap] * len(gaps)


def _ways(
    bench: Bench, twin: Twin, gaps: Sequence[Infill], places: Sequence[int], length: str
) -> dict[str, list[Filled]]:
    if twin.kind == "diffusion":
        if length == "free":
            return {}
        return {"canvas": fill_canvas(bench, twin, gaps, places, bench.config.one_by_one)}
    return {arm: write_middle(bench, twin, gaps, places, suffix=arm == "fim") for arm in ("fim", "prefix")}


def _rows(bench: Bench, gaps: Sequence[Infill], filled: Sequence[Filled], facts: Row) -> list[Row]:
    programs = [gap.prefix + own.middle + gap.suffix for gap, own in zip(gaps, filled, strict=True)]
    statuses = bench.judge(programs, [gap.task for gap in gaps], bench.tasks)
    return [
        {
            **facts,
            "record": "sample",
            "task_id": gap.task.id,
            "sample": 0,
            "status": status,
            "exact": own.middle.rstrip() == gap.middle.rstrip(),
            "tokens": own.tokens,
            "passes": own.passes,
            "completion": own.middle,
        }
        for gap, own, status in zip(gaps, filled, statuses, strict=True)
    ]
