"""`report.html`: what a run did, on one page that needs nothing but itself.

The page of a run that trained a policy is here, that of a reward model in `report_reward_model`. Figures of a split
come from its evaluation rows by `compare.summarize_split`; where only `summary.json` is left, from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from verigrad.evaluation.compare import gain_breakdown, mcnemar, results_by_task, summarize_split
from verigrad.evaluation.pass_at_k import Estimate, task_rates
from verigrad.evaluation.reports.audit import AUDITED, audit_section
from verigrad.evaluation.reports.charts import IntervalRow, Series, interval_chart, legend, percent, points
from verigrad.evaluation.reports.page import page, section, table
from verigrad.evaluation.reports.parts import configuration, curve_note, further_panels, header, notes, panel
from verigrad.evaluation.reports.proxy import PROXY, proxy_and_gold
from verigrad.evaluation.reports.reward_model import reward_model_page
from verigrad.evaluation.reports.run_folder import RunFolder, read_run
from verigrad.evaluation.reports.samples import breakdowns, causes, samples
from verigrad.writing import write_or_tell

__all__ = ["write_report"]

# Curves in the order they are shown: metric, title, unit, whether it is a share.
_CURVES = (
    ("reward", "Training reward", "mean reward", False),
    ("pass_rate", "Training pass rate", "share of rollouts", True),
    ("pass@1", "Validation pass@1", "share of samples", True),
    ("completion_tokens", "Completion length", "tokens", False),
    ("truncated", "Truncated completions", "share of rollouts", True),
    ("format", "Failures of extraction and syntax", "share of rollouts", True),
    ("entropy", "Entropy of the policy", "nats per token", False),
    ("kl", "KL to the reference", "nats per token", False),
    ("sampler_drift", "Drift between sampler and trainer", "nats per token", False),
    ("tokens_per_second", "Speed", "tokens per second", False),
    ("loss", "Loss", "loss", False),
    ("masked_ce", "Cross-entropy of masked tokens", "nats", False),
)
_FORMAT_LABELS = {"c1": "no program found", "c2": "syntax error", "c3": "both, as a share of failures"}
_GAIN_NOTE = (
    "pass@1 is the share of answers with a program that parses, times the share of those that pass. "
    "The gain is split between the two, and the parts add up to it exactly."
)


def write_report(run_dir: Path | str, out: Path | str | None = None) -> Path:
    """Write the report of a run folder, the page that fits the kind of run, and return its path.

    Args:
        run_dir: the run folder; missing parts are left out of the page and named in its notes.
        out: file to write; `report.html` in the run folder by default.

    Raises:
        RunError: there is no such folder, nothing of a run in it, or the page cannot be written.
    """
    run = read_run(run_dir)
    target = Path(out) if out is not None else run.path / "report.html"
    body = reward_model_page(run) if run.of_reward_model else _policy_page(run)
    text = page(f"{run.path.resolve().name}: report", body)
    write_or_tell(target, text, f"free space, then: verigrad inspect {run.path} --report")
    return target


def _policy_page(run: RunFolder) -> str:
    settings = {**run.settings(), **run.summary.get("setup", {})}
    words = [str(settings[key]) for key in ("model", "algorithm", "tasks") if settings.get(key)]
    return "\n".join(
        [
            header(run, words),
            section("Before and after", _headline(run), "pass@1 with 95 % intervals."),
            section("Where the gain comes from", _gains(run), _GAIN_NOTE),
            section(*proxy_and_gold(run)),
            section(*audit_section(run)),
            section("Training", _curves(run), curve_note(run)),
            *(section(*part) for part in (breakdowns(run), causes(run), samples(run))),
            configuration(run),
            notes(run, _caveats(run)),
        ]
    )


# ------------------------------------------------------------------------------------------- headline


def _split_figures(run: RunFolder) -> dict[str, dict[str, Any]]:
    """Split -> figures, in the summary's order; what can be computed from rows is."""
    figures = {name: dict(split) for name, split in run.summary.get("splits", {}).items()}
    for name, sides in run.evaluations.items():
        figures[name] = {**figures.get(name, {}), **summarize_split(sides["before"], sides["after"])}
    return {name: split for name, split in figures.items() if "before" in split or "after" in split}


def _headline(run: RunFolder) -> str:
    cards = "".join(_split_card(run, name, split) for name, split in _split_figures(run).items())
    key = legend([("before", "before training"), ("after", "after training")])
    return f'{key}<div class="grid2">{cards}</div>' if cards else ""


def _split_card(run: RunFolder, name: str, split: Mapping[str, Any]) -> str:
    before, after = (_estimate(split, side) for side in ("before", "after"))
    values = [percent(side.value) if side else "–" for side in (before, after)]
    size = f"{split.get('num_tasks', '?')} tasks, {split.get('num_samples', '?')} samples"
    return (
        f'<div class="card"><h3>{escape(name)} <small>{size}</small></h3>'
        f'<p class="big"><span class="from">{values[0]}</span> <span class="arrow">→</span> {values[1]}</p>'
        f"{_difference_line(split)}"
        f'<div class="plain">{interval_chart([IntervalRow(name, before, after)])}</div>{_task_changes(run, name)}</div>'
    )


