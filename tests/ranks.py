"""One optimizer step cut among two ranks: what each makes of its share, and what the shares add up to.

The tests import this and do the same step in one process; `python ranks.py RANK FOLDER` is one rank. What needs to know
the whole step (which rollouts train, advantages, weights of the reduction, KTO's KL, BCO's shift) is settled before
anything is cut. The controls settle it share by share instead, as one must not.
"""

from __future__ import annotations

import faulthandler
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from verigrad.algorithms.objectives import value_clip
from verigrad.algorithms.penalties import kl_k1, kl_k3, overlong
from verigrad.algorithms.preference import bco_delta, kto_kl
from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES, PreferenceLoss
from verigrad.algorithms.presets import GRPO, PPO, PRESETS, Algorithm, call
from verigrad.algorithms.reductions import prompt_mean, token_mean
from verigrad.algorithms.reward_model import implicit_prm_loss
from verigrad.algorithms.shapes import masked
from verigrad.algorithms.shaping import diff_span
from verigrad.algorithms.supervised import cross_entropy
from verigrad.models.base import Batch
from verigrad.preferences.records import Pair, Ranking, Rated, Record
from verigrad.training.advantages import advantages_of
from verigrad.training.batching import rewarded_tokens, rows_batch, select_rollouts, terminal_rewards
from verigrad.training.config import RLConfig, SamplingConfig
from verigrad.training.examples import Example, chunks, examples_of, flat_rows, token_sums
from verigrad.training.policy import _Part, _policy_loss
from verigrad.training.preference import _mismatched, _offered, _preferred
from verigrad.training.rl_settings import with_loop_settings
from verigrad.types import Message, Row

__all__ = [
    "ALGORITHMS",
    "CAP",
    "HORIZON",
    "KL_COEF",
    "RECORD_CUTS",
    "ROLLOUT_CUTS",
    "TIMEOUT",
    "WORLD",
    "Small",
    "companion_gradient",
    "made_up_records",
    "made_up_step",
    "policy_gradient",
    "preference_gradient",
    "selected",
]

WORLD, TIMEOUT = 2, 60
VOCABULARY, HORIZON, KL_COEF, CAP = 11, 12, 0.1, 1.2

# Beside the table: the reduction that no row of it has, and the other correction for the sampler.
ALGORITHMS: dict[str, Algorithm] = {
    **PRESETS,
    "prompt_mean": replace(GRPO, reduction=prompt_mean),
    "masked_importance": GRPO,
}

# Whether a rollout goes to the second rank, by its number and group. No cut is into equal shares, of rollouts or of
# groups: then a mean of the ranks' means would be right by chance.
ROLLOUT_CUTS: dict[str, Callable[[int, int], bool]] = {
    "rollouts": lambda number, group: number % 3 == 1,
    "groups": lambda number, group: group == 1,
    "nothing that trains": lambda number, group: number == WITHOUT_TOKENS,
    "no rows": lambda number, group: False,
}


class Small(nn.Module):
    """A recurrent language model in float64, with a value before each token."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.embed = nn.Embedding(VOCABULARY, 6)
            self.mix = nn.GRU(6, 8, batch_first=True)
            self.head = nn.Linear(8, VOCABULARY)
            self.value = nn.Linear(8, 1)
        self.double()

    def logprobs(self, batch: Batch) -> Tensor:
        """(B, T), 0 outside the mask."""
        ids, states = self._states(batch)
        every = (self.head(states) / batch.temperature[..., None]).log_softmax(-1)
        return masked(every.gather(2, ids[..., None])[..., 0], batch.mask)

    def values(self, batch: Batch) -> Tensor:
        return masked(self.value(self._states(batch)[1])[..., 0], batch.mask)

    def _states(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Ids (B, T) and what is known before each of them (B, T, H)."""
        ids = torch.zeros(batch.mask.shape, dtype=torch.long)
        for view in batch.views:
            ids[view.row, : len(view.input_ids)] = view.input_ids
        after, _ = self.mix(self.embed(ids))
        return ids, torch.cat([torch.zeros_like(after[:, :1]), after[:, :-1]], dim=1)


