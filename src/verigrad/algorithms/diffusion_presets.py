"""Named methods for masked-diffusion models: rows like those of `presets`, each with its estimator.

Any other row of `presets` runs on such a model too, by default on the states that were visited (`trace`).
"""

from __future__ import annotations

from functools import partial

from verigrad.algorithms import advantages as adv
from verigrad.algorithms.diffusion_objectives import softmax_difference, spg
from verigrad.algorithms.objectives import ppo_clip, reinforce
from verigrad.algorithms.presets import Algorithm
from verigrad.algorithms.reductions import fixed_length, sequence_mean, sequence_sum, token_mean
from verigrad.algorithms.sequence_objectives import gspo

__all__ = [
    "COUPLED_GRPO",
    "DIFFUSION_PRESETS",
    "DIFFU_GRPO",
    "ESPO",
    "JUST_GRPO",
    "RANDOM_GRPO",
    "SPG",
    "TRACE_RL",
    "WD1",
]

# fmt: off
JUST_GRPO = Algorithm(name="just_grpo", paper="arXiv:2601.15165", estimator="left_to_right",
    advantage=adv.group_normalized, objective=ppo_clip, reduction=sequence_mean)
RANDOM_GRPO = Algorithm(name="random_grpo", paper="arXiv:2402.03300", estimator="random_order",
    advantage=adv.group_normalized, objective=ppo_clip, reduction=sequence_mean)
TRACE_RL = Algorithm(name="trace_rl", paper="arXiv:2509.06949", estimator="trace",
    advantage=adv.group_normalized, objective=ppo_clip, reduction=fixed_length)
DIFFU_GRPO = Algorithm(name="diffu_grpo", paper="arXiv:2504.12216", estimator="mean_field",
    advantage=adv.group_centered, objective=partial(ppo_clip, clip_low=0.5, clip_high=0.5), reduction=sequence_mean)
COUPLED_GRPO = Algorithm(name="coupled_grpo", paper="arXiv:2506.20639", estimator="coupled",
    advantage=adv.leave_one_out, objective=partial(ppo_clip, clip_low=0.5, clip_high=0.5), reduction=token_mean)
ESPO = Algorithm(name="espo", paper="arXiv:2512.03759", estimator="elbo",
    advantage=adv.group_centered, objective=partial(gspo, clip_low=0.2, clip_high=0.2), reduction=sequence_mean)
WD1 = Algorithm(name="wd1", paper="arXiv:2507.08838", estimator="mean_field",
    advantage=softmax_difference, objective=reinforce, reduction=sequence_sum)
SPG = Algorithm(name="spg", paper="arXiv:2510.09541", estimator="sandwich",
    advantage=adv.group_centered, objective=spg, reduction=sequence_sum)
# fmt: on

DIFFUSION_PRESETS: dict[str, Algorithm] = {
    row.name: row for row in (JUST_GRPO, RANDOM_GRPO, TRACE_RL, DIFFU_GRPO, COUPLED_GRPO, ESPO, WD1, SPG)
}
