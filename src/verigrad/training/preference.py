"""Preference optimisation: offline on a file, iterative or online on pairs mined from the policy's own rollouts.

A round is: have records, score them once under the frozen reference, train on them. A file is one round; with a task
source each round samples, judges and mines its own records first (DPO-VP, arXiv:2503.12854), and many rounds of one
step each are online training. Everything a round trains on is written to `pairs/` before the first step, so a killed
run goes on from the same records. A language model may choose the pairs instead of the tests (RLAIF, `round_judge`):
then `answers/` keeps what it is asked about, and `judge/` what it says.
"""

from __future__ import annotations

import copy
import hashlib
import inspect
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby
from pathlib import Path
from random import Random
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from verigrad.algorithms.preference import (
    bco_delta,
    implicit_rewards,
    kto_kl,
    preference_summary,
)
from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES, PreferenceLoss
from verigrad.algorithms.presets import asks_for, call
from verigrad.allocator import give_back_freed_memory
from verigrad.errors import ConfigError, RunError
from verigrad.evaluation.sources import load_source
from verigrad.models.base import Batch
from verigrad.models.checkpoint import new_folder
from verigrad.models.diffusion import DiffusionSpec, diffusion_spec, is_diffusion
from verigrad.models.lora import base_weights, is_lora
from verigrad.models.masked import MaskedPack
from verigrad.models.packing import Pack
from verigrad.models.scoring import pack_batch, score_pack, token_logprobs
from verigrad.preferences.comparisons import (
    answers_from_row,
    answers_row,
    draw_comparisons,
    preferred_pair,
    tally,
)
from verigrad.preferences.mining import MINERS, Miner, TaskAnswers, from_groups, mine, miner_options
from verigrad.preferences.records import (
    Record,
    as_pairs,
    as_rankings,
    as_rated,
    read_records,
    write_records,
)
from verigrad.registry import resolve
from verigrad.rewards.tests import all_pass
from verigrad.rollout import collect
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.checkpoints import after_step, load_best
from verigrad.training.config import PreferenceConfig, ScoringConfig
from verigrad.training.estimators import ESTIMATORS, drawn_batch, filled_scoring
from verigrad.training.examples import Chunk, Example, chunks, examples_of, flat_rows, token_sums
from verigrad.training.optim import clip_gradients, learning_rate, make_optimizer, set_learning_rate
from verigrad.training.options import of_type
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.round_judge import RoundJudge, judge_engine
from verigrad.training.run import Learner, Run, TrainState, load_state, save_state
from verigrad.training.sampling import scheduled_tasks
from verigrad.training.stage import (
    Stage,
    check_trust,
    open_run,
    open_stage,
    own_engine,
    sampling_params,
    settled,
    trained_tasks,
)
from verigrad.training.token_weights import WEIGHTINGS, weights_of
from verigrad.types import Row

__all__ = ["chosen_loss", "train"]


def train(config: PreferenceConfig, *, resume: bool = False, reporter: Reporter | None = None) -> Path:
    """Run preference optimisation; returns the run folder.

    Raises:
        ConfigError: settings contradict each other or name something unknown.
        DataError: the file of preferences is malformed.
        RunError: the run folder cannot be used.
    """
    reporter = reporter or Silent()
    config = settled(config, resume=resume)
    row = chosen_loss(config)
    tasks = load_source(config.tasks) if config.tasks else None
    if tasks is not None:
        check_trust(tasks, allow_scripts=config.allow_scripts)
    records = _of_kind(read_records(Path(config.data)), row) if config.data else None
    asked = judge_engine(config.judge) if config.judge.url else None
    with ExitStack() as opened:
        make_engine = partial(own_engine, denoise=config.denoise)
        stage = open_stage(config, reporter, trained_tasks(tasks, config.data), make_engine=make_engine)
        opened.callback(stage.close)
        scoring = _scoring(stage, config)
        run, checkpoint = open_run(config, resume=resume)
        opened.callback(run.close)
        judge = None
        if asked is not None:
            opened.callback(lambda: stage.wait(asked.close()))
            judge = RoundJudge(asked, config.judge, seed=config.seed, folder=run.folder / "judge")
            opened.callback(judge.close)
        loop = _Loop(config, stage, run, row, tasks, records, scoring, judge)
        if checkpoint is None:
            stage.evaluate_splits(run, "before")
        else:
            loop.load(checkpoint)
            stage.refresh_engine(run.start_step)
            reporter.message(f"resumed after step {run.start_step}")
        loop.run_rounds(run.start_step)
        load_best(stage, run, loop.notes, lambda folder: load_state(folder, {"policy": loop.policy}))
        stage.refresh_engine(loop.steps + 1)
        stage.finish(run, {"steps": loop.steps, **loop.notes})
    return run.folder