def gradient(model: Small, loss: Tensor | None) -> Tensor:
    """The loss, then its gradient by every parameter, as one vector; zeros where there was nothing to run."""
    parameters = list(model.parameters())
    if loss is None:
        return torch.zeros(1 + sum(p.numel() for p in parameters), dtype=torch.float64)
    found = torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True)
    return torch.cat([loss.detach().reshape(1), *(g.flatten() for g in found)])


# ------------------------------------------------------------------------------------------ reinforcement learning

WITHOUT_TOKENS = 5
_NUM_ROWS = {0: 2, 3: 3, 9: 2}  # of rollouts that own several
_REWARDS = (
    (1.0, 0.0, 0.25, 0.0, 0.5, 0.0),
    (1.0, math.nan, 0.0, 0.75, 0.0, 0.0),
    (0.5, 0.5, 0.5),
    (0.25,),
)
_NUMBERS = {"baseline": torch.tensor([0.3]), "multiplier": torch.tensor(0.7)}


@dataclass(frozen=True)
class Step:
    """All that is known of one step.

    Attributes:
        batch: ragged; some rollouts own several rows, one has no token that counts, one no reward.
        rollouts: (N, ...) by name.
        tokens: (B, T) by name.
        ranks: for each cut the rank (B,) every row goes to; `rows` sends rows of one rollout to different ranks.
    """

    batch: Batch
    rollouts: dict[str, Tensor]
    tokens: dict[str, Tensor]
    ranks: dict[str, Tensor]

    def of_rollouts(self, keep: Tensor) -> Step:
        rows = keep[self.batch.rollout_index]
        batch = select_rollouts(self.batch, keep)
        parts = (
            {name: x[keep] for name, x in self.rollouts.items()},
            {name: x[rows] for name, x in self.tokens.items()},
        )
        return Step(batch, *parts, {name: x[rows] for name, x in self.ranks.items()})

    def at_rank(self, cut: str, rank: int) -> Tensor:
        """Rollouts (N,) whose rows go to a rank."""
        rows = self.batch.rollout_index[self.ranks[cut] == rank]
        return torch.isin(torch.arange(self.batch.num_rollouts), rows)


def made_up_step(name: str) -> Step:
    generator = torch.Generator().manual_seed(1)
    rows, rollout_index, group_ids, rewards = [], [], [], []
    for group, values in enumerate(_REWARDS):
        for reward in values:
            number = len(group_ids)
            for _ in range(_NUM_ROWS.get(number, 1)):
                rows.append(_row(generator, counts=number != WITHOUT_TOKENS))
                rollout_index.append(number)
            group_ids.append(group)
            rewards.append(reward)
    batch = rows_batch(rows, rollout_index, group_ids, rewards)
    if name == "pass_at_k":
        batch = replace(batch, rewards=torch.where(batch.rewards.isnan(), torch.nan, (batch.rewards >= 1).float()))

    def noise(scale: float, *shape: int) -> Tensor:
        return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)

    sampled = batch.sampler_logprobs.double()
    size, count = batch.mask.shape, batch.num_rollouts
    cuts = {
        cut: [second(number, group_ids[number]) for number in rollout_index] for cut, second in ROLLOUT_CUTS.items()
    }
    # Rollouts of several rows have two turns: their first row, and the others.
    again = torch.tensor([number in rollout_index[:row] for row, number in enumerate(rollout_index)])
    several = torch.tensor([number in _NUM_ROWS for number in range(count)])
    rewarded = torch.stack([torch.linspace(-0.3, 0.3, count), torch.where(several, 0.1, torch.nan)], dim=1)
    return Step(
        batch,
        rollouts={
            "turn_rewards": rewarded,
            "costs": noise(1.0, count).float(),
            "part_rewards": torch.stack([batch.rewards, noise(1.0, count).float()], dim=1),
            "greedy_rewards": noise(0.3, len(_REWARDS)).float()[batch.group_ids],
            "succeeded": batch.rewards >= 1,
        },
        tokens={
            "old_logprobs": masked(sampled + noise(0.2, *size), batch.mask),
            "ref_logprobs": masked(sampled + noise(0.3, *size), batch.mask),
            "teacher_logprobs": masked(sampled + noise(0.5, *size), batch.mask),
            "values": noise(0.5, *size),
            "process_rewards": noise(0.2, *size),
            "token_weights": torch.rand(size, generator=generator),
            "token_bonus": noise(0.3, *size),
            "turn_index": again.long()[:, None].expand(size),
        },
        ranks={**{cut: torch.tensor(to).long() for cut, to in cuts.items()}, "rows": torch.arange(len(rows)) % 2},
    )


