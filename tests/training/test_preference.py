"""The preference loop: every loss learns, a step equals the slow way, a stopped run goes on as if it had not."""

import json
import math
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from loops import Stopping, check_a_stopped_run_goes_on, check_the_best_is_kept, pairs, train_metrics
from safetensors.torch import load_file
from tiny import tiny_model

from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES
from verigrad.errors import ConfigError, DataError, RunError
from verigrad.models.chat import answer_ids, prompt_ids
from verigrad.preferences.mining import Scored
from verigrad.preferences.records import Rated, read_records, write_records
from verigrad.settings import load_config
from verigrad.training.config import LoraConfig, OptimConfig, PreferenceConfig, ReportConfig, SamplingConfig
from verigrad.training.examples import Example
from verigrad.training.preference import _miner, _mismatched, train
from verigrad.types import Row

FAST = OptimConfig(learning_rate=3e-3, warmup_steps=1)

MINER = """
from verigrad.preferences.records import Pair


def ascii_share(text):
    return sum(ord(letter) < 128 for letter in text) / max(1, len(text))


def by_ascii(answers, *, max_records=0, seed=0):
    '''The answer with the largest share of ASCII characters against the one with the smallest.'''
    ordered = sorted((answer for answer in answers if answer.text.strip()), key=lambda answer: ascii_share(answer.text))
    if len(ordered) < 2 or ascii_share(ordered[0].text) == ascii_share(ordered[-1].text):
        return []
    return [Pair(prompt=ordered[0].prompt, chosen=ordered[-1].text, rejected=ordered[0].text)]
"""


@pytest.fixture
def settings(workshop):
    write_records(workshop / "pairs.jsonl", pairs())
    return {
        "run": str(workshop / "run"),
        "model": str(workshop / "model"),
        "data": str(workshop / "pairs.jsonl"),
        "dtype": "float32",
        "device": "cpu",
        "batch_size": 6,
        "max_length": 128,
        "optim": FAST,
    }


@pytest.mark.parametrize("name", PREFERENCE_LOSSES)
def test_every_loss_learns(settings, name):
    """Six epochs over twelve pairs: the preferred answers end up likelier, all of them."""
    weights = "diff" if name == "weighted_dpo" else "none"
    rows = train_metrics(train(PreferenceConfig(**settings, loss=name, epochs=8, token_weights=weights)))
    assert len(rows) == (32 if name == "kto" else 16)
    assert rows[-1]["accuracy"] == 1.0
    assert rows[-1]["margin"] > rows[0]["margin"] + 0.5


def test_the_schedule_counts_records_that_fit(settings, workshop):
    """Pairs too long for `max_length` in the file, or not there at all: the same steps at the same rates."""
    optim = replace(FAST, schedule="linear")
    short = train_metrics(train(PreferenceConfig(**{**settings, "optim": optim}, epochs=2)))
    long = [replace(record, chosen=record.chosen * 100) for record in pairs()]
    write_records(workshop / "pairs.jsonl", [*pairs(), *long])
    again = PreferenceConfig(**{**settings, "optim": optim, "run": str(workshop / "again")}, epochs=2)
    assert train_metrics(train(again)) == short and len(short) == 4


def slow_log_probs(model, tokenizer, record):
    """Sums of an answer's token log-probs, a row at a time."""
    start = prompt_ids(tokenizer, record.prompt)
    found = []
    for answer in (record.chosen, record.rejected):
        ids = start + answer_ids(tokenizer, answer)
        logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found.append(sum(logits[t - 1, ids[t]] for t in range(len(start), len(ids))))
    return found


