"""The report of a run that trained a reward model: is its score worth optimising?

Figures are computed from `held_out.jsonl` by `held_out_figures`; where only `summary.json` is left, shown from there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from verigrad.evaluation.held_out import Answer, HeldOut, read_held_out
from verigrad.evaluation.held_out_figures import (
    Calibration,
    calibration,
    label_accuracy,
    length_bias,
    order_accuracy,
    separation,
    side_accuracy,
)
from verigrad.evaluation.pass_at_k import Estimate
from verigrad.evaluation.reports.charts import Series, format_value, legend, percent
from verigrad.evaluation.reports.mistakes import mistakes
from verigrad.evaluation.reports.page import section, table
from verigrad.evaluation.reports.parts import configuration, curve_note, further_panels, header, notes, panel
from verigrad.evaluation.reports.run_folder import RunFolder
from verigrad.evaluation.reports.score_charts import histogram, reliability_chart, scatter, share_chart

__all__ = ["reward_model_page"]

_PAIRS = {"pairs": "pairs", "labels": "pairs of a wanted and an unwanted answer", "rankings": "pairs from rankings"}
_TRAINING_ACCURACY = {
    "bradley_terry": "share of pairs right",
    "verdict": "share of answers right",
    "regression": "share of rankings right",
}
# Curves on held-out prompts: metric, title, unit, whether it is a share.
_HELD_OUT_CURVES = (
    ("pair_accuracy", "Held-out pair accuracy", "share of pairs", True),
    ("auc", "Held-out AUC, wanted against unwanted", "AUC", True),
    ("auc_verdicts", "Held-out AUC, passing against failing", "AUC", True),
    ("calibration_error", "Held-out calibration error", "mean distance", True),
    ("length_bias", "Held-out length bias", "rank correlation", False),
)
_FILLS = ("s-passed", "s-failed")  # of good and bad answers
_SUMMARY_NOTE = "From summary.json: the rows behind these figures are not in the folder, so there are no intervals."
_ORDER_NOTE = (
    "On prompts it was not trained on. The line at 50 % is what guessing gets; bars are 95 % intervals over prompts."
)
_LENGTH_NOTE = (
    "Measured by the rank correlation (Spearman's) of an answer's score and its number of tokens: 0 is none, 1 is "
    "counting tokens. Right answers may really be longer, so compare it with the verdict's own, and look at answers of "
    "one kind alone, where quality cannot be the reason."
)


def reward_model_page(run: RunFolder) -> str:
    """The page's body."""
    settings = run.settings()
    words = ["reward model", *(str(settings[key]) for key in ("model", "objective", "data") if settings.get(key))]
    if "records" in run.summary:
        words.append(f"{run.summary['records']} records")
    held_out = read_held_out(run.held_out) if run.held_out else None
    measured = _measured(run, held_out) if held_out else [section("Held out", _summary(run), _SUMMARY_NOTE)]
    return "\n".join(
        [
            header(run, words),
            *measured,
            section("Training", _curves(run), curve_note(run)),
            configuration(run),
            notes(run, _caveats(held_out) if held_out else []),
        ]
    )


def _measured(run: RunFolder, held_out: HeldOut) -> list[str]:
    """The sections about held-out answers."""
    good, bad = _kinds(held_out)
    objective = run.settings().get("objective", "")
    return [
        section("Does it put answers in the right order?", _order(held_out), _ORDER_NOTE),
        section("Calibration", _calibration(held_out), _calibration_note(held_out, objective)),
        section(f"Scores of {good} and {bad} answers", _distributions(held_out), _verdict_note(held_out)),
        section("Length bias", _length(held_out), _LENGTH_NOTE),
        section(*mistakes(run.held_out)),
    ]


def _kinds(held_out: HeldOut) -> tuple[str, str]:
    return ("passing", "failing") if held_out.judged else ("wanted", "unwanted")


