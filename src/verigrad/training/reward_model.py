"""Reward models: a number for a prompt and an answer, learned from preferences, verdicts or rewards.

The score is the scalar head's value at the answer's last token, the end token unless it was cut off, so a saved model
is an ordinary sequence classifier: `AutoModelForSequenceClassification.from_pretrained(folder)` gives the same number.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from verigrad.algorithms.reward_model import bradley_terry, centering, regression, verdict_cross_entropy
from verigrad.allocator import give_back_freed_memory
from verigrad.errors import ConfigError
from verigrad.evaluation.reports.report import write_report
from verigrad.models.base import Batch
from verigrad.models.causal import plain_model
from verigrad.models.checkpoint import save_model
from verigrad.models.packing import pack_views
from verigrad.models.scalar import HEAD, last_values, load_scalar, pack_values
from verigrad.preferences.records import Prompt, Record, as_pairs, as_rankings, as_rated, read_records
from verigrad.seeds import derive_seed
from verigrad.training.batching import step_numbers
from verigrad.training.config import RewardModelConfig
from verigrad.training.examples import Example, chunks, examples_of, one_pack
from verigrad.training.held_out import held_out_metrics, held_out_rows, score_examples
from verigrad.training.memory import peak_memory
from verigrad.training.optim import clip_gradients, learning_rate, make_optimizer, set_learning_rate
from verigrad.training.reporter import Reporter, Silent
from verigrad.training.run import Learner, Run, TrainState, load_state, save_state
from verigrad.training.stage import open_run, prepare_model, prepare_torch, settled, tell_of_template

__all__ = ["by_prompt", "score_batch", "train"]


def train(config: RewardModelConfig, *, resume: bool = False, reporter: Reporter | None = None) -> Path:
    """Train a reward model; returns the run folder, with `model/`, `held_out.jsonl`, `summary.json`, `report.html`.

    Raises:
        ConfigError: settings contradict each other, or no record is of the kind the objective takes.
        DataError: a file is malformed.
        RunError: the run folder cannot be used.
    """
    reporter = reporter or Silent()
    config = settled(config, resume=resume)
    records, held_out = _split(config)
    device, dtype = prepare_torch(config)
    reporter.message(f"loading {config.model} with a scalar head")
    model, tokenizer = load_scalar(config.model, device=device)
    tell_of_template(tokenizer, config.model, reporter)
    model = prepare_model(model, config, whole=(HEAD,))
    examples, measured = (_examples(tokenizer, part, config, reporter) for part in (records, held_out))
    if config.objective == "bradley_terry":
        examples = by_prompt(examples)
    with ExitStack() as opened:
        run, checkpoint = open_run(config, resume=resume)
        opened.callback(run.close)
        head = list(plain_model(model).get_submodule(HEAD).parameters())
        learner = Learner(model, make_optimizer(model, config.optim, faster=head, factor=config.head_factor))
        steps = config.epochs * -(-len(examples) // config.batch_size)
        if checkpoint is not None:
            load_state(checkpoint, {"policy": learner})
            reporter.message(f"resumed after step {run.start_step}")
        started = time.perf_counter()
        reporter.begin("training", steps)
        reporter.advance(run.start_step)
        for step in range(run.start_step, steps):
            begun = time.perf_counter()
            chosen = [examples[number] for number in step_numbers(len(examples), config.batch_size, config.seed, step)]
            row = _step(learner, chosen, config, step, steps, dtype)
            give_back_freed_memory()
            row["seconds"] = time.perf_counter() - begun
            run.log(row)
            reporter.step(row)
            _after_step(step + 1, steps, config, run, learner, measured, dtype)
            reporter.advance()
        reporter.end()
        scores = score_examples(model, measured, config.token_budget, dtype)
        found = held_out_metrics(scores, measured)
        run.write_rows("held_out.jsonl", held_out_rows(scores, measured))
        save_model(model, tokenizer, run.folder / "model")
        run.write_summary(
            {
                "held_out": found,
                "steps": steps,
                "records": _count(examples),
                "seconds": run.seconds_before + time.perf_counter() - started,
                **peak_memory(device),
            }
        )
        reporter.message("held out: " + ", ".join(f"{key} {value:.3g}" for key, value in found.items()))
        reporter.message(f"report: {write_report(run.folder)}")
    return run.folder


def _split(config: RewardModelConfig) -> tuple[list[Record], list[Record]]:
    """Records to train on and to measure on; no prompt is in both, and no task that records name in their `meta`."""
    records = read_records(Path(config.data))
    if config.held_out:
        held_out = read_records(Path(config.held_out))
        _refuse_shared("prompts", {r.prompt for r in records} & {r.prompt for r in held_out}, config)
        _refuse_shared("tasks", set(filter(None, map(_task, records))) & set(map(_task, held_out)), config)
        return records, held_out
    family = _families(records)
    families = sorted(set(family.values()), key=repr)
    if len(families) < 2:
        what = "prompt" if len(family) == 1 else "task"
        raise ConfigError(f"{config.data} holds one {what}; wanted at least two, or a file held_out to measure on")
    Random(derive_seed(config.seed, "held out")).shuffle(families)
    aside = set(families[: max(1, round(config.held_out_share * len(families)))])
    return (
        [r for r in records if family[r.prompt] not in aside],
        [r for r in records if family[r.prompt] in aside],
    )


def _refuse_shared(what: str, shared: Collection[Any], config: RewardModelConfig) -> None:
    if shared:
        raise ConfigError(
            f"{len(shared)} {what} are in both {config.data} and {config.held_out}; a reward model must be measured on "
            f"{what} it has not seen"
        )


def _task(record: Record) -> str | None:
    return str(record.meta["task_id"]) if "task_id" in record.meta else None


def _families(records: Sequence[Record]) -> dict[Prompt, Prompt]:
    """Of every prompt the first, by order, of its family: prompts that ask one task in other words are of one."""
    parent = {record.prompt: record.prompt for record in records}

    def first(prompt: Prompt) -> Prompt:
        while parent[prompt] != prompt:
            parent[prompt] = parent[parent[prompt]]
            prompt = parent[prompt]
        return prompt

    asked: dict[str, Prompt] = {}
    for record in records:
        if (task := _task(record)) is not None:
            one, other = sorted((first(record.prompt), first(asked.setdefault(task, record.prompt))), key=repr)
            parent[other] = one
    return {prompt: first(prompt) for prompt in parent}


def _examples(
    tokenizer: Any, records: Sequence[Record], config: RewardModelConfig, reporter: Reporter
) -> list[Example]:
    wanted: list[Record] = []
    if config.objective == "bradley_terry":
        wanted += as_pairs(records)
    elif config.objective == "verdict":
        wanted += as_rated(records)
    else:
        wanted += as_rankings(records)
    system = config.system or None
    found = examples_of(tokenizer, wanted, system=system, max_length=config.max_length, closing=True)
    reporter.message(f"{len(found)} records; {len(wanted) - len(found)} longer than max_length left out")
    if not found:
        raise ConfigError(
            f"objective {config.objective!r} finds nothing to learn from in {len(records)} records "
            f"(max_length = {config.max_length})"
        )
    return found


def by_prompt(pairs: Sequence[Example]) -> list[Example]:
    """Pairs of one prompt as one example whose rows are its distinct answers, each run once.

    Its facts are `comparisons`, `(better, worse)` places of rows, and their `margins`. All comparisons of a prompt
    share a step: Ouyang et al. 2022, arXiv:2203.02155, section 3.5, who saw overfitting where they did not.
    """
    families: dict[Prompt, list[Example]] = {}
    for pair in pairs:
        families.setdefault(pair.record.prompt, []).append(pair)
    return [_compared(family) for family in families.values()]


def _compared(pairs: Sequence[Example]) -> Example:
    rows = {row.ids: row for pair in pairs for row in pair.rows}
    places = {ids: place for place, ids in enumerate(rows)}
    facts = {
        "comparisons": [(places[better.ids], places[worse.ids]) for better, worse in (pair.rows for pair in pairs)],
        "margins": [pair.facts["margin"] or 0.0 for pair in pairs],
    }
    return replace(pairs[0], rows=tuple(rows.values()), facts=facts)


def _count(examples: Sequence[Example]) -> int:
    """Records they are made of."""
    return sum(len(example.facts.get("comparisons", (0,))) for example in examples)


def _step(
    learner: Learner,
    chosen: Sequence[Example],
    config: RewardModelConfig,
    step: int,
    steps: int,
    dtype: torch.dtype,
) -> dict[str, Any]:
    model, total, right = learner.model, 0.0, 0.0
    model.train()
    for chunk in chunks(chosen, config.token_budget):
        scores = last_values(
            pack_values(model, one_pack(chunk.batch), chunk.batch, dtype=dtype).cpu(), chunk.batch.mask
        )
        losses, correct = _losses(scores, chunk.examples, config)
        loss = losses.sum() / len(chosen)
        loss.backward()
        total += float(loss.detach())
        right += correct
    model.eval()
    rate = learning_rate(config.optim, step, steps)
    set_learning_rate(learner.optimizer, rate)
    norm = clip_gradients((p for p in model.parameters() if p.requires_grad), config.optim.max_grad_norm)
    learner.optimizer.step()
    learner.optimizer.zero_grad()
    return {
        "step": step + 1,
        "kind": "train",
        "loss": total,
        "accuracy": right / len(chosen),
        "grad_norm": norm,
        "learning_rate": rate,
        "records": _count(chosen),
    }


def _losses(scores: Tensor, examples: Sequence[Example], config: RewardModelConfig) -> tuple[Tensor, float]:
    """Losses of the examples of a chunk, and how many of them the model gets right."""
    if config.objective == "verdict":
        passed = torch.tensor([example.facts["desirable"] for example in examples])
        return verdict_cross_entropy(scores, passed), float(((scores > 0) == passed).sum())
    parts = scores.split([len(example.rows) for example in examples])
    if config.objective == "bradley_terry":
        found = [_compare(own, example.facts, config) for own, example in zip(parts, examples, strict=True)]
        return torch.stack([loss for loss, _ in found]), sum(right for _, right in found)
    targets = [torch.tensor(example.facts["candidate_rewards"]) for example in examples]
    losses = torch.stack([regression(own, wanted).mean() for own, wanted in zip(parts, targets, strict=True)])
    return losses, sum(_best_first(own, wanted) for own, wanted in zip(parts, targets, strict=True))


def _best_first(scores: Tensor, rewards: Tensor) -> float:
    """Share of the highest scores (K,) that are of best rewarded answers: what chance gets where all are alike."""
    return float((rewards[scores == scores.max()] == rewards.max()).float().mean())


def _compare(scores: Tensor, facts: Mapping[str, Any], config: RewardModelConfig) -> tuple[Tensor, float]:
    """Mean loss over a prompt's comparisons, and the share of them in the right order."""
    better, worse = (scores[list(side)] for side in zip(*facts["comparisons"], strict=True))
    losses = bradley_terry(better, worse, margin=torch.tensor(facts["margins"]) if config.use_margin else None)
    right = (better > worse).float() + 0.5 * (better == worse)
    return (losses + config.centering * centering(better, worse)).mean(), float(right.mean())