def _row(generator: torch.Generator, *, counts: bool) -> Row:
    """A prompt and a completion of random ids; some tokens in between are not the policy's."""
    prompt, completion = _ids(generator, 2, 5), _ids(generator, 1, 8)
    own = tuple(counts and (t == 0 or _whole(generator, 0, 5) > 0) for t in range(len(completion)))
    # An untrained model is not far from uniform, so these are not far from its own.
    near = tuple(-math.log(VOCABULARY) + 0.2 * _draw(torch.randn, generator) for _ in completion)
    zeros = (0.0,) * len(prompt)
    return Row(
        ids=prompt + completion,
        mask=(False,) * len(prompt) + own,
        sampler_logprobs=zeros + tuple(x * o for x, o in zip(near, own, strict=True)),
        temperature=(1.0,) * len(prompt) + tuple(0.8 if o else 1.0 for o in own),
        kept={},
        prompt_length=len(prompt),
    )


def _ids(generator: torch.Generator, low: int, high: int) -> tuple[int, ...]:
    """Between `low` and `high - 1` ids, the last of the vocabulary not among them."""
    return tuple(_whole(generator, 0, VOCABULARY - 1) for _ in range(_whole(generator, low, high)))


def _whole(generator: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high, (1,), generator=generator))


def _draw(how: Callable[..., Tensor], generator: torch.Generator) -> float:
    # The default dtype, which is not always the same here, would make another number of the same seed.
    return float(how(1, generator=generator, dtype=torch.float64))


def settings_of(name: str) -> RLConfig:
    importance = "mask" if name == "masked_importance" else "truncate"
    config = RLConfig(
        kl_coef=KL_COEF, importance=importance, importance_cap=CAP, sampling=SamplingConfig(max_tokens=HORIZON)
    )
    return with_loop_settings(config, ALGORITHMS[name])


def selected(step: Step, algorithm: Algorithm) -> Step:
    """The rollouts that train, or how often each counts."""
    if algorithm.keep is None:
        return step
    known = {"rewards": step.batch.rewards, "group_ids": step.batch.group_ids, "succeeded": step.rollouts["succeeded"]}
    keep = call(algorithm.keep, **known, seed=0)
    if keep.dtype != torch.bool:
        return replace(step, rollouts={**step.rollouts, "counts": keep})
    return step.of_rollouts(keep)


def advantages_and_returns(step: Step, name: str) -> tuple[Tensor, Tensor | None]:
    """Penalties into the rewards, and advantages out of them, as the loop does before it updates the policy."""
    algorithm, config, batch = ALGORITHMS[name], settings_of(name), step.batch
    lengths = torch.zeros(batch.num_rollouts).index_add(0, batch.rollout_index, batch.mask.sum(1).float())
    if config.overlong:
        penalty = overlong(lengths, max_length=HORIZON, buffer=round(config.overlong * HORIZON))
        batch = replace(batch, rewards=batch.rewards + penalty)
    token_rewards = terminal_rewards(batch)
    if algorithm.kl_in_reward:
        kl = kl_k1(step.tokens["old_logprobs"], step.tokens["ref_logprobs"], batch.mask)
        token_rewards = token_rewards - KL_COEF * kl
    known = {**step.rollouts, **step.tokens, **_NUMBERS, "lengths": lengths, "token_rewards": token_rewards}
    # These change the advantages of any algorithm that does not say it has no use for them.
    if "outcome_critic" not in algorithm.needs and not algorithm.loop.get("executed_only"):
        del known["token_weights"]
    if not algorithm.loop.get("error_penalty"):
        del known["token_bonus"]
    return advantages_of(algorithm, batch, known, config)


