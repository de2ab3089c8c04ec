"""THE TABLE of preference losses: what each needs from the loop.

A loop computes what the row asks for and hands it over by name, `presets.call(row.loss, policy_chosen=..., ...)`. To
make your own:

    from dataclasses import replace
    from functools import partial

    CONSERVATIVE = replace(PREFERENCE_LOSSES["dpo"], name="cdpo", loss=partial(dpo, label_smoothing=0.1))
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from verigrad.algorithms import preference as p

__all__ = ["PREFERENCE_LOSSES", "Data", "Form", "PreferenceLoss"]

Data = Literal["pairs", "unpaired", "ranking"]
Form = Literal["sum", "mean", "both", "tokens"]


@dataclass(frozen=True, kw_only=True)
class PreferenceLoss:
    """One row of the table.

    Attributes:
        name: as written in recipes and logs.
        loss: per-pair loss `(B,)` (per completion where unpaired, per prompt where ranking); called by name.
        data: `pairs` of chosen and rejected, `unpaired` completions with a verdict each, or k candidates to `ranking`.
        form: log-probs of a completion as `sum`, `mean` per token, `both`, or per `tokens` with weights.
        reference: whether log-probs of a frozen reference are needed.
        extra: further arguments the loop must provide.
        paper: where it comes from.
    """

    name: str
    loss: Callable[..., Tensor]
    data: Data = "pairs"
    form: Form = "sum"
    reference: bool = True
    extra: tuple[str, ...] = ()
    paper: str


# fmt: off
_ROWS = (
    PreferenceLoss(name="dpo",          loss=p.dpo,                                      paper="arXiv:2305.18290"),
    PreferenceLoss(name="dpo_norm",     loss=p.dpo_norm,     form="mean",                paper="arXiv:2411.15124"),
    PreferenceLoss(name="robust_dpo",   loss=p.robust_dpo,                               paper="arXiv:2403.00409"),
    PreferenceLoss(name="rpo",          loss=p.rpo,          form="both",                paper="arXiv:2404.19733"),
    PreferenceLoss(name="weighted_dpo", loss=p.weighted_dpo, form="tokens",              paper="arXiv:2502.11475",
                   extra=("chosen_weights", "rejected_weights")),
    PreferenceLoss(name="ipo",          loss=p.ipo,                                      paper="arXiv:2310.12036"),
    PreferenceLoss(name="hinge",        loss=p.hinge,                                    paper="arXiv:2309.06657"),
    PreferenceLoss(name="exo",          loss=p.exo,                                      paper="arXiv:2402.00856"),
    PreferenceLoss(name="kto",          loss=p.kto,          data="unpaired",            paper="arXiv:2402.01306",
                   extra=("desirable", "kl")),
    PreferenceLoss(name="bco",          loss=p.bco,          extra=("delta",),           paper="arXiv:2404.04656"),
    PreferenceLoss(name="nca",          loss=p.nca,                                      paper="arXiv:2402.05369"),
    PreferenceLoss(name="apo_zero",     loss=p.apo_zero,                                 paper="arXiv:2408.06266"),
    PreferenceLoss(name="apo_down",     loss=p.apo_down,                                 paper="arXiv:2408.06266"),
    PreferenceLoss(name="sppo",         loss=p.sppo,                                     paper="arXiv:2405.00675"),
    PreferenceLoss(name="slic",         loss=p.slic,         reference=False,            paper="arXiv:2305.10425"),
    PreferenceLoss(name="orpo",         loss=p.orpo,         reference=False, form="mean", paper="arXiv:2403.07691"),
    PreferenceLoss(name="simpo",        loss=p.simpo,        reference=False, form="mean", paper="arXiv:2405.14734"),
    PreferenceLoss(name="cpo",          loss=p.cpo,          reference=False,            paper="arXiv:2401.08417"),
    PreferenceLoss(name="rrhf",         loss=p.rrhf,         reference=False, form="both", paper="arXiv:2304.05302",
                   data="ranking", extra=("candidate_rewards", "candidate_mask")),
)
# fmt: on

PREFERENCE_LOSSES: dict[str, PreferenceLoss] = {row.name: row for row in _ROWS}