def _after_step(
    step: int,
    steps: int,
    config: RewardModelConfig,
    run: Run,
    learner: Learner,
    measured: Sequence[Example],
    dtype: torch.dtype,
) -> None:
    every = config.report.validate_every
    if every and step % every == 0 and step != steps:
        scores = score_examples(learner.model, measured, config.token_budget, dtype)
        run.log({"step": step, "kind": "validation", **held_out_metrics(scores, measured)})
    if step == steps or (config.checkpoint_every and step % config.checkpoint_every == 0):
        save_state(run.checkpoint_folder(step), {"policy": learner}, TrainState(step, {}))
        run.forget_old_checkpoints(config.keep_checkpoints)


def score_batch(model: Any, batch: Batch, *, token_budget: int, dtype: torch.dtype) -> Tensor:
    """Scores (N,) of a step's rollouts, each at the end of its last row."""
    closed = _closed(batch)
    values = torch.zeros(closed.mask.shape)
    with torch.no_grad():
        for pack in pack_views(closed.views, token_budget=token_budget):
            values += pack_values(model, pack, closed, dtype=dtype).cpu()
    scores = torch.full((batch.num_rollouts,), float("nan"))
    scores[batch.rollout_index] = last_values(values, closed.mask)  # later rows of a rollout write last
    return scores


def _closed(batch: Batch) -> Batch:
    """The batch with every row's last token twice: the value before the second is that of the whole text."""
    one = torch.ones(1, dtype=torch.bool)
    views = tuple(
        replace(view, input_ids=torch.cat([view.input_ids, view.input_ids[-1:]]), scored=torch.cat([view.scored, one]))
        for view in batch.views
    )
    mask = torch.zeros(batch.num_rows, batch.mask.shape[1] + 1, dtype=torch.bool)
    for view in views:
        mask[view.row, : len(view.scored)] = view.scored
    return replace(batch, views=views, mask=mask)