@pytest.mark.parametrize("token_budget", [40, 4096])
def test_one_step_of_dpo_is_the_slow_one(settings, token_budget):
    """loss = mean of -log sigmoid(beta (dchosen - drejected)); two steps of AdamW on it."""
    model, tokenizer = tiny_model("llama")
    config = PreferenceConfig(
        **{**settings, "batch_size": 12, "optim": OptimConfig(learning_rate=1e-3, warmup_steps=0, max_grad_norm=1e9)},
        options={"beta": 0.5},
        epochs=2,
        token_budget=token_budget,
    )
    folder = train(config)
    reference = [[float(x.detach()) for x in slow_log_probs(model, tokenizer, record)] for record in pairs()]
    optimizer = torch.optim.AdamW(
        [
            {"params": [p for p in model.parameters() if p.ndim >= 2]},
            {"params": [p for p in model.parameters() if p.ndim < 2]},
        ],
        lr=1e-3,
        betas=(config.optim.beta1, config.optim.beta2),
        weight_decay=0.0,
    )
    losses = []
    for _ in range(2):
        total = 0.0
        for record, (ref_chosen, ref_rejected) in zip(pairs(), reference, strict=True):
            chosen, rejected = slow_log_probs(model, tokenizer, record)
            logit = 0.5 * ((chosen - ref_chosen) - (rejected - ref_rejected))
            loss = -torch.nn.functional.logsigmoid(logit) / 12
            loss.backward()
            total += float(loss.detach())
        losses.append(total)
        for group in optimizer.param_groups:
            group["lr"] = config.optim.learning_rate
        optimizer.step()
        optimizer.zero_grad()
    seen = train_metrics(folder)
    assert seen[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert [row["loss"] for row in seen] == pytest.approx(losses, rel=1e-4)
    saved = load_file(folder / "model" / "model.safetensors")
    for name, weight in model.state_dict().items():
        if name in saved:
            torch.testing.assert_close(saved[name], weight, rtol=1e-3, atol=2e-5, msg=name)


@pytest.mark.parametrize("name", ["dpo", "kto", "bco"])
def test_a_stopped_run_goes_on_to_the_same_weights(settings, name):
    settings = {**settings, "epochs": 3, "checkpoint_every": 2, "loss": name}
    check_a_stopped_run_goes_on(train, PreferenceConfig, settings)


def test_the_best_validated_weights_are_kept(settings, workshop):
    check_the_best_is_kept(train, PreferenceConfig, settings, f"{workshop}/my.py:held_out")


def test_with_adapters_the_reference_is_the_base(settings):
    """Before the first step every implicit reward is 0, so the loss is log 2; it falls from there."""
    rows = train_metrics(train(PreferenceConfig(**settings, epochs=6, lora=LoraConfig(rank=4, alpha=8.0))))
    assert rows[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert rows[-1]["loss"] < 0.6


def mined(settings, workshop, miner, **options):
    """Pairs of its own samples of six tasks a round."""
    return PreferenceConfig(
        **{**settings, "data": "", **options},
        tasks=f"{workshop}/my.py:load",
        miner=f"{workshop}/miner.py:{miner}",
        tasks_per_round=6,
        records_per_round=6,
        sampling=SamplingConfig(max_tokens=8),
    )


def test_online_pairs_teach_the_policy(settings, workshop):
    """Rounds of one step each on pairs mined from its own samples: the share of ASCII characters rises."""
    (workshop / "miner.py").write_text(MINER)
    fast = OptimConfig(learning_rate=1e-2, warmup_steps=1)
    config = mined(settings, workshop, "by_ascii", rounds=40, group_size=8, optim=fast)
    folder = train(config)
    files = sorted((folder / "pairs").glob("*.jsonl"))
    assert len(files) == 40

    def share(files):
        texts = [text for file in files for record in read_records(file) for text in (record.chosen, record.rejected)]
        return sum(ord(letter) < 128 for text in texts for letter in text) / sum(map(len, texts))

    # Pairs are of a group's two extremes, so even a good policy's hold bad answers.
    assert share(files[:3]) < 0.6 and share(files[-3:]) > 0.68


@pytest.mark.parametrize(("given", "most"), [({}, 2), ({"records_per_task": 1}, 1), ({"records_per_task": 0}, 4)])
def test_a_task_gives_so_many_records_at_most(settings, workshop, given, most):
    """Of four answers each makes a pair; 0 is for all of them."""
    each = """
def each(answers, *, max_records=0, seed=0):
    marked = [Pair(prompt=a.prompt, chosen=a.text + "!", rejected=a.text, meta={"of": len(answers)}) for a in answers]
    return marked[: max_records or None]
"""
    (workshop / "miner.py").write_text(MINER + each)
    config = replace(mined(settings, workshop, "each", group_size=4, **given), records_per_round=24)
    records = read_records(train(config) / "pairs" / "round-0001.jsonl")
    answers = {record.meta["task_id"]: record.meta["of"] for record in records}
    assert len(answers) == 6 and max(answers.values()) == 4
    assert Counter(record.meta["task_id"] for record in records) == {
        task: min(most, count) for task, count in answers.items()
    }


def test_a_last_round_without_records_closes_the_run(settings, workshop):
    """Its last step is the first round's: validated and saved as a last step is."""
    once = "\nCALLS = []\n\n\ndef once(answers, **own):\n    CALLS.append(1)\n"
    (workshop / "miner.py").write_text(
        MINER + once + "    return by_ascii(answers, **own) if len(CALLS) <= 6 else []\n"
    )
    report = ReportConfig(validation=f"{workshop}/my.py:held_out", validate_every=50, max_tokens=8)
    config = mined(settings, workshop, "once", rounds=2, group_size=4, checkpoint_every=0, report=report)
    folder = train(config)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(row["kind"], row["step"]) for row in rows] == [("train", 1), ("validation", 1)]
    assert [path.name for path in sorted((folder / "checkpoints").iterdir())] == ["step-000001"]


def test_unpaired_and_ranking_losses_take_any_file(settings, workshop):
    rated = [
        Rated(prompt=pair.prompt, completion=text, desirable=good)
        for pair in pairs(4)
        for text, good in ((pair.chosen, True), (pair.rejected, False))
    ]
    write_records(workshop / "rated.jsonl", rated)
    for name in ("dpo", "kto", "rrhf"):
        config = {**settings, "run": f"{settings['run']}-{name}", "data": str(workshop / "rated.jsonl")}
        rows = train_metrics(train(PreferenceConfig(**config, loss=name)))
        assert sum(row["records"] for row in rows) == (8 if name == "kto" else 4)


def test_clear_errors(settings, workshop):
    with pytest.raises(ConfigError, match="has no option betta; it has beta, label_smoothing"):
        train(PreferenceConfig(**settings, options={"betta": 0.2}))
    with pytest.raises(ConfigError, match="does not weigh tokens"):
        train(PreferenceConfig(**settings, token_weights="diff"))
    with pytest.raises(ConfigError, match="weighs tokens, and all alike it is dpo"):
        train(PreferenceConfig(**settings, loss="weighted_dpo"))
    (workshop / "bad.jsonl").write_text('{"prompt": "p", "chosen": "a", "rejected": "a"}\n')
    with pytest.raises(DataError, match=r"bad\.jsonl:1: chosen and rejected are the same text"):
        train(PreferenceConfig(**{**settings, "data": str(workshop / "bad.jsonl")}))
    with pytest.raises(ConfigError, match="records_per_round is 0: the schedule counts on as many"):
        PreferenceConfig(**{**settings, "data": ""}, tasks="t", records_per_round=0)
    with pytest.raises(ConfigError, match="exactly one of data"):
        PreferenceConfig(**settings, tasks="builtin")


def test_options_of_the_miner_are_settings():
    """At a gap of 0.7 the answer with 0.3 is left out, unless the bound itself counts."""
    answers = [
        Scored(prompt=(), text=str(share), program=str(share), fraction=share, passed=share == 1.0)
        for share in (1.0, 0.3, 0.2)
    ]
    for given, wanted in (({"gap": 0.7}, ["0.2"]), ({"gap": 0.7, "inclusive": 1}, ["0.2", "0.3"])):
        config = PreferenceConfig(tasks="builtin", miner="acecoder", miner_options=given)
        assert sorted(pair.rejected for pair in _miner(config)(answers)) == wanted
    words = ["--tasks", "builtin", "--miner", "acecoder", "--miner-options.gap", "0.3"]
    assert load_config(PreferenceConfig, None, words).miner_options == {"gap": 0.3}
    with pytest.raises(ConfigError, match="miner 'pass_fail' has no option gap; it has length_ratio"):
        _miner(PreferenceConfig(tasks="builtin", miner_options={"gap": 0.3}))
    for wrong, complaint in (({"iterations": 2.5}, "whole number"), ({"inclusive": 0.5}, "wanted 1 for true")):
        name = "mutual_ranking" if "iterations" in wrong else "acecoder"
        with pytest.raises(ConfigError, match=complaint):
            _miner(PreferenceConfig(tasks="builtin", miner=name, miner_options=wrong))


def example(prompt, answer):
    ids = (prompt, *answer)
    mask = (False,) + (True,) * len(answer)
    row = Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, 1)
    return Example((row,), Rated(prompt=(), completion="", desirable=True), 0)