def weights_of(step: Step, name: str) -> tuple[Tensor, Tensor]:
    """How much each token counts in the policy's loss, and in the likelihood of what succeeded: (B, T) each."""
    batch, config = step.batch, settings_of(name)
    weights = ALGORITHMS[name].reduction(batch.mask, batch.rollout_index, batch.group_ids, horizon=HORIZON)
    copied = batch.mask & step.rollouts["succeeded"][batch.rollout_index][:, None]
    return weights, config.nll_coef * token_mean(copied, batch.rollout_index, batch.group_ids)


def policy_gradient(name: str, cut: str = "", rank: int = 0, *, own: str = "") -> Tensor:
    """`gradient` of a rank's share of the policy's loss; of the whole step where there is no cut.

    The control `own` says what is taken of the share's rollouts alone: `advantages` or `weights`.
    """
    step = selected(made_up_step(name), ALGORITHMS[name])
    mine = step.ranks[cut] == rank if cut else torch.ones(step.batch.num_rows, dtype=torch.bool)
    advantages, _ = advantages_and_returns(step, name)
    weights = weights_of(step, name)
    if own:
        keep = step.at_rank(cut, rank)
        alone = step.of_rollouts(keep)
        if own == "advantages":
            places = keep if advantages.ndim == 1 else mine
            advantages = advantages.index_put((places,), advantages_and_returns(alone, name)[0])
        else:
            weights = [w.index_put((mine,), v) for w, v in zip(weights, weights_of(alone, name), strict=True)]
    model = Small()
    if not bool(mine.any()):
        return gradient(model, None)
    part = _Part(step.batch, advantages, step.rollouts["succeeded"], step.tokens["old_logprobs"]).select_rows(mine)
    logprobs = model.logprobs(part.batch)
    ref = step.tokens["ref_logprobs"][mine]
    return gradient(model, _loss(logprobs, part, ref, [w[mine] for w in weights], name))


def _loss(logprobs: Tensor, part: _Part, ref: Tensor, weights: Sequence[Tensor], name: str) -> Tensor:
    algorithm = ALGORITHMS[name]
    rows, mask = list(range(len(logprobs))), part.batch.mask
    per_token = _policy_loss(logprobs, part, rows, mask, algorithm, settings_of(name), {})
    if not algorithm.kl_in_reward:
        per_token = per_token + KL_COEF * kl_k3(logprobs, ref, part.batch.mask)
    return (per_token * weights[0] - logprobs * weights[1]).sum()


def policy_gradient_by_cotangents(name: str, cut: str, rank: int) -> Tensor:
    """For losses that tie together rows which lie on different ranks.

    All ranks learn all log-probs and differentiate the whole loss by them; each then runs its own rows backward.
    """
    step = selected(made_up_step(name), ALGORITHMS[name])
    mine, model = step.ranks[cut] == rank, Small()
    logprobs = model.logprobs(step.batch.select_rows(mine))
    leaves = torch.zeros(step.batch.mask.shape, dtype=torch.float64)
    leaves[mine] = logprobs.detach()
    dist.all_reduce(leaves)
    part = _Part(
        step.batch, advantages_and_returns(step, name)[0], step.rollouts["succeeded"], step.tokens["old_logprobs"]
    )
    loss = _loss(leaves.requires_grad_(), part, step.tokens["ref_logprobs"], weights_of(step, name), name)
    (cotangents,) = torch.autograd.grad(loss, leaves)
    found = gradient(model, (logprobs * cotangents[mine]).sum())
    # Every rank has the whole loss; one of them counts it.
    found[0] = float(loss.detach()) if rank == 0 else 0.0
    return found


