"""Reinforcement learning from verified rewards: sample, judge, compare, update.

The loop is synchronous and reads in order; what waits (engine, sandbox) is inside `verigrad.training.sampling`. Nothing
measured by the clock enters the trajectory, so a killed run resumes to the same weights.

Scores become advantages in `verigrad.training.advantages`, the update itself is in `verigrad.training.policy`, what
some algorithms learn beside the policy in `verigrad.training.companions`. Left out on purpose, each another file:
asynchronous sampling, several policies.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NoReturn

import torch
from torch import Tensor

from verigrad.algorithms.presets import Algorithm
from verigrad.algorithms.selection import has_signal
from verigrad.allocator import give_back_freed_memory
from verigrad.errors import CheckpointError, RunError
from verigrad.evaluation.benchmark import sample_rows
from verigrad.evaluation.fresh import FreshTests
from verigrad.evaluation.sources import load_source
from verigrad.models.base import Batch
from verigrad.models.diffusion import diffusion_spec, is_diffusion
from verigrad.models.lora import is_lora
from verigrad.rewards.base import Reward
from verigrad.rewards.outcome import PASSED
from verigrad.rollout import Group
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.advantages import advantages_of, shape_rewards
from verigrad.training.audit import Audit, first_flagged
from verigrad.training.augment import augmented
from verigrad.training.batching import completion_lengths, make_batch, rows_batch, score_parts, trains
from verigrad.training.checkpoints import after_step, load_best
from verigrad.training.companions import Companion, open_companions
from verigrad.training.config import RLConfig
from verigrad.training.credit import credit_tensors
from verigrad.training.curriculum import Curriculum
from verigrad.training.estimators import drawn_batch, score_kind
from verigrad.training.optim import make_optimizer
from verigrad.training.policy import update_policy
from verigrad.training.proxies import Proxies
from verigrad.training.replay import Replay
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.rl_settings import check_settings, chosen_parts, with_scoring
from verigrad.training.rollout_metrics import first_error, rollout_metrics, share_of_groups
from verigrad.training.run import Learner, Run, TrainState, load_state, save_state
from verigrad.training.sampling import Sampler
from verigrad.training.selecting import keep_rollouts, score_tensors, scored, select
from verigrad.training.sft import demonstration_rows, gold_demonstrations
from verigrad.training.stage import Stage, open_run, open_stage, own_engine, settled
from verigrad.types import Rollout

__all__ = ["Loop", "train"]

_CRITICS = {"critic", "outcome_critic"}


def train(config: RLConfig, *, resume: bool = False, reporter: Reporter | None = None) -> Path:
    """Run the whole job; returns the run folder.

    Raises:
        ConfigError: settings contradict each other or name something unknown.
        RunError: the run folder cannot be used, every rollout of a step failed, or one was flagged and the audit
            is to stop the run then.
    """
    reporter = reporter or Silent()
    config, algorithm, reward = chosen_parts(config)
    config = settled(config, resume=resume)
    tasks = augmented(load_source(config.tasks), config.rename, config.word_dropout, config.seed)
    check_settings(config, algorithm, tasks)
    with ExitStack() as opened:
        # Stage and loop first: they find what is wrong with the settings before a run folder exists.
        make_engine = partial(own_engine, denoise=config.denoise)
        stage = open_stage(config, reporter, (task.id for task in tasks.tasks), make_engine=make_engine)
        opened.callback(stage.close)
        config = with_scoring(config, algorithm, stage, tasks)
        loop = Loop.open(config, stage, algorithm, reward, tasks)
        run, checkpoint = open_run(config, resume=resume)
        opened.callback(run.close)
        if checkpoint is None:
            stage.evaluate_splits(run, "before")
        else:
            loop.load(checkpoint)
            stage.refresh_engine(run.start_step)
            reporter.message(f"resumed after step {run.start_step}")
        reporter.begin("training", config.steps)
        reporter.advance(run.start_step)
        for step in range(run.start_step, config.steps):
            row = loop.step(step, run)
            run.log(row)
            reporter.step(row)
            if alarms := loop.audit.alarms(row):
                run.log({"step": step + 1, "kind": "alarm", "alarms": [asdict(alarm) for alarm in alarms]})
                for alarm in alarms:
                    reporter.message(f"step {step + 1}: {alarm}")
            after_step(stage, run, step + 1, last=step + 1 == config.steps, notes=loop.notes, save=loop.save)
            reporter.advance()
        reporter.end()
        load_best(stage, run, loop.notes, lambda folder: load_state(folder, loop.learners))
        stage.refresh_engine(config.steps + 1)
        stage.finish(run, {"steps": config.steps, **loop.notes})
    return run.folder


@dataclass
class Loop:
    """Everything a step of reinforcement learning reads and changes."""

    config: RLConfig
    stage: Stage
    algorithm: Algorithm
    tasks: TaskSet
    sampler: Sampler
    policy: Learner
    reference: Any
    companions: Mapping[str, Companion]
    audit: Audit
    proxies: Proxies = field(default_factory=Proxies)
    curriculum: Curriculum | None = None
    replay: Replay | None = None
    notes: dict[str, Any] = field(default_factory=lambda: {"tokens": 0, "cursor": 0})

    @classmethod
    def open(cls, config: RLConfig, stage: Stage, algorithm: Algorithm, reward: Reward, tasks: TaskSet) -> Loop:
        audit = Audit(config.audit, tasks, config.seed)
        curriculum = Curriculum(tasks) if config.curriculum else None
        fresh_tests = FreshTests(stage.judge.sandbox) if config.fresh_tests else None
        return cls(
            config=config,
            stage=stage,
            algorithm=algorithm,
            tasks=tasks,
            sampler=Sampler(config, stage, reward, tasks, audit, curriculum, fresh_tests),
            policy=Learner(stage.model, make_optimizer(stage.model, config.optim)),
            reference=_reference(stage.model, config),
            companions=open_companions(algorithm.needs, config, stage),
            audit=audit,
            proxies=Proxies.open(config, device=stage.device, dtype=stage.dtype),
            curriculum=curriculum,
            replay=Replay(config.replay, tasks) if config.replay else None,
        )

    @property
    def learners(self) -> dict[str, Learner]:
        others = {name: companion.learner for name, companion in self.companions.items()}
        return {"policy": self.policy, **{name: learner for name, learner in others.items() if learner is not None}}

    def load(self, checkpoint: Path) -> None:
        self.notes = dict(load_state(checkpoint, self.learners).notes)
        for name, keeper in self._keepers.items():
            if name not in self.notes:
                raise CheckpointError(
                    f"{checkpoint} has no notes of the {name}: another version of verigrad wrote it. Resume with that "
                    "version, or start anew in another folder with --run"
                )
            keeper.restore(self.notes.pop(name))

    @property
    def _keepers(self) -> dict[str, Any]:
        """What has state beside weights: `notes()` and `restore(notes)`."""
        others = {"audit": self.audit, "curriculum": self.curriculum, "replay": self.replay}
        return {**self.companions, **{name: keeper for name, keeper in others.items() if keeper is not None}}

    def save(self, folder: Path, step: int) -> None:
        own = {name: keeper.notes() for name, keeper in self._keepers.items()}
        save_state(folder, self.learners, TrainState(step, {**self.notes, **own}))

    def step(self, step: int, run: Run) -> dict[str, Any]:
        """One round of sampling and updating; returns its row for `metrics.jsonl`."""
        started = time.perf_counter()
        begun = dict(self.notes)
        probed = self.sampler.probe(step)
        groups, sampled_groups, self.notes["cursor"] = self.sampler.sample(step, self.notes["cursor"])
        if self.config.audit.flagged == "stop" and (flagged := first_flagged(sampled_groups)) is not None:
            self.notes = begun
            self._stop(flagged, sampled_groups, step, run)
        if self.config.rollouts_kept and step % self.config.rollouts_kept == 0:
            run.write_rows(f"rollouts/step-{step + 1:06d}.jsonl", sample_rows(sampled_groups))
        if not any(trains(rollout) for group in groups for rollout in group.rollouts):
            # Asked before replay, which would go on with what there was while the sampler or the judge is dead.
            raise RunError(f"step {step + 1}: every rollout failed; the first says: {first_error(groups)}")
        if self.replay is not None:
            again = self.replay.draw(self.config.tasks_per_step, Random(derive_seed(self.config.seed, "replay", step)))
            self.replay.add(groups)
            groups = groups + again
        greedy = self.sampler.greedy_rewards(groups, step) if "greedy" in self.algorithm.needs else None
        sampled = time.perf_counter()
        row = {"step": step + 1, "kind": "train", **rollout_metrics(sampled_groups)}
        row.update(self.audit.metrics(sampled_groups), **probed)
        self.notes["tokens"] += row["completion_tokens_total"]
        batch = make_batch((group.rollouts for group in groups), self._build(step))
        assert batch is not None  # some rollout trains
        row.update(self._learn(batch, self._known(groups, batch, greedy), self._demonstrations(groups), step))
        if self.curriculum is not None:
            row.update(self.curriculum.record(sampled_groups))
        self.stage.refresh_engine(step + 1)
        give_back_freed_memory()
        ended = time.perf_counter()
        row["seconds"] = ended - started
        row["seconds_sampling"] = sampled - started
        row["tokens_per_second"] = row["completion_tokens_total"] / (ended - started)
        return row

    def _build(self, step: int) -> Callable[..., Batch]:
        """What makes a step's batch of rows: with the views of the estimator, for a masked-diffusion model."""
        scoring = self.config.diffusion
        if scoring.estimator is None or not is_diffusion(self.stage.model):
            return rows_batch
        return partial(
            drawn_batch,
            spec=diffusion_spec(self.stage.model),
            scoring=scoring,
            kind=score_kind(scoring.estimator, scoring, self.config.denoise),
            seed=derive_seed(self.config.seed, "views", step),
        )

    def _stop(self, flagged: Rollout, groups: Sequence[Group], step: int, run: Run) -> NoReturn:
        """End the run before the step that a flagged rollout belongs to, with all that is needed to look at it."""
        rows = [row for row in sample_rows(groups) if row["flags"]]
        file = run.write_rows(f"rollouts/flagged-{step + 1:06d}.jsonl", rows)
        if step > run.start_step and not run.checkpoint_folder(step).exists():
            self.save(run.checkpoint_folder(step), step)
        raise RunError(
            f"step {step + 1}: the answer {flagged.episode_id} was flagged ({'; '.join(flagged.flags)}), and "
            f"audit.flagged is 'stop'. Read it in {file} ({len(rows)} flagged in this step). To go on: --resume with "
            "--audit.flagged keep, penalise or screen"
        )

    def _known(self, groups: Sequence[Group], batch: Batch, greedy: Tensor | None) -> dict[str, Tensor]:
        """What advantages and companions may ask for by name, beside the batch."""
        found = score_parts(group.rollouts for group in groups)
        lengths = completion_lengths(group.rollouts for group in groups)
        seen = sorted({*found, *self.notes.get("parts", ())})
        self.notes["parts"] = seen
        parts = score_tensors(found, seen, batch.num_rollouts)
        credit = credit_tensors(
            groups,
            batch,
            self.stage.tokenizer,
            error_penalty=self.config.error_penalty or 0.0,
            executed_only=bool(self.config.executed_only),
            prefills={group.task.id: self.curriculum.prefill(group.task) for group in groups}
            if self.curriculum
            else {},
            spans=not self.config.reward_model,  # which then is only measured
        )
        known = {**parts, **credit, "lengths": lengths, "succeeded": self._succeeded(groups, credit["outcomes"])}
        if greedy is not None:
            known["greedy_rewards"] = greedy[batch.group_ids]
        return known

    def _succeeded(self, groups: Sequence[Group], outcomes: Tensor) -> Tensor:
        """Rollouts (N,) that passed, less those that the audit makes failures of: they are not to be imitated."""
        passed = outcomes == PASSED
        if self.config.audit.flagged != "penalise":
            return passed
        return passed & torch.tensor([not r.flags for group in groups for r in group.rollouts if trains(r)])

    def _demonstrations(self, groups: Sequence[Group]) -> Batch | None:
        """The gold programs of a step's tasks, each once, where the method imitates them."""
        if not self.config.gold_coef:
            return None
        tasks = {group.task.id: group.task for group in groups if self.tasks.oracle(group.task).gold is not None}
        if not tasks:
            return None
        shown = gold_demonstrations(replace(self.tasks, tasks=tuple(tasks.values())))
        rows = demonstration_rows(self.stage.tokenizer, shown, self.config.system or None, self.config.max_length)
        numbers = list(range(len(rows)))
        return rows_batch(rows, numbers, numbers, [0.0] * len(rows)) if rows else None

    def _learn(
        self, batch: Batch, known: dict[str, Tensor], demonstrations: Batch | None, step: int
    ) -> dict[str, float]:
        """Advantages, the policy's update, then the companions'."""
        batch, known, row = self.proxies.score(batch, known)
        signal = has_signal(batch.rewards, batch.group_ids)
        row["signal_groups"] = share_of_groups(signal, batch.group_ids)
        batch, known = select(batch, known, scored(self.algorithm, batch, known))
        if batch.num_rollouts:
            batch, known = keep_rollouts(self.algorithm, batch, known, derive_seed(self.config.seed, "keep", step))
        if not batch.num_rollouts:
            return row
        batch, known, found = shape_rewards(
            batch,
            known,
            self.config,
            self.algorithm,
            model=self.policy.model,
            reference=self.reference,
            dtype=self.stage.dtype,
        )
        row.update(found)
        for companion in self.companions.values():
            known.update(companion.signals(batch, known, step))
        advantages, returns = advantages_of(self.algorithm, batch, known, self.config)
        if returns is not None:
            known["returns"] = returns
        frozen = step < self.config.critic.warmup_steps and not _CRITICS.isdisjoint(self.companions)
        if not frozen:
            row.update(
                update_policy(
                    self.policy,
                    batch,
                    advantages,
                    self.config,
                    self.algorithm,
                    step=step,
                    reference=self.reference,
                    dtype=self.stage.dtype,
                    succeeded=known["succeeded"],
                    old_logprobs=known.get("old_logprobs"),
                    demonstrations=demonstrations,
                )
            )
        for companion in self.companions.values():
            row.update(companion.learn(batch, known, step))
        return row


def _reference(model: Any, config: RLConfig) -> Any:
    """The frozen starting model, where a KL penalty needs it; with LoRA it is the model itself, adapters off."""
    if config.kl_coef == 0 or is_lora(model):
        return model
    return copy.deepcopy(model).requires_grad_(False)
