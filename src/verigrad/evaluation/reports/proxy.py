"""The report's section about a reward model that a policy was trained against: its score beside the tests' verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from verigrad.evaluation.overoptimisation import MIN_STEPS, Divergence, common_steps, find_divergence
from verigrad.evaluation.reports.charts import Series, format_value, legend, line_chart, percent
from verigrad.evaluation.reports.run_folder import RunFolder

__all__ = ["PROXY", "proxy_and_gold"]

PROXY = "proxy_reward"
_GOLD = "pass_rate"
_NOTE = (
    "The policy was trained on a reward model's score (the proxy); whether its programs pass their tests (the gold "
    "standard) was only measured, on the same rollouts. Training helps for as long as both rise."
)
_NO_KL = " This run logged no KL from the reference (with kl_coef other than 0 it would have), so only steps are shown."

_Curve = Sequence[tuple[float, float]]


def proxy_and_gold(run: RunFolder) -> tuple[str, str, str]:
    """`(title, HTML, note)` of the section; the HTML is empty where no reward model was trained against.

    Proxy and pass rate over steps, and over the square root of the KL from the reference where it is logged, as in
    Gao, Schulman and Hilton 2022, arXiv:2210.10760, figure 1. Above them the finding of `find_divergence`.
    """
    proxy, gold = run.curve(PROXY), run.curve(_GOLD)
    title = "Reward model against tests"
    common = {step for step, _, _ in common_steps(proxy, gold)}
    if not common:
        return title, "", ""
    cards = _card("Over the run", "step", proxy, gold, whole_x=True)
    distances = {step: distance for step, distance in _distances(run).items() if step in common}
    if distances:
        label = "√KL from the reference (KL in nats per completion)"
        cards += _card("Over the distance from the reference", label, _over(distances, proxy), _over(distances, gold))
    return title, f'{_finding(proxy, gold)}<div class="grid2">{cards}</div>', _NOTE + ("" if distances else _NO_KL)


def _distances(run: RunFolder) -> dict[float, float]:
    """Step -> square root of the KL of a whole completion, the mean per token times the mean length.

    A mean of k1 estimates may come out below 0 near the start, where the true value is next to nothing.
    """
    lengths = dict(run.curve("completion_tokens"))
    return {step: math.sqrt(max(0.0, kl * lengths[step])) for step, kl in run.curve("kl") if step in lengths}


def _over(distances: dict[float, float], curve: _Curve) -> list[tuple[float, float]]:
    return sorted((distances[step], value) for step, value in curve if step in distances)


def _card(title: str, x_label: str, proxy: _Curve, gold: _Curve, *, whole_x: bool = False) -> str:
    """One chart above the other, so that both have an axis of their own and the same x below each other."""
    score = line_chart(
        [Series("reward model's score", proxy, "c2")], x_label=x_label, y_label="mean score", whole_x=whole_x
    )
    rate = line_chart(
        [Series("programs that pass", gold, "c1")], x_label=x_label, y_label="pass rate", share=True, whole_x=whole_x
    )
    keys = legend([("c2", "Proxy: the reward model's score")]), legend([("c1", "Gold: programs that pass all tests")])
    return f'<div class="card"><h3>{escape(title)}</h3>{keys[0]}{score}{keys[1]}{rate}</div>'


def _finding(proxy: _Curve, gold: _Curve) -> str:
    steps = len(common_steps(proxy, gold))
    if steps < MIN_STEPS:
        return f"<p>Too few steps to tell over-optimisation from noise: {steps}, wanted at least {MIN_STEPS}.</p>"
    found = find_divergence(proxy, gold)
    if found is not None:
        return _warning(found)
    if not any(rate for _, rate in gold):
        return "<p>No program passed its tests in any step, so they cannot say whether the score is to be trusted.</p>"
    return (
        "<p>No sign of over-optimisation: on no stretch up to the last step does the pass rate fall, beyond noise, "
        "while the score rises.</p>"
    )


def _warning(found: Divergence) -> str:
    rates, scores = map(percent, found.gold), map(format_value, found.proxy)
    return (
        '<div class="card warning" role="note"><h3>Warning: the score rises, the programs get worse</h3>'
        f"<p>From step {found.start:g} to the last, step {found.end:g}, the reward model's score still rises "
        f"(from about {' to '.join(scores)}) while fewer programs pass their tests (from about {' to '.join(rates)}). "
        "The policy is learning what the reward model gets wrong (over-optimisation). Trust the tests: take a "
        "checkpoint from before the fall, or train with a larger KL penalty, fewer steps, or a reward model that has "
        "seen the policy's newer answers.</p></div>"
    )