def chosen_loss(config: PreferenceConfig) -> PreferenceLoss:
    """The loss that the settings name.

    Raises:
        ConfigError: there is no such loss, miner or option.
    """
    row: PreferenceLoss = resolve(config.loss, PREFERENCE_LOSSES, what="preference loss")
    _check_options(row, config)
    if config.tasks:
        _miner(config)
    return row


def _check_options(row: PreferenceLoss, config: PreferenceConfig) -> None:
    """Every option must be a parameter of the loss: `call` would drop another in silence."""
    known = {p.name for p in inspect.signature(row.loss).parameters.values() if p.kind is p.KEYWORD_ONLY}
    if unknown := sorted(set(config.options) - known):
        raise ConfigError(
            f"loss {row.name!r} has no option {', '.join(unknown)}; it has {', '.join(sorted(known)) or 'none'}"
        )
    weighs = "chosen_weights" in row.extra or asks_for(row.loss, "chosen_weights")
    if config.token_weights != "none" and not weighs:
        raise ConfigError(f"token_weights is {config.token_weights!r}, but loss {row.name!r} does not weigh tokens")
    if config.token_weights == "none" and weighs:
        raise ConfigError(f"loss {row.name!r} weighs tokens, and all alike it is dpo; set token_weights, or take dpo")
    if weighs:
        resolve(config.token_weights, WEIGHTINGS, what="token_weights")


def _miner(config: PreferenceConfig) -> Miner:
    """The miner with its options, each of the type its default has."""
    miner: Miner = resolve(config.miner, MINERS, what="miner")
    known = miner_options(miner)
    if unknown := sorted(set(config.miner_options) - set(known)):
        raise ConfigError(
            f"miner {config.miner!r} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}"
        )
    own: dict[str, Any] = {
        name: of_type(value, known[name], f"miner_options.{name}") for name, value in config.miner_options.items()
    }
    return partial(miner, **own)


def _of_kind(records: Sequence[Record], row: PreferenceLoss) -> list[Record]:
    """Records in the form the loss takes."""
    found: list[Record] = []
    if row.data == "pairs":
        found += as_pairs(records)
    elif row.data == "unpaired":
        found += as_rated(records)
    else:
        found += as_rankings(records)
    if not found:
        raise ConfigError(f"loss {row.name!r} takes {row.data}; none can be made of the {len(records)} records given")
    return found


@dataclass(frozen=True)
class _Round:
    """Examples of a round with what the frozen reference says of them.

    `reference` has a tensor of scored tokens' log-probs for every row, in the order of the examples; `mismatched`
    holds for each example its prompt with the answer to another, and `mismatched_reference` the reference's sums;
    `weights` are those of every pair's tokens, where the loss weighs tokens; `told` is what the judge's opinions came
    to, for the metrics.
    """

    examples: tuple[Example, ...]
    reference: tuple[tuple[Tensor, ...], ...]
    mismatched: tuple[Row, ...]
    mismatched_reference: Tensor
    weights: tuple[tuple[Tensor, Tensor], ...]
    told: Mapping[str, float]


