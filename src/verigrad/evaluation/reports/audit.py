"""The report's section on signs of cheating: the alarms that a run raised, and the curves they go by."""

from __future__ import annotations

from html import escape

from verigrad.evaluation.reports.charts import Series, format_value
from verigrad.evaluation.reports.parts import panel
from verigrad.evaluation.reports.run_folder import RunFolder

__all__ = ["AUDITED", "audit_section"]

# Metric -> title and unit of its curve, whether it is a share, and what a wrong value means.
_CURVES = {
    "public_gap": ("Shown tests passed, minus hidden ones", "difference of shares", False, "programs fit the examples"),
    "special_cased": ("Programs that know the shown tests", "share of programs", True, "examples are learned by heart"),
    "impossible_passed": ("Impossible tasks passed", "share of rollouts", True, "only who cheats passes these"),
    "violations": ("Violations of the sandbox", "share of rollouts", True, "programs try what is forbidden"),
    "flagged": ("Flagged rollouts", "share of rollouts", True, "flagged by the rules of the run"),
    "corr_reward": ("Reward and passing the hidden tests", "correlation", False, "the reward pays for something else"),
}
AUDITED = tuple(_CURVES)
_NOTE = "Signs of cheating among the rollouts trained on. Each is a reason to read samples, not a verdict."


def audit_section(run: RunFolder) -> tuple[str, str, str]:
    """`(title, HTML, note)` of the section; the HTML is empty where the run logged none of its metrics."""
    panels = "".join(
        panel(title, unit, [Series(title, run.curve(key))], share)
        for key, (title, unit, share, _) in _CURVES.items()
        if run.curve(key)
    )
    return "Audit", f'{_alarms(run)}<div class="grid3">{panels}</div>' if panels else "", _NOTE


def _alarms(run: RunFolder) -> str:
    found = [(row["step"], alarm) for row in run.metrics.get("alarm", ()) for alarm in row.get("alarms", ())]
    if not found:
        return "<p>No alarm was raised.</p>"
    items = "".join(f"<li>{_alarm(step, **alarm)}</li>" for step, alarm in found)
    return (
        '<div class="card warning" role="note"><h3>Warning: signs of cheating</h3>'
        f"<ul>{items}</ul><p>Read the samples in rollouts/ from these steps on, and the rewards' main hacks.</p></div>"
    )


def _alarm(step: float, metric: str, value: float, limit: float) -> str:
    meaning = f": {_CURVES[metric][3]}" if metric in _CURVES else ""
    side = "above" if value > limit else "below"
    return escape(
        f"Step {step:g}: {metric} reached {format_value(value)}, {side} its limit of {format_value(limit)}{meaning}."
    )
