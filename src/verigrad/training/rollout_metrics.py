"""What a step's rollouts say in figures; docs/metrics.md explains each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from verigrad.evaluation.audit import correlation, part_correlations, special_cased_share
from verigrad.evaluation.benchmark import sample_rows
from verigrad.rollout import Group, verdict_of
from verigrad.types import Rollout

__all__ = ["first_error", "rollout_metrics", "share_of_groups"]


def rollout_metrics(groups: Sequence[Group]) -> dict[str, Any]:
    """Figures of a step's rollouts; shares are of those that did not fail for reasons of ours."""
    rollouts = [rollout for group in groups for rollout in group.rollouts]
    sound = [rollout for rollout in rollouts if rollout.status != "error"]
    rows = [row for row in sample_rows(groups) if row["status"] != "error"]
    values = [rollout.score.value for rollout in sound if rollout.score.value is not None]
    count = max(1, len(sound))
    of_repositories = any(group.task.repository is not None for group in groups)
    tokens = sum(rollout.usage["completion_tokens"] for rollout in sound)
    corr_reward = correlation([(r.score.value, _success(r)) for r in sound if r.score.value is not None])
    return {
        **({} if corr_reward is None else {"corr_reward": corr_reward}),
        **_part_means(sound),
        **{f"corr_{name}": value for name, value in part_correlations(sound).items()},
        **({"reward": sum(values) / len(values)} if values else {}),
        "pass_rate": sum(row["status"] == "passed" for row in rows) / count,
        "tests_passed": sum(row["passed"] / max(1, row["total"]) for row in rows) / count,
        "completion_tokens": tokens / count,
        "completion_tokens_total": tokens,
        "truncated": sum(rollout.status == "truncated" for rollout in sound) / count,
        "no_code": sum(row["status"] == "no_code" for row in rows) / count,
        "syntax_error": sum(row["status"] in ("syntax_error", "no_entry_point") for row in rows) / count,
        "timeout": sum(row["status"] == "timeout" for row in rows) / count,
        "violations": sum(bool(row["violations"]) for row in rows) / count,
        **({"undone": sum(bool(row["undone"]) for row in rows) / count} if of_repositories else {}),
        "special_cased": special_cased_share(groups),
        "infra_errors": len(rollouts) - len(sound),
        "unscored": len(sound) - len(values),
        "groups_skipped": sum(all(r.score.value is None for r in group.rollouts) for group in groups),
    }


def _success(rollout: Rollout) -> float:
    verdict = verdict_of(rollout)
    return float(verdict is not None and verdict.passed)


def _part_means(rollouts: Sequence[Rollout]) -> dict[str, float]:
    """Mean of every part of a score, over the rollouts that have it."""
    names = sorted({name for rollout in rollouts for name in rollout.score.parts})
    found = {name: [r.score.parts[name] for r in rollouts if name in r.score.parts] for name in names}
    return {f"part_{name}": sum(values) / len(values) for name, values in found.items()}


def first_error(groups: Sequence[Group]) -> str:
    errors = (rollout.error for group in groups for rollout in group.rollouts if rollout.error)
    return next(errors, "nothing (no completion had a sampled token)")


def share_of_groups(chosen: Tensor, group_ids: Tensor) -> float:
    return len(set(group_ids[chosen].tolist())) / len(set(group_ids.tolist()))
