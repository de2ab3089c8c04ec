"""Weights of pairs' tokens through the whole loop: each weighting against weights written out by hand."""

import math

import pytest
import torch
from loops import train_metrics
from tiny import tiny_model

from verigrad.errors import ConfigError, DataError
from verigrad.models.chat import answer_ids, prompt_ids
from verigrad.preferences.records import Pair, write_records
from verigrad.training.config import OptimConfig, PreferenceConfig
from verigrad.training.preference import train
from verigrad.types import Message

RATE = 1e-3
SAFE = "def f(a):\n    return int(a)\n"
UNSAFE = "def f(a):\n    return eval(a)\n"
PAIRS = [("abcd1", "axxd1"), ("ab2", "ab22"), (SAFE, UNSAFE)]
# Ids are bytes, so a weight a character, and one for the end token.
EDITS = [([1] * 6, [0, 1, 1, 0, 0, 0]), ([1] * 4, [0, 0, 0, 1, 0]), ([1] * 29, [0] * 21 + [1] * 4 + [0] * 5)]
ON_LINE = [0] * 10 + [1] * 19 + [0]  # the second line of UNSAFE, its line break too
IN_PLACE = [0] * 21 + [1] * 3 + [0] * 5  # `int`, which stands for `eval`
SECURITY = [([0] * 6, [0] * 6), ([0] * 4, [0] * 5), (IN_PLACE, ON_LINE)]
SPANS = [{"chosen_spans": [[1, 3]], "rejected_spans": [[0, 1], [4, 5]]}, {"rejected_spans": [[3, 4]]}, {}]
BY_SPANS = [([0, 1, 1, 0, 0, 0], [1, 0, 0, 0, 1, 0]), ([0] * 4, [0, 0, 0, 1, 0]), SECURITY[2]]
HALVES = [([0.5] * (len(good) + 1), [2.0] * (len(bad) + 1)) for good, bad in PAIRS]

MY = """
from verigrad.algorithms.preference import ld_weights, weighted_dpo
from verigrad.algorithms.preference_presets import PreferenceLoss
from verigrad.algorithms.shaping import diff_span


def halves(chosen, rejected):
    return [0.5] * len(chosen.ids), [2.0] * len(rejected.ids)


def too_few(chosen, rejected):
    return [1.0], [1.0] * len(rejected.ids)


def nothing(chosen, rejected):
    return [0.0] * len(chosen.ids), [0.0] * len(rejected.ids)


def ld_dpo(
    policy_chosen_tokens,
    policy_rejected_tokens,
    ref_chosen_tokens,
    ref_rejected_tokens,
    chosen_mask,
    rejected_mask,
    *,
    beta=0.1,
    alpha=0.5,
):
    tokens = (policy_chosen_tokens, policy_rejected_tokens, ref_chosen_tokens, ref_rejected_tokens)
    return weighted_dpo(*tokens, *ld_weights(chosen_mask, rejected_mask, alpha=alpha), beta=beta)


def by_ids(
    policy_chosen_tokens,
    policy_rejected_tokens,
    ref_chosen_tokens,
    ref_rejected_tokens,
    chosen_ids,
    rejected_ids,
    chosen_mask,
    rejected_mask,
):
    tokens = (policy_chosen_tokens, policy_rejected_tokens, ref_chosen_tokens, ref_rejected_tokens)
    return weighted_dpo(*tokens, *diff_span(chosen_ids, rejected_ids, chosen_mask, rejected_mask))


LD_DPO = PreferenceLoss(name="ld_dpo", loss=ld_dpo, form="tokens", paper="arXiv:2409.06411")
BY_IDS = PreferenceLoss(name="by_ids", loss=by_ids, form="tokens", paper="arXiv:2502.11475")
"""


def records(metas=({}, {}, {})):
    return [
        Pair(prompt=(Message("user", f"Say {n}."),), chosen=good, rejected=bad, meta=meta)
        for n, ((good, bad), meta) in enumerate(zip(PAIRS, metas, strict=True))
    ]