def _scoring(stage: Stage, config: PreferenceConfig) -> ScoringConfig | None:
    """How a masked-diffusion model scores answers; None for a causal one.

    Raises:
        ConfigError: the estimator, or what is asked of it, is not for answers read from a file.
    """
    if not is_diffusion(stage.model):
        if config.diffusion != ScoringConfig():
            raise ConfigError(f"the section diffusion is for masked-diffusion models; {config.model!r} is a causal one")
        return None
    name = config.diffusion.estimator or "elbo"
    if name not in ("elbo", "left_to_right", "mean_field"):
        raise ConfigError(
            f"estimator {name!r} with preferences: wanted 'elbo' (VRPO), 'left_to_right' or 'mean_field'; the others "
            "go by the states a sampler visited, or have weights that are no log-probability's"
        )
    if config.token_weights != "none":
        raise ConfigError(f"token_weights = {config.token_weights!r} weighs tokens; not for a masked-diffusion model")
    return filled_scoring(name, config.diffusion)


def _on_canvas(row: Row, spec: DiffusionSpec, places: int) -> Row:
    """The row with the places behind its answer that the sampler's canvas would have had."""
    missing = spec.canvas_length(max(len(row.ids), row.prompt_length + places)) - len(row.ids)
    if spec.pad_policy != "fill" or not missing:
        return row
    return replace(
        row,
        ids=row.ids + (spec.pad_id,) * missing,
        mask=row.mask + (False,) * missing,
        sampler_logprobs=row.sampler_logprobs + (0.0,) * missing,
        temperature=row.temperature + (1.0,) * missing,
        tail_length=missing,
    )


