"""Reinforcement learning from verified rewards: sample, judge, compare, update.

The loop is synchronous and reads in order; what waits (engine, sandbox) is inside one `collect`. Nothing
measured by the clock enters the trajectory: tasks are scheduled by a cursor that checkpoints hold, draws are keyed by
(seed, step, task, rollout), so a killed run resumes to the same weights.

The update itself is in `verigrad.training.policy`, what some algorithms learn beside the policy in
`verigrad.training.companions`. Left out on purpose, each another file: asynchronous sampling, several policies.
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

from verigrad.algorithms.diffusion_presets import DIFFUSION_PRESETS
from verigrad.algorithms.penalties import kl_k1, overlong
from verigrad.algorithms.presets import PRESETS, Algorithm, asks_for, call
from verigrad.algorithms.selection import has_signal
from verigrad.errors import ConfigError, RunError
from verigrad.evaluation.benchmark import sample_rows
from verigrad.evaluation.fresh import FreshTests, can_draw
from verigrad.evaluation.sources import load_source
from verigrad.models.base import Batch
from verigrad.models.diffusion import diffusion_spec, is_diffusion
from verigrad.models.lora import is_lora
from verigrad.models.scoring import token_logprobs
from verigrad.registry import resolve
from verigrad.rewards import REWARDS
from verigrad.rewards.base import Reward
from verigrad.rewards.outcome import PASSED
from verigrad.rollout import Group, collect
from verigrad.seeds import derive_seed
from verigrad.tasks.base import TaskSet
from verigrad.training.audit import Audit, first_flagged, passed_share
from verigrad.training.augment import augmented
from verigrad.training.batching import (
    make_batch,
    rewarded_tokens,
    rows_batch,
    score_parts,
    terminal_rewards,
)
from verigrad.training.checkpoints import after_step, load_best
from verigrad.training.companions import Companion, open_companions
from verigrad.training.config import RLConfig, ScoringConfig
from verigrad.training.credit import credit_tensors
from verigrad.training.curriculum import Curriculum
from verigrad.training.estimators import chosen_estimator, drawn_batch, order_warnings, score_kind
from verigrad.training.memory import give_back_freed_memory
from verigrad.training.optim import make_optimizer
from verigrad.training.options import with_options
from verigrad.training.policy import reference_logprobs, update_policy
from verigrad.training.proxies import Proxies
from verigrad.training.replay import Replay
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.rollout_metrics import first_error, rollout_metrics, share_of_groups
from verigrad.training.run import Learner, Run, TrainState, load_state, save_state
from verigrad.training.selecting import keep_rollouts, score_tensors, scored, select
from verigrad.training.sft import demonstration_rows, gold_demonstrations
from verigrad.training.stage import Stage, open_run, open_stage, own_engine, sampling_params, settled
from verigrad.types import Oracle, Rollout, Task

__all__ = ["Loop", "advantages_of", "scheduled_tasks", "train", "with_loop_settings", "with_scoring"]


def train(config: RLConfig, *, resume: bool = False, reporter: Reporter | None = None) -> Path:
    """Run the whole job; returns the run folder.

    Raises:
        ConfigError: settings contradict each other or name something unknown.
        RunError: the run folder cannot be used, every rollout of a step failed, or one was flagged and the audit
            is to stop the run then.
    """
    reporter = reporter or Silent()
    algorithm: Algorithm = resolve(config.algorithm, {**PRESETS, **DIFFUSION_PRESETS}, what="algorithm")
    algorithm = with_options(algorithm, config.options)
    config = settled(with_loop_settings(config, algorithm), resume=resume)
    assert config.reward is not None
    reward: Reward = resolve(config.reward, REWARDS, what="reward")
    tasks = augmented(load_source(config.tasks), config.rename, config.word_dropout, config.seed)
    _check(config, algorithm, tasks)
    with ExitStack() as opened:
        # The stage first: it finds what is wrong with the settings before a run folder exists.
        make_engine = partial(own_engine, denoise=config.denoise)
        stage = open_stage(config, reporter, (task.id for task in tasks.tasks), make_engine=make_engine)
        opened.callback(stage.close)
        config = with_scoring(config, algorithm, stage)
        run, checkpoint = open_run(config, resume=resume)
        opened.callback(run.close)
        loop = Loop.open(config, stage, algorithm, reward, tasks)
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
        load_best(stage, run, loop.notes, loop.load)
        stage.refresh_engine(config.steps + 1)
        stage.finish(run, {"steps": config.steps, **loop.notes})
    return run.folder


def with_loop_settings(config: RLConfig, algorithm: Algorithm) -> RLConfig:
    """The settings with those left open filled in: by the algorithm where it has them, else switched off."""
    off: dict[str, Any] = {
        "reward": "tests",
        "resample": 0,
        "replay": 0,
        "nll_coef": 0.0,
        "gold_coef": 0.0,
        "overlong": 0.0,
        "error_penalty": 0.0,
        "executed_only": False,
        "curriculum": False,
    }
    chosen = {**off, **algorithm.loop}
    return replace(config, **{name: value for name, value in chosen.items() if getattr(config, name) is None})


def with_scoring(config: RLConfig, algorithm: Algorithm, stage: Stage) -> RLConfig:
    """The settings with the estimator of a masked-diffusion model filled in, and warnings told.

    Raises:
        ConfigError: the model, the algorithm, the estimator and the sampler cannot go together.
    """
    if not is_diffusion(stage.model):
        if algorithm.estimator or config.diffusion != ScoringConfig():
            raise ConfigError(
                f"algorithm {algorithm.name!r} and the section diffusion are for masked-diffusion models, and "
                f"{config.model!r} is a causal one; convert it with `verigrad diffusion`, or take another algorithm"
            )
        return config
    _check_masked(config, algorithm)
    scoring = chosen_estimator(config, algorithm)
    assert scoring.estimator is not None
    for warning in order_warnings(scoring.estimator, config.denoise):
        stage.reporter.message(f"warning: {warning}")
    return replace(config, diffusion=scoring)


def _check_masked(config: RLConfig, algorithm: Algorithm) -> None:
    """Refuse what reads a completion from left to right, as masked-diffusion models do not."""
    if wrong := set(algorithm.needs) & {"critic", "outcome_critic", "prm", "teacher"}:
        raise ConfigError(
            f"algorithm {algorithm.name!r} needs {', '.join(sorted(wrong))}, which score causal rows; not for a "
            "masked-diffusion model"
        )
    asked = ("gold_coef", "error_penalty", "executed_only", "reward_model")
    on = [name for name in asked if getattr(config, name)] + (["cost.model"] if config.cost.model else [])
    if on:
        raise ConfigError(f"{', '.join(on)}: works on causal rows; leave it unset for a masked-diffusion model")


def _check(config: RLConfig, algorithm: Algorithm, tasks: TaskSet) -> None:
    if config.reward_model and ("greedy" in algorithm.needs or config.resample):
        raise ConfigError(
            f"algorithm {algorithm.name!r} with a reward_model: a greedy baseline and resample go by the verified "
            "reward; take another algorithm, or set resample = 0"
        )
    if config.kl and algorithm.kl_in_reward:
        raise ConfigError(
            f"kl = {config.kl!r} is a form of the KL in the loss, and algorithm {algorithm.name!r} takes k1 off the "
            "reward; leave kl unset"
        )
    if config.cost.model and not asks_for(algorithm.advantage, "costs"):
        raise ConfigError(f"algorithm {algorithm.name!r} reads no costs; leave cost.model unset, or take safe_rlhf")
    if config.replay and config.curriculum:
        raise ConfigError("replay and curriculum: what was given of a kept rollout's answer is not kept; set one to 0")
    if (config.gold_coef or config.curriculum) and all(tasks.oracle(task).gold is None for task in tasks.tasks):
        raise ConfigError(
            f"algorithm {config.algorithm!r} reads gold programs (gold_coef, curriculum), and task source "
            f"{config.tasks!r} has none; set gold_coef = 0 and curriculum = false, or take other tasks"
        )
    scripts = [task.id for task in tasks.tasks if tasks.oracle(task).trust == "script"]
    if scripts and not config.allow_scripts:
        raise ConfigError(
            f"{len(scripts)} tasks (such as {scripts[0]}) are judged by scripts that share the program's process, "
            "where a policy can forge a pass; leave them out, or set allow_scripts"
        )
    if config.audit.flagged == "penalise" and asks_for(algorithm.advantage, "part_rewards"):
        raise ConfigError(
            f"algorithm {config.algorithm!r} trains on the parts of a score, which audit.flagged = 'penalise' leaves "
            "as they are; take 'screen' or 'stop'"
        )
    if not tasks.tasks:
        raise ConfigError(f"task source {config.tasks!r} has no tasks")
    if config.fresh_tests and not any(can_draw(task, tasks.oracle(task)) for task in tasks.tasks):
        raise ConfigError(
            f"fresh_tests = true, and no task of {config.tasks!r} has a generator to draw tests from; give them one "
            "(docs/tasks.md), or set fresh_tests = false"
        )


def scheduled_tasks(tasks: Sequence[Task], start: int, count: int, seed: int) -> list[Task]:
    """`count` tasks from position `start` on: each epoch visits every task once, ordered by (seed, epoch)."""
    chosen = []
    for position in range(start, start + count):
        epoch, index = divmod(position, len(tasks))
        order = list(range(len(tasks)))
        Random(derive_seed(seed, "order", epoch)).shuffle(order)
        chosen.append(tasks[order[index]])
    return chosen


@dataclass
class Loop:
    """Everything a step of reinforcement learning reads and changes."""

    config: RLConfig
    stage: Stage
    algorithm: Algorithm
    reward: Reward
    tasks: TaskSet
    policy: Learner
    reference: Any
    companions: Mapping[str, Companion]
    audit: Audit
    proxies: Proxies = field(default_factory=Proxies)
    curriculum: Curriculum | None = None
    replay: Replay | None = None
    fresh_tests: FreshTests | None = None
    notes: dict[str, Any] = field(default_factory=lambda: {"tokens": 0, "cursor": 0})

    @classmethod
    def open(cls, config: RLConfig, stage: Stage, algorithm: Algorithm, reward: Reward, tasks: TaskSet) -> Loop:
        return cls(
            config=config,
            stage=stage,
            algorithm=algorithm,
            reward=reward,
            tasks=tasks,
            policy=Learner(stage.model, make_optimizer(stage.model, config.optim)),
            reference=_reference(stage.model, config),
            companions=open_companions(algorithm.needs, config, stage),
            audit=Audit(config.audit, tasks, config.seed),
            proxies=Proxies.open(config, device=stage.device, dtype=stage.dtype),
            curriculum=Curriculum(tasks) if config.curriculum else None,
            replay=Replay(config.replay, tasks) if config.replay else None,
            fresh_tests=FreshTests(stage.judge.sandbox) if config.fresh_tests else None,
        )

    @property
    def learners(self) -> dict[str, Learner]:
        others = {name: companion.learner for name, companion in self.companions.items()}
        return {"policy": self.policy, **{name: learner for name, learner in others.items() if learner is not None}}

    def load(self, checkpoint: Path) -> None:
        self.notes = dict(load_state(checkpoint, self.learners).notes)
        for name, keeper in self._keepers.items():
            keeper.restore(self.notes[name])

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
        probed = self._probe(step)
        groups, sampled_groups = self._sample(step)
        if self.config.audit.flagged == "stop" and (flagged := first_flagged(sampled_groups)) is not None:
            self.notes = begun
            self._stop(flagged, sampled_groups, step, run)
        if self.replay is not None:
            again = self.replay.draw(self.config.tasks_per_step, Random(derive_seed(self.config.seed, "replay", step)))
            self.replay.add(groups)
            groups = groups + again
        greedy = self._greedy_rewards(groups, step)
        sampled = time.perf_counter()
        if self.config.rollouts_kept and step % self.config.rollouts_kept == 0:
            run.write_rows(f"rollouts/step-{step + 1:06d}.jsonl", sample_rows(groups))
        row = {"step": step + 1, "kind": "train", **rollout_metrics(sampled_groups)}
        row.update(self.audit.metrics(sampled_groups), **probed)
        self.notes["tokens"] += row["completion_tokens_total"]
        batch = make_batch((group.rollouts for group in groups), self._build(step))
        if batch is None:
            raise RunError(f"step {step + 1}: every rollout failed; the first says: {first_error(groups)}")
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

    def _probe(self, step: int) -> dict[str, float]:
        """The share of impossible tasks that the policy passes, where a probe is due."""
        pairs = self.audit.probe(step)
        if not pairs:
            return {}
        chosen, oracles = zip(*pairs, strict=True)
        size = self.config.audit.probe_samples
        share = passed_share(self._sampled(chosen, oracles, "probe", step, step=step, group_size=size))
        return {} if share is None else {"impossible_passed": share}

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

    def _sample(self, step: int) -> tuple[list[Group], list[Group]]:
        """The groups of a step, and all that were sampled for it.

        They differ with `resample`: groups whose scores are all alike make way for those of further tasks, in up
        to so many rounds (DAPO's dynamic sampling).
        """
        wanted, everything = self.config.tasks_per_step, list[Group]()
        for attempt in range((self.config.resample or 0) + 1):
            chosen = scheduled_tasks(self.tasks.tasks, self.notes["cursor"], wanted, self.config.seed)
            self.notes["cursor"] += wanted
            everything += self._collect(chosen, step, attempt)
            telling = [group for group in everything if _tells(group)]
            if len(telling) >= wanted:
                break
        others = [group for group in everything if not _tells(group)]
        return (telling + others)[:wanted] if self.config.resample else everything, everything

    def _greedy_rewards(self, groups: Sequence[Group], step: int) -> Tensor | None:
        """The score of one greedy completion per group, where the algorithm asks for it."""
        if "greedy" not in self.algorithm.needs:
            return None
        single = self._collect([group.task for group in groups], step, -1, greedy=True)
        values = (group.rollouts[0].score.value for group in single)
        return torch.tensor([float("nan") if value is None else value for value in values])

    def _collect(self, chosen: Sequence[Task], step: int, attempt: int, *, greedy: bool = False) -> list[Group]:
        words: list[str | int] = ["step", step, *([attempt] if attempt else [])]
        oracles = self._oracles(chosen, step)
        size = 1 if greedy else self.config.group_size
        return self.audit.treated(self._sampled(chosen, oracles, *words, step=step, group_size=size, greedy=greedy))

    def _sampled(
        self,
        chosen: Sequence[Task],
        oracles: Sequence[Oracle],
        *words: str | int,
        step: int,
        group_size: int,
        greedy: bool = False,
    ) -> list[Group]:
        """Scored rollouts of these tasks by the policy as it is now; `words` tell their draws from others'."""
        params = sampling_params(self.config.sampling, temperature=0.0 if greedy else None)
        return self.stage.wait(
            collect(
                chosen,
                oracles,
                agent=self.stage.agent(params, self.curriculum.prefill if self.curriculum else None),
                engine=self.stage.engine,
                judge=self.stage.judge,
                reward=self.reward,
                group_size=group_size,
                seed=derive_seed(self.config.seed, *words),
                trace_lines=bool(self.config.executed_only),
                judge_shown=True,
                progress=step / self.config.steps,
            )
        )

    def _oracles(self, chosen: Sequence[Task], step: int) -> list[Oracle]:
        """What judges a step's tasks; with `fresh_tests`, by tests that only this step has."""
        oracles = [self.tasks.oracle(task) for task in chosen]
        if self.fresh_tests is None:
            return oracles
        return self.stage.wait(self.fresh_tests.draw(chosen, oracles, derive_seed(self.config.seed, "tests", step)))

    def _known(self, groups: Sequence[Group], batch: Batch, greedy: Tensor | None) -> dict[str, Tensor]:
        """What advantages and companions may ask for by name, beside the batch."""
        found = score_parts(group.rollouts for group in groups)
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
        )
        known = {**parts, **credit, "succeeded": credit["outcomes"] == PASSED}
        if greedy is not None:
            known["greedy_rewards"] = greedy[batch.group_ids]
        return known

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
        batch, known, found = self._shape_rewards(batch, known)
        row.update(found)
        for companion in self.companions.values():
            known.update(companion.signals(batch, known, step))
        advantages, returns = advantages_of(self.algorithm, batch, known, self.config)
        if returns is not None:
            known["returns"] = returns
        frozen = step < self.config.critic.warmup_steps and "critic" in self.companions
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

    def _shape_rewards(
        self, batch: Batch, known: dict[str, Tensor]
    ) -> tuple[Batch, dict[str, Tensor], dict[str, float]]:
        """Penalties that belong to the reward: over-long completions, and the KL where the algorithm wants it there."""
        config, rewards = self.config, batch.rewards
        lengths = torch.zeros(batch.num_rollouts).index_add(0, batch.rollout_index, batch.mask.sum(1).float())
        known = {**known, "lengths": lengths}
        if config.overlong:
            budget = config.sampling.max_tokens
            rewards = rewards + overlong(lengths, max_length=budget, buffer=max(1, round(config.overlong * budget)))
        batch = replace(batch, rewards=rewards)
        token_rewards = terminal_rewards(batch)
        found: dict[str, float] = {}
        if self.algorithm.kl_in_reward and config.kl_coef:
            old = token_logprobs(
                self.policy.model, batch, token_budget=config.token_budget, dtype=self.stage.dtype
            ).values
            kl = kl_k1(old, reference_logprobs(self.reference, batch, config, self.stage.dtype), batch.mask)
            token_rewards = token_rewards - config.kl_coef * kl
            per_rollout = torch.zeros(batch.num_rollouts).index_add(0, batch.rollout_index, kl.sum(1))
            batch = replace(batch, rewards=rewards - config.kl_coef * per_rollout)
            known["old_logprobs"] = old
            found["kl"] = float(kl[batch.mask].mean())
        return batch, {**known, "token_rewards": token_rewards}, found


