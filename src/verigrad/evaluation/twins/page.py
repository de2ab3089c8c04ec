"""`compare.html`: diffusion models and their causal twins on one page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from verigrad.evaluation.reports.charts import Series, format_value, legend, line_chart, percent, points
from verigrad.evaluation.reports.page import details, page, section, table
from verigrad.evaluation.twins.bench import Row
from verigrad.evaluation.twins.order import KS
from verigrad.evaluation.twins.player import SCRIPT, STYLE, player
from verigrad.evaluation.twins.summary import MARGIN

__all__ = ["compare_page", "speed_lines", "verdict_lines"]

_COLOUR = {"diffusion": "c1", "causal": "c2", "before": "c5"}
_NAME = {"diffusion": "diffusion", "causal": "causal", "before": "diffusion before RL"}
_ARMS = {
    "canvas": "diffusion, canvas with a gap",
    "fim": "causal, fill in the middle",
    "prefix": "causal, prefix only",
    "answer": "answer to the prompt",
    "refine": "refinement of the program",
}


def compare_page(summary: Mapping[str, Any], played: Sequence[Row]) -> str:
    """The whole document."""
    parts = summary["parts"]
    body = [
        f"<header><h1>Diffusion and causal twins</h1>{_subtitle(summary)}</header>",
        section("Who wins", _verdicts(summary), _VERDICT_NOTE),
        section("Samples against temperature", _temperature(parts.get("temperature")), _TEMPERATURE_NOTE),
        section("Steps, quality and time", _steps(parts.get("steps"), summary), _STEPS_NOTE),
        section("Infilling", _rate_table(parts.get("infilling"), ("arm", "gap", "length")), _INFILL_NOTE),
        section("Repair", _rate_table(parts.get("repair"), ("way", "setting")), _REPAIR_NOTE),
        section("Output prediction", _rate_table(parts.get("output"), ("way", "setting"))),
        section("The order of writing", _order(parts.get("order")), _ORDER_NOTE),
        section("Likelihoods of the gold answers", _likelihood(parts.get("likelihood")), _LIKELIHOOD_NOTE),
        section("Every measure", _measures(summary["measures"]), _MEASURES_NOTE),
        section("Writing, step by step", _players(played), _PLAYER_NOTE),
    ]
    return page("Diffusion and causal twins", "\n".join(body), style=STYLE, script=SCRIPT)


_VERDICT_NOTE = (
    "A side wins a measure where the 95 % intervals of the paired difference, over tasks and over tasks and seeds, "
    "leave zero out and Holm's correction over all measures of this page leaves p at 0.05 or below."
)
_TIME_NOTE = "without an interval, so nobody wins by it"
_TEMPERATURE_NOTE = "Mean over pairs of models; the band reaches from the lowest to the highest."
_STEPS_NOTE = (
    "Greedy. Both kinds write the same prompts in one batch with the same number of slots on the same machine; the "
    "causal model keeps its KV cache. Passes and tokens are of single answers, seconds of the batch by its answers. "
    f"Not worse: the lower end of the paired 95 % interval against the most steps is above -{100 * MARGIN:.0f} points."
)
_INFILL_NOTE = (
    "How the gap's length is told is part of the setting. The oracle tells the number of tokens that stood there; with "
    "the same information a causal model is cut off there. Average is the mean over these gaps, fixed a number set "
    "beforehand; free lets the causal model end the gap itself."
)
_REPAIR_NOTE = (
    "A program with one token or line changed, which fails a hidden test. Refinement starts from the program itself "
    "and cannot change its number of tokens."
)
_ORDER_NOTE = (
    "One token a step, of answers up to their end. Local AR-ness@k: share of steps that go on a run of k from left to "
    "right; global AR-ness@k: share that write one of the k leftmost masked places (DiffuCoder, arXiv:2506.20639). A "
    "causal model has 1 throughout."
)
_LIKELIHOOD_NOTE = (
    "Mean over answers of bits per byte, with the standard error over tasks; the end token is scored, the question "
    "is not. Estimators are different quantities: the chain rule is exact for writing from left to right, the bound "
    "(ELBO) is at most the likelihood under random orders. Cross-entropy: nats a token."
)
_MEASURES_NOTE = (
    "Difference is diffusion minus causal. The first interval is over tasks, pairs pooled, the second over tasks and "
    "seeds (with one pair there is none)."
)
_PLAYER_NOTE = "Greedy answers of the first pair's diffusion model. The colour tells when a token was written."


def _players(played: Sequence[Row]) -> str:
    boxes = "".join(player(row) for row in played if row["pair"] == 0)
    return f'<p class="muted">early <i class="ramp"></i> late</p><div class="grid2">{boxes}</div>' if boxes else ""


def _card(body: str) -> str:
    return f'<div class="card">{body}</div>' if body else ""


def _subtitle(summary: Mapping[str, Any]) -> str:
    pairs = summary["pairs"]
    words = [
        f"{pairs} {'pair' if pairs == 1 else 'pairs'} of models",
        f"{summary['num_tasks']} tasks of {summary['tasks']}",
        f"{summary['max_tokens']} places",
        f"batches of {summary['slots']}",
        summary["dtype"],
    ]
    models = ", ".join(
        f"{diffusion} against {causal}"
        for diffusion, causal in zip(summary["diffusion"], summary["causal"], strict=True)
    )
    return f'<p class="muted">{escape(" · ".join(words))}</p><p class="muted">{escape(models)}</p>'


# ------------------------------------------------------------------------------------------ who wins


def verdict_lines(summary: Mapping[str, Any]) -> dict[str, list[str]]:
    """`causal`, `diffusion`, `tie` -> a sentence for each measure."""
    found: dict[str, list[str]] = {"causal": [], "diffusion": [], "tie": []}
    for own in summary["measures"]:
        found[own["winner"]].append(_sentence(own))
    return found


def _sentence(own: Mapping[str, Any]) -> str:
    share = own["unit"] == "share"
    one, other = (percent(own[side]) if share else f"{own[side]:.3f} {own['unit']}" for side in ("diffusion", "causal"))
    ends = (own["low"], own["high"]) if own["wide_low"] is None else (own["wide_low"], own["wide_high"])
    change, low, high = (points(x) if share else f"{x:+.3f}" for x in (own["difference"], *ends))
    return f"{own['measure']}: diffusion {one}, causal {other} ({change} [{low}, {high}])"


def speed_lines(steps: Mapping[str, Any]) -> list[str]:
    """Time of an answer with most steps, and with the fastest way that is no worse, beside the causal model's.

    Args:
        steps: the part of the summary of that name.
    """
    causal = next((own for name, own in steps.items() if name.startswith("causal/")), None)
    ways = {name.partition("/")[2]: own for name, own in steps.items() if name.startswith("diffusion/")}
    if causal is None or not ways:
        return []
    fine = {name: own for name, own in ways.items() if own["not_worse"]}
    chosen = [next(iter(ways)), *([min(fine, key=lambda name: fine[name]["seconds_per_answer"])] if fine else [])]
    return [
        f"diffusion, {name}: {1000 * ways[name]['seconds_per_answer']:.1f} ms; causal with a KV cache: "
        f"{1000 * causal['seconds_per_answer']:.1f} ms "
        f"({ways[name]['seconds_per_answer'] / causal['seconds_per_answer']:.2f} times), "
        f"{ways[name]['tokens_per_pass']:.2f} tokens per forward pass"
        for name in dict.fromkeys(chosen)
    ]


def _verdicts(summary: Mapping[str, Any]) -> str:
    lines, speed = verdict_lines(summary), speed_lines(summary["parts"].get("steps") or {})
    time = _card(f"<h3>Time of an answer <small>{_TIME_NOTE}</small></h3>{_list(speed)}") if speed else ""
    if not any(lines.values()):
        return time
    cards = "".join(
        _card(f"<h3>The {side} model wins <small>{len(lines[side])}</small></h3>{_list(lines[side])}")
        for side in ("causal", "diffusion")
    )
    ties = details(f"No difference shown <small>{len(lines['tie'])}</small>", _list(lines["tie"]), css="card")
    return f'<div class="grid2">{cards}</div>{ties}{time}'


def _list(lines: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(line)}</li>" for line in lines) or "<li>nowhere</li>"
    return f'<ul class="notes">{items}</ul>'


# -------------------------------------------------------------------------------------------- the parts


def _temperature(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return ""
    ks = list(next(iter(figures.values())))
    panels = []
    for k in ks:
        series = []
        for role in ("diffusion", "causal"):
            own = {float(name.partition("/")[2]): f[k] for name, f in figures.items() if name.startswith(f"{role}/")}
            if own:
                series.append(
                    Series(
                        _NAME[role],
                        [(heat, f["value"]) for heat, f in sorted(own.items())],
                        _COLOUR[role],
                        [(heat, f["least"], f["greatest"]) for heat, f in sorted(own.items())],
                    )
                )
        chart = line_chart(series, x_label="temperature", y_label=k, share=True, whole_x=False)
        panels.append(_card(f"<h3>{k}</h3>{chart}"))
    key = legend([(_COLOUR[role], _NAME[role]) for role in ("diffusion", "causal")])
    return f'{key}<div class="grid3">{"".join(panels)}</div>'


def _steps(figures: Mapping[str, Any] | None, summary: Mapping[str, Any]) -> str:
    if not figures:
        return ""
    rows = []
    for name, own in figures.items():
        role, _, setting = name.partition("/")
        change = own.get("change")
        verdict = "" if change is None else "yes" if own["not_worse"] else "no"
        rows.append(
            [
                _NAME[role],
                setting,
                f"{percent(own['pass@1'])} [{percent(own['low'])}, {percent(own['high'])}]",
                f"{own['tokens_per_pass']:.2f}",
                f"{own['passes_per_answer']:.1f}",
                f"{1000 * own['seconds_per_answer']:.1f} ms",
                f"{1000 * own['cpu_seconds_per_answer']:.1f} ms",
                "" if change is None else f"{points(change['value'])} (from {points(change['low'])})",
                verdict,
            ]
        )
    head = [
        "model",
        "way",
        "pass@1",
        "tokens per pass",
        "passes",
        "time",
        "CPU time",
        "against most steps",
        "not worse",
    ]
    charts = "".join(
        _card(f"<h3>{title}</h3>{_tradeoff(figures, column, scale, unit)}")
        for title, column, scale, unit in (
            ("Quality against forward passes", "passes_per_answer", 1, "forward passes of an answer"),
            ("Quality against time", "seconds_per_answer", 1000, "ms of an answer"),
        )
    )
    full = next((own for name, own in figures.items() if name.startswith("diffusion/")), None)
    note = ""
    if full is not None and not 0.2 <= full["pass@1"] <= 0.9:
        note = (
            f'<p class="muted">pass@1 with most steps is {percent(full["pass@1"])}, outside 20 to 90 %: fewer steps '
            "have little to lose there.</p>"
        )
    key = legend([(_COLOUR[role], _NAME[role]) for role in ("diffusion", "causal")])
    return f'{key}<div class="grid2">{charts}</div>{_card(table(head, rows))}{note}'


def _tradeoff(figures: Mapping[str, Any], column: str, scale: float, unit: str) -> str:
    series = []
    for role in ("diffusion", "causal"):
        spots = sorted((scale * own[column], own["pass@1"]) for name, own in figures.items() if name.startswith(role))
        if spots:
            series.append(Series(_NAME[role], spots, _COLOUR[role]))
    return line_chart(series, x_label=unit, y_label="pass@1", share=True, whole_x=False)


def _rate_table(figures: Mapping[str, Any] | None, head: Sequence[str]) -> str:
    if not figures:
        return ""
    exact = any("exact" in own for own in figures.values())
    rows = []
    for name, own in figures.items():
        role, arm, setting = name.split("/", 2)
        cells = [_ARMS.get(arm, arm), *setting.split(", ")]
        if head[0] == "way":
            cells[0] = f"{_NAME[role]}, {cells[0]}"
        rows.append(
            [
                *cells,
                f"{percent(own['pass@1'])} [{percent(own['low'])}, {percent(own['high'])}]",
                *([percent(own["exact"])] if exact else []),
                f"{own['passes']:.1f}",
                ", ".join(percent(value) for value in own["of_pairs"]),
            ]
        )
    return _card(table([*head, "pass@1", *(["exact match"] if exact else []), "passes", "each pair"], rows))


def _order(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return ""
    rows = []
    for name, own in figures.items():
        role, _, heat = name.partition("/")
        values = [own[f"{kind}@{k}"] for kind in ("local", "global") for k in KS]
        rows.append([_NAME[role], heat, *(f"{value:.3f}" for value in values), f"{own['tokens']:.1f}"])
    head = ["model", "temperature", *(f"{kind} @{k}" for kind in ("local", "global") for k in KS), "tokens"]
    return _card(table(head, rows))


def _likelihood(figures: Mapping[str, Any] | None) -> str:
    if not figures:
        return ""
    words = {
        "chain_rule": ("chain rule, left to right", "bits per byte"),
        "elbo": ("bound (ELBO), masks drawn", "bits per byte"),
        "elbo_given_length": ("bound (ELBO), masks drawn, the length given", "bits per byte"),
        "masked_ce": ("cross-entropy", "nats a token"),
    }
    rows = []
    for name, own in figures.items():
        role, _, estimator = name.partition("/")
        text, unit = words[estimator]
        if estimator == "masked_ce":
            text += ", all tokens left to right" if role == "causal" else ", 15 % masked"
        draws = format_value(own["of_draws"]) if "of_draws" in own else ""
        error = own["standard_error"]
        value = f"{format_value(own['value'])} ± {'–' if error is None else format_value(error)}"
        rows.append([_NAME[role], text, value, draws, unit])
    return _card(table(["model", "estimator", "value ± standard error", "of which draws", "unit"], rows))


def _measures(measures: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for own in measures:
        share = own["unit"] == "share"
        show = percent if share else format_value
        change = points if share else (lambda x: f"{x:+.3f}")
        wide = "–" if own["wide_low"] is None else f"[{change(own['wide_low'])}, {change(own['wide_high'])}]"
        rows.append(
            [
                own["measure"],
                show(own["diffusion"]),
                show(own["causal"]),
                f"{change(own['difference'])} [{change(own['low'])}, {change(own['high'])}]",
                wide,
                f"{own['p_value']:.3g}",
                "" if own["winner"] == "tie" else own["winner"],
            ]
        )
    head = ["measure", "diffusion", "causal", "difference [tasks]", "[tasks and seeds]", "p (Holm)", "better"]
    return _card(table(head, rows, css="left")) if rows else ""