def test_mismatched_answers_are_of_other_prompts():
    """Pairs read as single answers stand two by two: the next one is no stranger, the one after it is."""
    two_by_two = [example(prompt, (10 * prompt + n, 7, 7)) for prompt in (1, 2, 3) for n in (0, 1)]
    assert [row.ids[:2] for row in _mismatched(two_by_two, 8)] == [(1, 20), (1, 21), (2, 30), (2, 31), (3, 10), (3, 11)]
    scattered = [example(1, (10,)), example(2, (20,)), example(1, (11,)), example(1, (12,)), example(3, (30,))]
    # Two apart, and on from there past their own prompt.
    assert [row.ids for row in _mismatched(scattered, 8)] == [(1, 30), (2, 12), (1, 30), (1, 20), (3, 20)]


def test_mismatched_answers_keep_to_the_length():
    rows = _mismatched([example(1, (10, 11, 12, 13)), example(2, (20,))], 3)
    assert [row.ids for row in rows] == [(1, 20), (2, 10, 11)]
    assert [row.mask for row in rows] == [(False, True), (False, True, True)]
    assert [row.ids for row in _mismatched([example(1, (10,))], 8)] == [(1, 10)]


def test_what_the_reference_said_is_not_asked_of_a_policy_that_has_learned(settings):
    config = PreferenceConfig(**settings, epochs=2, checkpoint_every=1)
    with pytest.raises(KeyboardInterrupt):
        train(config, reporter=Stopping(1))
    shutil.rmtree(Path(settings["run"]) / "reference")
    with pytest.raises(RunError, match=r"reference/round-0001 is gone, or is of other answers than round 1 has now"):
        train(config, resume=True)


def test_a_resumed_run_whose_data_changed_is_refused(settings, workshop):
    """The same pairs in another order have as many tokens, and every log-prob in another place.

    A run that noted no digest of its data scores the reference anew.
    """
    data = Path(settings["data"])
    with pytest.raises(KeyboardInterrupt):
        train(PreferenceConfig(**settings, epochs=2), reporter=Stopping(1))
    data.write_text("".join(reversed(data.read_text().splitlines(keepends=True))))
    with pytest.raises(RunError, match="the content of data has changed since"):
        train(PreferenceConfig(**settings, epochs=2), resume=True)
    (Path(settings["run"]) / "inputs.json").unlink()
    resumed = train(PreferenceConfig(**settings, epochs=2), resume=True)
    fresh = train(PreferenceConfig(**{**settings, "run": str(workshop / "fresh")}, epochs=2))
    found, wanted = (
        load_file(folder / "reference" / "round-0001" / "logprobs.safetensors")["logprobs"]
        for folder in (resumed, fresh)
    )
    torch.testing.assert_close(found, wanted)