def advantages_of(
    algorithm: Algorithm, batch: Batch, known: Mapping[str, Tensor], config: RLConfig
) -> tuple[Tensor, Tensor | None]:
    """Advantages (N,) or (B, T), and returns (B, T) where the estimator gives them too.

    Left-out rollouts (a reward of NaN) get advantage 0 under every estimator.
    """
    offered: dict[str, Any] = {
        **known,
        "rewards": batch.rewards,
        "group_ids": batch.group_ids,
        "mask": rewarded_tokens(batch),
        "sampler_logprobs": batch.sampler_logprobs,
        "rollout_index": batch.rollout_index,
        "gamma": config.critic.gamma,
        "gae_lambda": config.critic.gae_lambda,
    }
    try:
        result = call(algorithm.advantage, **offered)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"algorithm {algorithm.name!r}: {error}; parts of a reward's Score are offered too, as part_NAME, and its "
            "cost as costs"
        ) from error
    advantages, returns = result if isinstance(result, tuple) else (result, None)
    counts = known.get("counts", torch.ones(batch.num_rollouts)).masked_fill(batch.rewards.isnan(), 0.0)
    if "token_weights" in known or "token_bonus" in known:
        advantages = _by_token(advantages, batch, known)
    # Every objective is proportional to a positive factor on its advantage, so this counts a rollout several times.
    return advantages * (counts[batch.rollout_index][:, None] if advantages.ndim == 2 else counts), returns


def _by_token(advantages: Tensor, batch: Batch, known: Mapping[str, Tensor]) -> Tensor:
    """Advantages (N,) or (B, T) -> (B, T): weighed token by token, with the rewards that single tokens have."""
    per_token = advantages if advantages.ndim == 2 else advantages[batch.rollout_index][:, None] * batch.mask
    return per_token * known.get("token_weights", 1.0) + known.get("token_bonus", 0.0)


def _reference(model: Any, config: RLConfig) -> Any:
    """The frozen starting model, where a KL penalty needs it; with LoRA it is the model itself, adapters off."""
    if config.kl_coef == 0 or is_lora(model):
        return model
    return copy.deepcopy(model).requires_grad_(False)


def _tells(group: Group) -> bool:
    """Whether the scores of a group differ, so that it has something to learn from."""
    values = {rollout.score.value for rollout in group.rollouts if rollout.score.value is not None}
    return len(values) > 1