def _verdict_note(held_out: HeldOut) -> str:
    if held_out.judged:
        known = sum(answer.passed is not None for answer in held_out.answers)
        left = len(held_out.answers) - known
        return f"Passing means passing every test. {f'{left} answers without a verdict are left out.' if left else ''}"
    return (
        "The records do not say which answers passed their tests, so these are the answers their labels call "
        "better and worse."
    )


# ---------------------------------------------------------------------------------------------- order


def _order(held_out: HeldOut) -> str:
    good, bad = _kinds(held_out)
    found = [
        ("Answers on the right side of 0", "answers", side_accuracy(held_out)),
        ("Pair accuracy: the better answer scores higher", _PAIRS[held_out.kind], order_accuracy(held_out)),
        (f"AUC: a {good} answer above a {bad} one", "answers", separation(held_out)),
        (
            "The same, answers to one prompt only",
            f"pairs of a {good} and a {bad} answer",
            separation(held_out, within_prompts=True),
        ),
    ]
    labels = label_accuracy(held_out)
    if labels is not None and labels.value < 1:
        found.append(("The labels: the better answer passes more tests", "pairs that tests tell apart", labels))
    rows = [(label, f"{share.num_samples} {unit}, {_prompts(share)}", share) for label, unit, share in found if share]
    return f'<div class="card">{share_chart(rows)}</div>' if rows else ""


def _prompts(share: Estimate) -> str:
    return f"{share.num_tasks} {'prompt' if share.num_tasks == 1 else 'prompts'}"


def _summary(run: RunFolder) -> str:
    figures = run.summary.get("held_out") or {}
    rows = [[key.replace("_", " "), format_value(value)] for key, value in figures.items()]
    return f'<div class="card">{table([], rows)}</div>' if rows else ""


# ---------------------------------------------------------------------------------------- calibration


def _calibration(held_out: HeldOut) -> str:
    found = calibration(held_out)
    if found is None:
        return ""
    truth = "answers wanted" if held_out.kind == "labels" else "right choices"
    chart = reliability_chart(found.bins, y_label=f"share of {truth}")
    head = f"Reliability <small>expected calibration error {percent(found.error)}</small>"
    return (
        f'<div class="duo"><div class="card"><h3>{head}</h3>{chart}</div>'
        f'<div class="card"><h3>Counts</h3>{_bins(found)}</div></div>'
    )


def _bins(found: Calibration) -> str:
    rows = [
        [
            f"{100 * bin_.low:.0f} to {percent(bin_.high, 0)}",
            str(bin_.count),
            percent(bin_.stated),
            percent(bin_.right),
            f"{100 * bin_.interval[0]:.0f} to {percent(bin_.interval[1], 0)}",
        ]
        for bin_ in found.bins
    ]
    return table(["stated", "count", "mean", "came true", "95 %"], rows)


def _calibration_note(held_out: HeldOut, objective: str) -> str:
    statement = (
        "For each answer the model states a probability that it is wanted, the logistic function of its score."
        if held_out.kind == "labels"
        else "For each pair the model states a probability that its choice is the better answer, the logistic "
        "function of the scores' difference."
    )
    note = (
        f"{statement} On the dashed line what it states comes true as often as it says; below it the model is too "
        "sure. Numbers in the chart count statements, whiskers are 95 % intervals, and the expected calibration error "
        "is the mean distance from the line."
    )
    if objective == "regression":
        note += " A regression learns rewards, not probabilities: that it is not calibrated is no fault."
    return note


# ------------------------------------------------------------------------------- distributions, length


def _distributions(held_out: HeldOut) -> str:
    good, bad = _kinds(held_out)
    sides = [(name, css, own) for name, css, own in zip((good, bad), _FILLS, held_out.sides(), strict=True) if own]
    if not sides:
        return ""
    chart = histogram([(name, css, [answer.score for answer in own]) for name, css, own in sides], x_label="score")
    key = legend([(css, f"{name} ({len(own)})") for name, css, own in sides])
    return (
        f'<div class="duo"><div class="card"><h3>Scores</h3>{chart}{key}</div>'
        f'<div class="card"><h3>In figures</h3>{_quantiles(sides)}</div></div>'
    )