@pytest.fixture
def settings(workshop):
    (workshop / "my_losses.py").write_text(MY)
    write_records(workshop / "pairs.jsonl", records())
    return {
        "run": str(workshop / "run"),
        "model": str(workshop / "model"),
        "data": str(workshop / "pairs.jsonl"),
        "dtype": "float32",
        "device": "cpu",
        "batch_size": 3,
        "max_length": 128,
        "epochs": 2,
        "optim": OptimConfig(learning_rate=RATE, warmup_steps=0, max_grad_norm=1e9),
    }


def token_logprobs(model, tokenizer, prompt, answer):
    start = prompt_ids(tokenizer, prompt)
    ids = start + answer_ids(tokenizer, answer)
    logits = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return [logits[t - 1, ids[t]] for t in range(len(start), len(ids))]


def slow_losses(weights, steps=2, beta=0.1):
    """Losses of AdamW's steps on the mean of -log s(beta (u_w - u_l)), u = sum_t w_t (log pi_t - log ref_t)."""
    model, tokenizer = tiny_model("llama")
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.99), weight_decay=0.0)
    reference, losses = None, []
    for _ in range(steps):
        sums = []
        for record, sides in zip(records(), weights, strict=True):
            for answer, own in zip((record.chosen, record.rejected), sides, strict=True):
                values = token_logprobs(model, tokenizer, record.prompt, answer)
                sums.append(sum(weight * value for weight, value in zip(own, values, strict=True)))
        reference = [float(value.detach()) for value in sums] if reference is None else reference
        u = [value - start for value, start in zip(sums, reference, strict=True)]
        logits = [beta * (good - bad) for good, bad in zip(u[::2], u[1::2], strict=True)]
        loss = -sum(torch.nn.functional.logsigmoid(torch.as_tensor(logit)) for logit in logits) / len(logits)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


def losses(settings, **options):
    return [row["loss"] for row in train_metrics(train(PreferenceConfig(**{**settings, **options})))]


@pytest.mark.parametrize(
    ("how", "metas", "weights"),
    [
        ("edits", ({}, {}, {}), EDITS),
        ("security", ({}, {}, {}), SECURITY),
        ("security", SPANS, BY_SPANS),
        ("my_losses.py:halves", ({}, {}, {}), HALVES),
    ],
    ids=["edits", "bandit", "spans", "own"],
)
def test_a_weighting_is_what_was_written_out_by_hand(settings, workshop, how, metas, weights):
    write_records(workshop / "pairs.jsonl", records(metas))
    how = f"{workshop}/{how}" if ":" in how else how
    found = losses(settings, loss="weighted_dpo", token_weights=how, token_budget=60)
    assert found == pytest.approx(slow_losses(weights), rel=1e-4)
    assert found[0] == pytest.approx(math.log(2), abs=1e-5) and found[1] < found[0] - 1e-3


def test_losses_of_ones_own_that_read_tokens_run(settings, workshop):
    """The documented LD-DPO, and one that asks for ids, are the built-in weightings."""
    for name, how in (("LD_DPO", "length"), ("BY_IDS", "diff")):
        own = losses({**settings, "run": f"{settings['run']}-{name}"}, loss=f"{workshop}/my_losses.py:{name}")
        built_in = losses({**settings, "run": f"{settings['run']}-{how}"}, loss="weighted_dpo", token_weights=how)
        assert own == pytest.approx(built_in, rel=1e-6)


def test_clear_errors(settings, workshop):
    def refused(error, words, **options):
        with pytest.raises(error, match=words):
            losses(settings, **{"loss": "weighted_dpo", **options})

    refused(ConfigError, "unknown token_weights 'edit' .did you mean 'edits'", token_weights="edit")
    refused(ConfigError, "does not weigh tokens", loss="dpo", token_weights="edits")
    own = f"{workshop}/my_losses.py"
    refused(ConfigError, r"too_few' gave chosen weights \[1.0\] for 6 tokens", token_weights=f"{own}:too_few")
    settings["run"] += "-again"
    refused(ConfigError, "gives 3 of 3 pairs no token of any weight", token_weights=f"{own}:nothing")
    write_records(workshop / "pairs.jsonl", records([{}, {"rejected_spans": [[3, 9]]}, {}]))
    settings["run"] += "-again"
    words = r"pairs.jsonl:2: meta.rejected_spans is \[\[3, 9\]\]; wanted .* 4 characters"
    refused(DataError, words, token_weights="security")