def _estimate(split: Mapping[str, Any], side: str) -> Estimate | None:
    if side not in split:
        return None
    figures = split[side]
    tasks, samples = (figures.get(name, split.get(name, 0)) for name in ("num_tasks", "num_samples"))
    return Estimate(figures["pass@1"], figures["low"], figures["high"], tasks, samples)


def _difference_line(split: Mapping[str, Any]) -> str:
    if "difference" not in split:
        return ""
    value, low, high = (split["difference"][key] for key in ("value", "low", "high"))
    css, verdict = ("up", "") if low > 0 else ("down", "") if high < 0 else ("", "; the interval includes no change")
    interval = f"95 % interval {points(low)} to {points(high)}{verdict}"
    return (
        f'<p><span class="delta {css}">{points(value)} percentage points</span> '
        f'<small title="{interval}">{interval}</small></p>'
    )


def _task_changes(run: RunFolder, name: str) -> str:
    """How many tasks went up and down, with McNemar's test where every task has one sample."""
    sides = run.evaluations.get(name, {"before": (), "after": ()})
    before, after = results_by_task(sides["before"]), results_by_task(sides["after"])
    both = [task for task in before if task in after]
    if not both:
        return ""
    before, after = {task: before[task] for task in both}, {task: after[task] for task in both}
    change = task_rates(after) - task_rates(before)
    up, down = int((change > 0).sum()), int((change < 0).sum())
    text = f"Tasks solved more often: {up}; less often: {down}; as often: {len(both) - up - down}."
    if all(len(own) == 1 for side in (before, after) for own in side.values()):
        text += f" McNemar's exact test: p\u00a0=\u00a0{mcnemar(before, after).p_value:.3g}."
    return f"<p><small>{text}</small></p>"


def _gains(run: RunFolder) -> str:
    rows = []
    for name, sides in run.evaluations.items():
        if results_by_task(sides["before"]).keys() & results_by_task(sides["after"]).keys():
            gain = gain_breakdown(sides["before"], sides["after"])
            rows.append(
                [
                    name,
                    points(gain.gain),
                    points(gain.from_parsing),
                    points(gain.from_solving),
                    f"{percent(gain.parse_before)} → {percent(gain.parse_after)}",
                    f"{percent(gain.pass_given_parse_before)} → {percent(gain.pass_given_parse_after)}",
                ]
            )
    head = [
        "split",
        "gain (points)",
        "from extraction and syntax",
        "from solving",
        "answers that parse",
        "pass if parsed",
    ]
    return f'<div class="card">{table(head, rows)}</div>' if rows else ""


# --------------------------------------------------------------------------------------------- curves


def _curves(run: RunFolder) -> str:
    panels = "".join(panel(title, unit, _series(run, key, title), share) for key, title, unit, share in _CURVES)
    shown = {key for key, *_ in _CURVES} | {"no_code", "syntax_error", PROXY, *AUDITED}
    return (f'<div class="grid3">{panels}</div>' if panels else "") + further_panels(run, shown)


def _series(run: RunFolder, key: str, title: str) -> list[Series]:
    if key == "pass@1":
        curve = run.curve(key, "validation")
        lows, highs = dict(run.curve("low", "validation")), dict(run.curve("high", "validation"))
        band = [(step, lows[step], highs[step]) for step, _ in curve if step in lows and step in highs]
        series = [Series(title, curve, band=band)]
    elif key == "format":
        curves = (run.curve("no_code"), run.curve("syntax_error"), _format_share_of_failures(run))
        labelled = zip(curves, _FORMAT_LABELS.items(), strict=True)
        series = [Series(label, curve, colour) for curve, (colour, label) in labelled]
    else:
        series = [Series(title, run.curve(key))]
    return [line for line in series if line.points]


def _format_share_of_failures(run: RunFolder) -> list[tuple[float, float]]:
    """Of the rollouts that did not pass, the share without a program that parses."""
    passed, no_code, syntax = (dict(run.curve(key)) for key in ("pass_rate", "no_code", "syntax_error"))
    steps = [step for step in passed if step in no_code and step in syntax and passed[step] < 1]
    return [(step, min(1.0, (no_code[step] + syntax[step]) / (1 - passed[step]))) for step in steps]


# ---------------------------------------------------------------------------------------------- notes


def _caveats(run: RunFolder) -> list[str]:
    seed = run.summary.get("setup", {}).get("seed")
    notes = [
        f"One run{'' if seed is None else f' with seed {seed}'}: the intervals say how much the choice of tasks "
        "matters, not how much another seed would change the training.",
        "Intervals are percentile bootstraps over tasks (10,000 resamples, fixed seed), paired for differences; Wilson "
        "where every task has one sample, or where all tasks came out alike.",
    ]
    for name, sides in run.evaluations.items():
        errors = sum(row["status"] == "error" for rows in sides.values() for row in rows)
        if errors:
            notes.append(f"Split {name}: {errors} sample(s) could not be judged and are left out of every figure.")
        unpaired = summarize_split(sides["before"], sides["after"])["unpaired_tasks"]
        if unpaired and sides["before"] and sides["after"]:
            notes.append(f"Split {name}: {unpaired} task(s) have one side only and are left out of the difference.")
    return notes