class _Loop:
    def __init__(
        self,
        config: PreferenceConfig,
        stage: Stage,
        run: Run,
        row: PreferenceLoss,
        tasks: TaskSet | None,
        records: Sequence[Record] | None,
        scoring: ScoringConfig | None,
        judge: RoundJudge | None,
    ) -> None:
        self.config, self.stage, self.run, self.row, self.tasks = config, stage, run, row, tasks
        self.policy = Learner(stage.model, make_optimizer(stage.model, config.optim))
        self.notes: dict[str, Any] = {"delta": 0.0, "delta_steps": 0}
        many_rounds = config.rounds > 1 and config.reference == "start" and row.reference
        # One round scores its records before the first update: then the policy itself is the reference.
        self._frozen = (
            copy.deepcopy(stage.model).requires_grad_(False) if many_rounds and not is_lora(stage.model) else None
        )
        self._scoring, self._judge = scoring, judge
        self._given = self._fitting(records) if records is not None else None
        planned = len(self._given) if self._given is not None else config.records_per_round
        self.steps_per_round = config.epochs * -(-planned // config.batch_size)
        self.steps = self.steps_per_round * config.rounds

    def load(self, checkpoint: Path) -> None:
        self.notes = dict(load_state(checkpoint, {"policy": self.policy}).notes)

    def run_rounds(self, start_step: int) -> None:
        reporter = self.stage.reporter
        done, closed = start_step, False
        for number in range(start_step // max(1, self.steps_per_round), self.config.rounds):
            first = number * self.steps_per_round
            current = self._prepare(number)
            if current is None:
                reporter.message(f"round {number + 1}: no record came of its answers; nothing to learn from")
                continue
            per_epoch = -(-len(current.examples) // self.config.batch_size)
            count = min(self.steps_per_round, self.config.epochs * per_epoch)
            reporter.begin(f"training, round {number + 1} of {self.config.rounds}", count)
            reporter.advance(max(0, start_step - first))
            for index in range(max(0, start_step - first), count):
                started = time.perf_counter()
                row = self._step(current, number, index, first + index)
                give_back_freed_memory()
                row["seconds"] = time.perf_counter() - started
                self.run.log(row)
                reporter.step(row)
                last = number + 1 == self.config.rounds and index + 1 == count
                done, closed = first + index + 1, last
                after_step(self.stage, self.run, done, last=last, notes=self.notes, save=self.save)
                reporter.advance()
            reporter.end()
        if done > start_step and not closed:  # the last round had no records
            after_step(self.stage, self.run, done, last=True, notes=self.notes, save=self.save)

    def _batch(self, rows: Sequence[Row]) -> Batch:
        """Rows with the views they are scored through.

        The noise of a masked-diffusion model is drawn by a row's own ids, so that policy and reference look through the
        same masks, whenever they do (VRPO, Zhu et al. 2025, arXiv:2505.19223): also in every epoch.
        """
        if self._scoring is None:
            return flat_rows(rows)
        assert self._scoring.estimator is not None
        spec, numbers = diffusion_spec(self.stage.model), range(len(rows))
        return drawn_batch(
            [_on_canvas(row, spec, self.config.sampling.max_tokens) for row in rows],
            numbers,
            list(numbers),
            [0.0] * len(rows),
            spec=spec,
            scoring=self._scoring,
            kind=ESTIMATORS[self._scoring.estimator].kind,
            seed=self.config.seed,
            keys=[derive_seed(*row.ids) for row in rows],
        )

    def _positions(self, example: Example) -> int:
        """Positions that scoring an example runs, at most; block attention runs a clean row beside each masked one."""
        if self._scoring is None:
            return example.positions
        copies = 2 if diffusion_spec(self.stage.model).attention == "block" else 1
        return copies * sum(len(view.input_ids) for view in self._batch(example.rows).views)

    # ------------------------------------------------------------------------------------------ records of a round

    def _prepare(self, number: int) -> _Round | None:
        told: dict[str, float] = {}
        if self._given is not None:
            examples = self._given
        else:
            records = self._mined(number)
            told = (self.run.read_rows(_told_file(number)) or [{}])[0]
            if not records:
                return None
            examples = self._fitting(records)
        mismatched = _mismatched(examples, self.config.max_length) if "kl" in self.row.extra else []
        rows = [row for example in examples for row in example.rows] + mismatched
        scored = self._reference_logprobs(rows, number) if self.row.reference else [torch.zeros(0)] * len(rows)
        own = iter(scored)
        reference = tuple(tuple(next(own) for _ in example.rows) for example in examples)
        sums = torch.tensor([float(values.sum()) for values in own])
        weights: list[tuple[Tensor, Tensor]] = []
        if self.config.token_weights != "none":
            weights = self._weights(examples)
        return _Round(tuple(examples), reference, tuple(mismatched), sums, tuple(weights), told)

    def _weights(self, examples: Sequence[Example]) -> list[tuple[Tensor, Tensor]]:
        """Weights of every pair's tokens; pairs without any are told."""
        how = self.config.token_weights
        weights = weights_of(how, examples, self.stage.tokenizer)
        if silent := sum(not (bool(one.any()) or bool(other.any())) for one, other in weights):
            said = f"token_weights = {how!r} gives {silent} of {len(weights)} pairs no token of any weight"
            if silent == len(weights) and self._given is not None:
                raise ConfigError(f"{said}, so there is nothing to learn; take other weights, or dpo")
            self.stage.reporter.message(f"{said}: they teach nothing")
        return weights

    def _fitting(self, records: Sequence[Record]) -> list[Example]:
        """Token ids of the records that are not too long; the schedule counts these."""
        longest, system = self.config.max_length, self.config.system or None
        examples = examples_of(self.stage.tokenizer, records, system=system, max_length=longest)
        self.stage.reporter.message(
            f"{len(examples)} records; {len(records) - len(examples)} longer than max_length left out"
        )
        if not examples:
            raise ConfigError(f"none of {len(records)} records fits max_length = {longest}")
        return examples

    def _mined(self, number: int) -> list[Record]:
        """Records of a round: those on disk where it was begun before, else sampled, judged and mined now."""
        file = self.run.folder / "pairs" / f"round-{number + 1:04d}.jsonl"
        if file.exists():
            return read_records(file) if file.stat().st_size else []
        config, seed = self.config, derive_seed(self.config.seed, "mine", number)
        tasks, miner = self._answers(number), _miner(config)
        found: list[Sequence[Record]] = [[] for _ in tasks]
        if self._judge is None or config.judge.when == "no_record":
            found = [mine(task, miner, max_per_task=config.records_per_task, seed=seed) for task in tasks]
        if self._judge is not None:
            found = self._judged(self._judge, tasks, found, number, seed)
        records = [record for own in found for record in own]
        records = _of_kind(records, self.row) if records else []
        Random(seed).shuffle(records)
        records = records[: config.records_per_round]
        write_records(file, records)
        return records

    def _answers(self, number: int) -> list[TaskAnswers]:
        """Answers of a round's tasks, sampled and run; with a judge they are kept, for asking twice is dear."""
        name = f"answers/round-{number + 1:04d}.jsonl"
        if kept := self.run.read_rows(name):
            return [answers_from_row(row) for row in kept]
        assert self.tasks is not None
        config, stage = self.config, self.stage
        stage.refresh_engine(number)
        chosen = scheduled_tasks(self.tasks.tasks, number * config.tasks_per_round, config.tasks_per_round, config.seed)
        stage.reporter.begin(f"sampling, round {number + 1}", len(chosen) * config.group_size)
        groups = stage.wait(
            collect(
                chosen,
                [self.tasks.oracle(task) for task in chosen],
                agent=stage.agent(sampling_params(config.sampling)),
                engine=stage.engine,
                judge=stage.judge,
                reward=all_pass,
                group_size=config.group_size,
                seed=derive_seed(config.seed, "round", number),
                on_rollout=lambda _: stage.reporter.advance(),
            )
        )
        stage.reporter.end()
        tasks = from_groups(groups)
        if self._judge is not None:
            self.run.write_rows(name, map(answers_row, tasks))
        return tasks

    def _judged(
        self, judge: RoundJudge, tasks: Sequence[TaskAnswers], mined: Sequence[Sequence[Record]], number: int, seed: int
    ) -> list[Sequence[Record]]:
        """Records of each task, the judge's where the miner has none; what its opinions came to is written down.

        Raises:
            EngineError: the judge's endpoint is not there.
        """
        config, reporter = self.config, self.stage.reporter
        asked = [
            [] if own else draw_comparisons(task, most=config.judge.pairs_per_task, seed=seed)
            for task, own in zip(tasks, mined, strict=True)
        ]
        comparisons = [comparison for those in asked for comparison in those]
        reporter.begin(f"asking the judge, round {number + 1}", len(comparisons))
        self.stage.wait(judge.ask(comparisons, reporter.advance))
        reporter.end()
        told = tally(comparisons, judge.opinions)
        self.run.write_rows(_told_file(number), [told])
        said = ", ".join(
            f"{name.removeprefix('judge_')} {value:.0%}" for name, value in told.items() if name != "judge_pairs"
        )
        reporter.message(f"round {number + 1}: the judge was asked about {len(comparisons)} pairs; {said}")
        found = []
        for own, those in zip(mined, asked, strict=True):
            pairs = (preferred_pair(comparison, judge.opinions.get(comparison.id)) for comparison in those)
            found.append(own or [pair for pair in pairs if pair is not None][: config.records_per_task or None])
        return found

    def _reference_logprobs(self, rows: Sequence[Row], number: int) -> list[Tensor]:
        """The frozen reference's log-probs of each row's scored tokens, computed once and kept in the run folder.

        Raises:
            RunError: they are not there any more, and the policy that they were of has learned since.
        """
        folder = self.run.folder / "reference" / f"round-{number + 1:04d}"
        lengths = [sum(row.mask) for row in rows]
        digest = hashlib.sha256(json.dumps([(list(row.ids), list(row.mask)) for row in rows]).encode()).hexdigest()
        if folder.exists() and (folder / "rows").exists() and (folder / "rows").read_text() == digest:
            return list(load_file(folder / "logprobs.safetensors")["logprobs"].split(lengths))
        model = self._frozen if self._frozen is not None else self.stage.model
        adapters_off = self.config.reference == "start"
        still_there = self._frozen is not None or (adapters_off and is_lora(model))
        if self.run.start_step > number * self.steps_per_round and not still_there:
            raise RunError(
                f"{folder} is gone, or is of other answers than round {number + 1} has now: the reference was the "
                "policy before that round, which has been trained since. Put it back and --resume, or start anew in "
                "another folder with --run"
            )
        found: list[Tensor] = []
        self.stage.reporter.begin("scoring under the reference", len(rows))
        for start in range(0, len(rows), 64):
            batch = self._batch(rows[start : start + 64])
            with base_weights(model) if adapters_off else nullcontext():
                scores = token_logprobs(
                    model, batch, token_budget=self.config.token_budget, dtype=self.stage.dtype
                ).values
            found += [values[mask] for values, mask in zip(scores, batch.mask, strict=True)]
            self.stage.reporter.advance(batch.num_rows)
        self.stage.reporter.end()
        with new_folder(folder) as building:
            save_file({"logprobs": torch.cat(found)}, building / "logprobs.safetensors")
            (building / "rows").write_text(digest)
        return found

    # ------------------------------------------------------------------------------------------------------ a step

    def _step(self, current: _Round, number: int, index: int, step: int) -> dict[str, Any]:
        chosen = _chosen(len(current.examples), self.config, number, index)
        examples = [current.examples[i] for i in chosen]
        scalars = self._scalars(current, chosen)
        known = {**self.config.options, **scalars}
        references = iter([current.reference[i] for i in chosen])
        weights = iter([current.weights[i] for i in chosen] if current.weights else [])
        model, total = self.policy.model, 0.0
        seen: list[tuple[Tensor, Tensor]] = []
        model.train()
        budget = self.config.token_budget
        for chunk in chunks(examples, budget, build=self._batch, positions=self._positions):
            packs, scores = self._scored(chunk.batch)
            reference = [next(references) for _ in chunk.examples]
            offered = _offered(chunk, scores, reference, self.row)
            if current.weights:
                offered.update(_padded_weights([next(weights) for _ in chunk.examples], chunk.batch.mask))
            loss = call(self.row.loss, **offered, **known).sum() / len(examples)
            loss.backward()
            for pack in packs:
                own = score_pack(model, pack, chunk.batch, dtype=self.stage.dtype).values.cpu()
                assert scores.grad is not None
                (own * scores.grad).sum().backward()
            total += float(loss.detach())
            seen.append(_preferred(offered, self.row))
        model.eval()
        rate = learning_rate(self.config.optim, step, self.steps)
        set_learning_rate(self.policy.optimizer, rate)
        norm = clip_gradients((p for p in model.parameters() if p.requires_grad), self.config.optim.max_grad_norm)
        self.policy.optimizer.step()
        self.policy.optimizer.zero_grad()
        good, bad = (torch.cat(values) for values in zip(*seen, strict=True))
        if "delta" in self.row.extra:
            self._move_delta(good, bad)
        summary = _unpaired_summary(good, bad) if self.row.data == "unpaired" else preference_summary(good, bad)
        told = {"kl": "kto_z", "delta": "bco_delta"}
        return {
            "step": step + 1,
            "kind": "train",
            "round": number + 1,
            "loss": total,
            **summary,
            **current.told,
            **{told[name]: max(0.0, float(known[name])) if name == "kl" else known[name] for name in scalars},
            "grad_norm": norm,
            "learning_rate": rate,
            "records": len(examples),
        }

    def _scored(self, batch: Batch) -> tuple[Sequence[Pack | MaskedPack], Tensor]:
        """Log-probs (B, T) of a chunk with their graph where one pass does; else without, and the passes that are to
        carry on their gradient, by the chain rule: many views of an answer need not fit into memory at once."""
        # A causal pair is never cut: that would be two forward passes for one.
        budget = 1 << 60 if self._scoring is None else self.config.token_budget
        model, dtype = self.policy.model, self.stage.dtype
        packs = pack_batch(model, batch, token_budget=budget)
        if len(packs) == 1:
            return [], score_pack(model, packs[0], batch, dtype=dtype).values.cpu()
        return packs, token_logprobs(model, batch, token_budget=budget, dtype=dtype).values.requires_grad_()

    def _scalars(self, current: _Round, chosen: Sequence[int]) -> dict[str, Any]:
        """What some losses know of the step as a whole, without gradient."""
        found: dict[str, Any] = {}
        if "delta" in self.row.extra:
            found["delta"] = self.notes["delta"]
        if "kl" in self.row.extra:
            batch = self._batch([current.mismatched[i] for i in chosen])
            scores = token_logprobs(
                self.policy.model, batch, token_budget=self.config.token_budget, dtype=self.stage.dtype
            ).values
            found["kl"] = kto_kl(token_sums(scores, batch.mask)[0], current.mismatched_reference[list(chosen)])
        return found

    def _move_delta(self, good: Tensor, bad: Tensor) -> None:
        """BCO's reward shift: the mean over all steps so far."""
        beta = self.config.options.get("beta", inspect.signature(self.row.loss).parameters["beta"].default)
        step_delta = float(bco_delta(beta * good, beta * bad))
        self.notes["delta_steps"] += 1
        self.notes["delta"] += (step_delta - self.notes["delta"]) / self.notes["delta_steps"]

    def save(self, folder: Path, step: int) -> None:
        save_state(folder, {"policy": self.policy}, TrainState(step, self.notes))


def _told_file(number: int) -> str:
    return f"judge/round-{number + 1:04d}.jsonl"


def _chosen(count: int, config: PreferenceConfig, number: int, index: int) -> list[int]:
    """Examples of a step: each epoch in an order drawn from (seed, round, epoch)."""
    per_epoch = -(-count // config.batch_size)
    epoch, place = divmod(index, per_epoch)
    order = list(range(count))
    Random(derive_seed(config.seed, "order", number, epoch)).shuffle(order)
    return order[place * config.batch_size : (place + 1) * config.batch_size]


def _mismatched(examples: Sequence[Example], max_length: int) -> list[Row]:
    """Each example's prompt with the answer to another: KTO's estimate of the KL wants unrelated answers.

    Records of one prompt stand together in most files, so partners are as far apart as the longest such stretch, and
    farther where that is the same prompt again. With one prompt alone there are no others, and its own are taken.
    """
    prompts = [example.rows[0].ids[: example.rows[0].prompt_length] for example in examples]
    longest = max(len(list(same)) for _, same in groupby(prompts))
    count, found = len(examples), []
    for index, start in enumerate(prompts):
        partners = (examples[(index + longest + further) % count].rows[0] for further in range(count))
        other = next((row for row in partners if row.ids[: row.prompt_length] != start), examples[index].rows[0])
        answer = other.ids[other.prompt_length :][: max(1, max_length - len(start))]
        ids = start + answer
        mask = (False,) * len(start) + (True,) * len(answer)
        found.append(Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, len(start)))
    return found


def _offered(
    chunk: Chunk, scores: Tensor, reference: Sequence[Sequence[Tensor]], row: PreferenceLoss
) -> dict[str, Any]:
    """Everything a loss may ask for, by name: sums, means and tokens under policy and reference."""
    mask = chunk.batch.mask
    ref = torch.zeros(scores.shape)
    if row.reference:
        ref[mask] = torch.cat([values for example in reference for values in example])
    if row.data == "pairs":
        return _pair_inputs(chunk, scores, ref)
    sums, means, _ = token_sums(scores, mask)
    if row.data == "unpaired":
        desirable = torch.tensor([example.facts["desirable"] for example in chunk.examples])
        return {"policy": sums, "ref": token_sums(ref, mask)[0], "desirable": desirable}
    sizes = [len(example.rows) for example in chunk.examples]
    width = max(sizes)
    present = torch.arange(width) < torch.tensor(sizes)[:, None]

    def table(values: Tensor) -> Tensor:
        return torch.zeros(len(sizes), width).masked_scatter(present, values)

    rewards = torch.tensor([value for example in chunk.examples for value in example.facts["candidate_rewards"]])
    return {
        "policy_candidates": table(sums),
        "policy_candidates_mean": table(means),
        "candidate_rewards": table(rewards),
        "candidate_mask": present,
    }


def _pair_inputs(chunk: Chunk, scores: Tensor, ref: Tensor) -> dict[str, Any]:
    mask = chunk.batch.mask
    found: dict[str, Any] = {}
    ids = torch.zeros(mask.shape, dtype=torch.long)
    for view in chunk.batch.views:
        whole = view.input_ids if view.clean_ids is None else view.clean_ids
        ids[view.row, : len(whole)] = whole
    for name, rows in (("chosen", slice(0, None, 2)), ("rejected", slice(1, None, 2))):
        for who, values in (("policy", scores), ("ref", ref)):
            sums, means, counts = token_sums(values[rows], mask[rows])
            found[f"{who}_{name}"] = sums
            found[f"{who}_{name}_mean"] = means
            found[f"{who}_{name}_tokens"] = values[rows]
            found[f"{name}_lengths"] = counts
        found[f"{name}_mask"] = mask[rows]
        found[f"{name}_ids"] = ids[rows]
    return found


def _padded_weights(weights: Sequence[tuple[Tensor, Tensor]], mask: Tensor) -> dict[str, Tensor]:
    """Weights of a chunk's pairs at the places of the tokens they are of, 0 elsewhere: (B, T) of either side."""
    sides = {"chosen": mask[0::2], "rejected": mask[1::2]}
    return {
        f"{side}_weights": torch.zeros(own.shape).masked_scatter(own, torch.cat([pair[number] for pair in weights]))
        for number, (side, own) in enumerate(sides.items())
    }


def _preferred(offered: Mapping[str, Any], row: PreferenceLoss) -> tuple[Tensor, Tensor]:
    """How much policy (against the reference, where there is one) likes wanted and unwanted answers; detached."""
    if row.data == "pairs":
        suffix = "" if row.reference else "_mean"
        policy = [offered[f"policy_{name}{suffix}"].detach() for name in ("chosen", "rejected")]
        if not row.reference:
            return policy[0], policy[1]
        ref = [offered[f"ref_{name}"] for name in ("chosen", "rejected")]
        return implicit_rewards(policy[0], ref[0], beta=1.0), implicit_rewards(policy[1], ref[1], beta=1.0)
    if row.data == "unpaired":
        values = offered["policy"].detach() - offered["ref"]
        return values[offered["desirable"]], values[~offered["desirable"]]
    rewards = offered["candidate_rewards"].masked_fill(~offered["candidate_mask"], float("-inf"))
    means = offered["policy_candidates_mean"].detach()
    best = rewards.argmax(1, keepdim=True)
    worst = rewards.masked_fill(~offered["candidate_mask"], float("inf")).argmin(1, keepdim=True)
    return means.gather(1, best)[:, 0], means.gather(1, worst)[:, 0]


def _unpaired_summary(good: Tensor, bad: Tensor) -> dict[str, float]:
    """Mean implicit rewards of wanted and unwanted answers, and the share on the right side of 0."""
    right = float((good > 0).sum() + (bad < 0).sum()) / max(1, len(good) + len(bad))
    means = [float(values.mean()) if len(values) else 0.0 for values in (good, bad)]
    return {"accuracy": right, "margin": means[0] - means[1], "chosen_reward": means[0], "rejected_reward": means[1]}