def companion_gradient(which: str, cut: str = "", rank: int = 0) -> Tensor:
    """The same for what is trained beside the policy, a `critic` or a `prm`, and on `demonstrations`."""
    step, model = made_up_step("ppo"), Small()
    batch = step.batch
    mine = step.ranks[cut] == rank if cut else torch.ones(batch.num_rows, dtype=torch.bool)
    if not bool(mine.any()):
        return gradient(model, None)
    part = batch.select_rows(mine)
    if which == "critic":
        mask = rewarded_tokens(batch)
        weights = token_mean(mask, batch.rollout_index, batch.group_ids)
        _, returns = advantages_and_returns(step, PPO.name)
        assert returns is not None
        values = step.tokens["values"]
        per_token = value_clip(model.values(part), values[mine], returns[mine], mask[mine])
        return gradient(model, (per_token * weights[mine]).sum())
    if which == "demonstrations":
        weights = token_mean(batch.mask, batch.rollout_index, batch.group_ids)
        return gradient(model, (cross_entropy(model.logprobs(part), part.mask) * weights[mine]).sum())
    scored = ~batch.rewards.isnan()
    passed = batch.rewards.nan_to_num()[part.rollout_index]
    losses = implicit_prm_loss(model.logprobs(part), step.tokens["ref_logprobs"][mine], part.mask, passed)
    return gradient(model, (losses * (scored / scored.sum())[part.rollout_index]).sum())


# ------------------------------------------------------------------------------------------------------ preferences

_NUM_RECORDS = 7
RECORD_CUTS: dict[str, list[int]] = {
    "every other": [0, 1, 0, 1, 0, 1, 0],
    "the first ones": [0, 0, 1, 1, 1, 1, 1],
    "no records": [0, 0, 0, 0, 0, 0, 0],
}
# Large enough that the number all records share shows in the gradient.
BETA = {"kto": 1.0, "bco": 0.5}


@dataclass(frozen=True)
class Records:
    """Examples of one step with what the reference says of them; KTO's unrelated answers belong to the whole step."""

    examples: list[Example]
    reference: list[tuple[Tensor, ...]]
    mismatched: list[Row]
    mismatched_reference: Tensor


class Letters:
    """The least that examples ask of a tokenizer: an id for each letter, and one that ends an answer."""

    eos_token_id = VOCABULARY - 1

    def encode(self, text: str, **_: Any) -> list[int]:
        return [ord(letter) % (VOCABULARY - 1) for letter in text]


def made_up_records(data: str) -> Records:
    generator = torch.Generator().manual_seed(2)

    def text(low: int, high: int) -> str:
        return "".join(chr(ord("a") + id_) for id_ in _ids(generator, low, high))

    records: list[Record] = []
    for number in range(_NUM_RECORDS):
        prompt = (Message("user", text(1, 4)),)
        if data == "pairs":
            records.append(Pair(prompt=prompt, chosen=text(1, 8), rejected=text(1, 8)))
        elif data == "unpaired":
            records.append(Rated(prompt=prompt, completion=text(1, 8), desirable=number % 3 != 0))
        else:
            answers = tuple(text(1, 8) for _ in range(2 + number % 3))
            rewards = tuple(_draw(torch.rand, generator) for _ in answers)
            records.append(Ranking(prompt=prompt, completions=answers, rewards=rewards))
    examples = examples_of(Letters(), records, system=None, max_length=64)

    def under_reference(row: Row) -> Tensor:
        return -math.log(VOCABULARY) - 0.2 + 0.3 * torch.randn(sum(row.mask), generator=generator, dtype=torch.float64)

    reference = [tuple(under_reference(row) for row in example.rows) for example in examples]
    mismatched = _mismatched(examples, 1 << 20)
    return Records(examples, reference, mismatched, torch.stack([under_reference(row).sum() for row in mismatched]))


