"""A prompt run once for its group gives the same log-probs and gradients as every row run alone."""

import pytest
import torch
from devices import DEVICES
from tiny import tiny_model

from verigrad.models.attention import Stretch
from verigrad.models.base import Batch, View
from verigrad.models.causal import score_pack
from verigrad.models.packing import pack_views
from verigrad.models.scoring import token_logprobs

FAMILIES = ["llama", "qwen2", "qwen3", "gpt_neox"]


def make_batch(prompts, completions_each, seed=0, temperature=1.0):
    """Rows of random ids: each prompt continued by completions of different lengths."""
    generator = torch.Generator().manual_seed(seed)

    def draw(n):
        return torch.randint(3, 250, (n,), generator=generator)

    rows, scored = [], []
    for length in prompts:
        prompt = draw(length)
        for size in completions_each:
            rows.append(torch.cat([prompt, draw(size)]))
            scored.append(torch.arange(length + size) >= length)
    width = max(len(row) for row in rows)
    mask = torch.zeros(len(rows), width, dtype=torch.bool)
    for index, flags in enumerate(scored):
        mask[index, : len(flags)] = flags
    number = torch.arange(len(rows))
    return Batch(
        views=tuple(View(i, ids, flags) for i, (ids, flags) in enumerate(zip(rows, scored, strict=True))),
        mask=mask,
        sampler_logprobs=torch.zeros(mask.shape),
        temperature=torch.where(mask, temperature, 1.0),
        kept={},
        prompt_lengths=torch.tensor([int((~flags).sum()) for flags in scored]),
        rollout_index=number,
        group_ids=number // len(completions_each),
        rewards=torch.zeros(len(rows)),
    )


def slow_logprobs(model, batch):
    """One row at a time, all logits, log_softmax, gather: the obvious way."""
    values = torch.zeros(batch.mask.shape)
    for view in batch.views:
        logits = model(view.input_ids[None]).logits[0].float()
        for t in view.scored.nonzero().flatten().tolist():
            heat = batch.temperature[view.row, t]
            values[view.row, t] = (logits[t - 1] / heat).log_softmax(-1)[view.input_ids[t]]
    return values


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("share", [True, False])
def test_equals_one_row_at_a_time(family, share, device):
    model, _ = tiny_model(family)
    batch = make_batch([7, 12, 3], [5, 1, 9], temperature=0.7)
    with torch.no_grad():
        expected = slow_logprobs(model, batch)
    model.to(device)
    for budget in (16, 64, 4096):
        scores = token_logprobs(model, batch, token_budget=budget, share_prompts=share)
        assert scores.kind == "exact"
        torch.testing.assert_close(scores.values, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_gradients_equal_those_of_one_row_at_a_time(family, device):
    batch = make_batch([7, 12], [5, 2, 9])
    weights = torch.rand(batch.mask.shape, generator=torch.Generator().manual_seed(1)) * batch.mask

    def gradients(loss_of, where):
        model = tiny_model(family)[0].to(where)
        loss_of(model)
        return {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}

    def plain(model):
        values = torch.zeros(batch.mask.shape)
        for view in batch.views:
            logits = model(view.input_ids[None]).logits[0]
            chosen = logits[:-1].log_softmax(-1).gather(1, view.input_ids[1:, None])[:, 0]
            values = values.index_put((torch.tensor(view.row), torch.arange(1, len(view.input_ids))), chosen)
        (values * weights).sum().backward()

    def packed(model):
        for pack in pack_views(batch.views, token_budget=40):
            (score_pack(model, pack, batch).values.cpu() * weights).sum().backward()

    expected, got = gradients(plain, "cpu"), gradients(packed, device)
    assert expected.keys() == got.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(got[name], gradient, rtol=1e-3, atol=1e-5, msg=lambda text, n=name: f"{n}: {text}")


def test_each_prompt_is_run_once_and_the_last_token_never():
    batch = make_batch([10], [4, 6])
    (pack,) = pack_views(batch.views, token_budget=1000)
    run = 10 + 3 + 5
    assert pack.num_tokens == 128
    assert pack.position_ids[0, :run].tolist() == [*range(10), 10, 11, 12, 10, 11, 12, 13, 14]
    assert pack.stretches == (Stretch(10, (3, 5)), Stretch(128 - run, ()))  # the last is filling
    assert sorted(pack.targets()) == [(0, t) for t in range(10, 14)] + [(1, t) for t in range(10, 16)]


def test_rows_with_a_gap_between_scored_tokens():
    """Two turns in one row: the observation between them is run, attended to, and not scored."""
    model, _ = tiny_model("llama")
    batch = make_batch([6], [8])
    view = batch.views[0]
    scored = view.scored.clone()
    scored[9:11] = False
    gap = Batch(**{**batch.__dict__, "views": (View(0, view.input_ids, scored),), "mask": scored[None]})
    with torch.no_grad():
        expected = slow_logprobs(model, gap)
    torch.testing.assert_close(token_logprobs(model, gap).values, expected, rtol=1e-4, atol=2e-5)
    assert float(expected[0, 9:11].abs().sum()) == 0


def test_the_budget_splits_a_group_and_keeps_every_target():
    batch = make_batch([10, 4], [20, 20, 20])
    packs = pack_views(batch.views, token_budget=35)
    assert len(packs) > 2
    assert sorted(target for pack in packs for target in pack.targets()) == [
        (row, t) for row in range(6) for t in batch.mask[row].nonzero().flatten().tolist()
    ]


@pytest.mark.parametrize("share", [True, False])
def test_a_first_token_that_nothing_predicts_is_refused(share):
    """It would be scored by the end of the row before it, or by the padding."""
    views = [View(n, torch.arange(4) + n, torch.tensor([n == 1, True, True, True])) for n in range(2)]
    with pytest.raises(ValueError, match="row 1 scores its first token"):
        pack_views(views, token_budget=100, share_prompts=share)


def test_full_attention_is_refused():
    view = View(0, torch.arange(4), torch.tensor([False, True, True, True]), attention="full")
    with pytest.raises(ValueError, match="causal views"):
        pack_views([view], token_budget=10)