def _quantiles(sides: Sequence[tuple[str, str, Sequence[Answer]]]) -> str:
    rows = []
    for name, _, own in sides:
        at = np.quantile([answer.score for answer in own], [0.0, 0.25, 0.5, 0.75, 1.0])
        rows.append([name, *map(format_value, at.tolist())])
    return table(["answers", "lowest", "25 %", "median", "75 %", "highest"], rows)


def _length(held_out: HeldOut) -> str:
    good, bad = _kinds(held_out)
    found = length_bias(held_out)
    if found.all_answers is None:
        return ""
    correlations = (
        (f"score and tokens, all {len(held_out.answers)} answers", found.all_answers),
        (f"score and tokens, {good} answers only", found.good),
        (f"score and tokens, {bad} answers only", found.bad),
        (f"being {good} (1) or {bad} (0), and tokens", found.verdict),
    )
    shares = (
        ("the longer answer of a pair has the higher score", found.prefers_longer),
        ("the longer answer of a pair is the better one", found.longer_is_better),
        ("right order where the better answer is the longer", found.right_if_longer),
        ("right order where the better answer is the shorter", found.right_if_shorter),
    )
    rows = [[label, f"{value:+.2f}".replace("-", "−")] for label, value in correlations if value is not None]
    rows += [[label, percent(value)] for label, value in shares if value is not None]
    return (
        f'<div class="duo"><div class="card"><h3>Score and length</h3>{_length_scatter(held_out)}</div>'
        f'<div class="card"><h3>In figures</h3>{table(["rank correlation, share", ""], rows, css="wrap")}</div></div>'
    )


def _length_scatter(held_out: HeldOut) -> str:
    sides = zip(_kinds(held_out), _FILLS, held_out.sides(), strict=True)
    points = [
        (name, css, [(float(a.tokens), a.score) for a in own if a.tokens is not None]) for name, css, own in sides
    ]
    if not any(own for _, _, own in points):
        return ""
    return scatter(points, x_label="tokens", y_label="score") + legend([(css, name) for name, css, _ in points])


# ------------------------------------------------------------------------------------------- training


def _curves(run: RunFolder) -> str:
    objective = str(run.settings().get("objective", ""))
    unit = _TRAINING_ACCURACY.get(objective, "share right")
    panels = panel("Loss", "loss", _lines("Loss", run.curve("loss")), False)
    panels += panel("Training accuracy", unit, _lines("Training accuracy", run.curve("accuracy")), True)
    for key, title, held_out_unit, share in _HELD_OUT_CURVES:
        panels += panel(title, held_out_unit, _lines(title, _held_out_curve(run, key)), share)
    return (f'<div class="grid3">{panels}</div>' if panels else "") + further_panels(
        run, ("loss", "accuracy", "records")
    )


def _lines(title: str, curve: list[tuple[float, float]]) -> list[Series]:
    return [Series(title, curve)] if curve else []


def _held_out_curve(run: RunFolder, key: str) -> list[tuple[float, float]]:
    """Validations during training, and the end's figure; nothing where there is only the end's."""
    curve, last = run.curve(key, "validation"), (run.summary.get("held_out") or {}).get(key)
    return [*curve, (run.summary["steps"], last)] if curve and last is not None and "steps" in run.summary else curve


# ---------------------------------------------------------------------------------------------- notes


def _caveats(held_out: HeldOut) -> list[str]:
    notes = [
        "Intervals are percentile bootstraps over prompts (1,000 resamples, fixed seed), Wilson's over prompts where "
        "all come out alike; in the reliability chart Wilson's over statements.",
        "The held-out answers come from whatever gave the data. Trained against this model a policy will write "
        "other answers, on which the model may be worse: watch the tests beside the score in the report of that run.",
    ]
    if not held_out.judged:
        notes.append("AUC and distributions go by the labels: no tests passed and failed are noted in the records.")
    return notes