@contextmanager
def everything_in_float64() -> Iterator[None]:
    """The loop makes tables of the default dtype out of log-probs."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def preference_gradient(
    name: str, cut: str = "", rank: int = 0, *, own: str = "", together: Callable[[Tensor], Any] = lambda _: None
) -> Tensor:
    """`gradient` of a rank's share of a preference loss; of the whole step where there is no cut.

    Args:
        own: the control: `count` or `numbers` (the KL or the shift) of the share alone.
        together: adds up over ranks what each has of a vector over all records, in place.
    """
    row, model = PREFERENCE_LOSSES[name], Small()
    mine = [i for i in range(_NUM_RECORDS) if not cut or RECORD_CUTS[cut][i] == rank]
    with everything_in_float64():
        records = made_up_records(row.data)
        offered = _inputs(model, row, records, mine)
        seen = mine if own == "numbers" else list(range(_NUM_RECORDS))
        known = _numbers(model, row, records, offered, mine, seen, together if own != "numbers" else lambda _: None)
        if offered is None:
            return gradient(model, None)
        count = len(mine) if own == "count" else _NUM_RECORDS
        return gradient(model, call(row.loss, **offered, **known).sum() / count)


def _inputs(model: Small, row: PreferenceLoss, records: Records, mine: list[int]) -> dict[str, Any] | None:
    if not mine:
        return None
    (chunk,) = chunks([records.examples[i] for i in mine], 1 << 60)
    reference = [records.reference[i] for i in mine]
    offered = _offered(chunk, model.logprobs(chunk.batch), reference, row)
    if row.form == "tokens":
        pairs = (offered[f"{side}_{what}"] for what in ("ids", "mask") for side in ("chosen", "rejected"))
        offered["chosen_weights"], offered["rejected_weights"] = diff_span(*pairs)
    return offered


def _numbers(
    model: Small,
    row: PreferenceLoss,
    records: Records,
    offered: dict[str, Any] | None,
    mine: list[int],
    seen: list[int],
    together: Callable[[Tensor], Any],
) -> dict[str, Any]:
    """What a loss knows of the records `seen`, of which the rank itself runs `mine`."""
    known: dict[str, Any] = {"beta": BETA[row.name]} if row.name in BETA else {}
    if "kl" in row.extra:
        sums = torch.zeros(_NUM_RECORDS)
        if mine:
            batch = flat_rows([records.mismatched[i] for i in mine])
            sums[mine] = token_sums(model.logprobs(batch).detach(), batch.mask)[0]
        together(sums)
        known["kl"] = kto_kl(sums[seen], records.mismatched_reference[seen])
    if "delta" in row.extra:
        both = torch.zeros(2, _NUM_RECORDS)
        if offered is not None:
            both[:, mine] = torch.stack(_preferred(offered, row))
        together(both)
        known["delta"] = bco_delta(*(known["beta"] * both[:, seen]))
    return known


# ------------------------------------------------------------------------------------------------------------ a rank


def shares(rank: int) -> Iterator[tuple[tuple[str, ...], Tensor]]:
    """All cases, in an order that all ranks keep."""
    for name in ALGORITHMS:
        for cut in (*ROLLOUT_CUTS, "rows"):
            yield ("policy", name, cut), policy_gradient(name, cut, rank)
        for cut in ("rollouts", "groups"):
            for own in ("advantages", "weights"):
                yield (f"policy, own {own}", name, cut), policy_gradient(name, cut, rank, own=own)
    yield ("cotangents", "gspo", "rows"), policy_gradient_by_cotangents("gspo", "rows", rank)
    for which in ("critic", "prm", "demonstrations"):
        for cut in (*ROLLOUT_CUTS, "rows"):
            yield ("companion", which, cut), companion_gradient(which, cut, rank)
    for name, row in PREFERENCE_LOSSES.items():
        for cut in RECORD_CUTS:
            yield ("preference", name, cut), preference_gradient(name, cut, rank, together=dist.all_reduce)
        for cut in ("every other", "the first ones"):
            controls = ("count", "numbers") if {"kl", "delta"} & set(row.extra) else ("count",)
            for own in controls:
                found = preference_gradient(name, cut, rank, own=own, together=dist.all_reduce)
                yield (f"preference, own {own}", name, cut), found


def main(rank: int, folder: Path) -> None:
    """Add up all cases over the ranks; the first one writes the sums, and its own part of each, to `sums.pt`."""
    # A rank that waits for one that is gone, with nobody left to end it, ends itself and says where it was.
    faulthandler.dump_traceback_later(TIMEOUT, exit=True)
    torch.set_num_threads(1)
    store = dist.FileStore(str(folder / "meeting"), WORLD)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=WORLD, timeout=timedelta(seconds=TIMEOUT))
    cases, own = zip(*shares(rank), strict=True)
    parts = torch.stack(own)
    # All cases at once: on a busy machine two processes wait long for each other.
    total = parts.clone()
    dist.all_reduce(total)
    if rank == 0:
        torch.save({case: (total[i], parts[i]) for i, case in enumerate(cases)}, folder / "sums.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
