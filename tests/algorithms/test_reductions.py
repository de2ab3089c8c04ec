"""Reductions: worked by hand, against slow references; splitting rows and micro-batches changes nothing."""

import pytest
import reference
import torch

from verigrad.algorithms.reductions import (
    fixed_length,
    prompt_mean,
    sequence_mean,
    sequence_sum,
    token_mean,
    token_sum,
)

ALL = [token_mean, token_sum, sequence_mean, sequence_sum, fixed_length, prompt_mean]


def random_step(seed):
    """Losses, ragged mask with gaps, rollout_index with split and missing rollouts, group_ids."""
    rng = torch.Generator().manual_seed(seed)
    rollout_index = torch.tensor([0, 0, 1, 2, 4, 4, 4, 5, 6])  # rollout 3 has no row
    group_ids = torch.tensor([9, 9, 9, 2, 2, 5, 5])
    losses = torch.randn(9, 7, generator=rng, dtype=torch.float64)
    mask = torch.rand(9, 7, generator=rng) < 0.6
    mask[3] = False  # rollout 2 has a row without a token
    return losses, mask, rollout_index, group_ids


def test_by_hand():
    """Rollouts of 3, 1 and 2 tokens, the first in two rows; the first two are one group."""
    mask = torch.tensor([[True, True], [True, False], [True, False], [True, True]])
    index, groups = torch.tensor([0, 0, 1, 2]), torch.tensor([0, 0, 1])

    def each(reduction, **kwargs):
        """Weight of one token of each rollout."""
        weights = reduction(mask, index, groups, **kwargs)
        assert torch.equal(weights > 0, mask)
        assert weights[0, 0] == weights[0, 1] == weights[1, 0]
        return [round(1 / weights[row, 0].item(), 4) for row in (0, 2, 3)]

    assert each(token_mean) == [6, 6, 6]
    assert each(token_sum) == [1, 1, 1]
    assert each(sequence_mean) == [9, 3, 6]
    assert each(sequence_sum) == [3, 3, 3]
    assert each(fixed_length, horizon=10) == [30, 30, 30]
    assert each(prompt_mean) == [8, 8, 4]


@pytest.mark.parametrize("reduction", ALL)
@pytest.mark.parametrize("seed", range(3))
def test_slow_references(reduction, seed):
    losses, mask, index, groups = random_step(seed)
    got = (losses * reduction(mask, index, groups, horizon=16)).sum().item()
    tokens = reference.tokens_by_rollout(losses.tolist(), mask.tolist(), index.tolist(), len(groups))
    assert got == pytest.approx(getattr(reference, reduction.__name__)(tokens, groups.tolist(), 16), rel=1e-6)


@pytest.mark.parametrize("reduction", ALL)
def test_cutting_rollouts_into_one_token_rows_changes_no_weight(reduction):
    _, mask, index, groups = random_step(4)
    whole = reduction(mask, index, groups, horizon=16)
    cut = reduction(mask.reshape(-1, 1), index.repeat_interleave(mask.shape[1]), groups, horizon=16)
    torch.testing.assert_close(cut.reshape(whole.shape), whole, rtol=0, atol=0)


@pytest.mark.parametrize("reduction", ALL)
def test_padding_and_the_order_of_rows_change_no_weight(reduction):
    _, mask, index, groups = random_step(5)
    whole = reduction(mask, index, groups, horizon=16)
    order = torch.randperm(len(index), generator=torch.Generator().manual_seed(1))
    padded = torch.nn.functional.pad(mask[order], (2, 3))
    assert torch.equal(reduction(padded, index[order], groups, horizon=16)[:, 2:-3], whole[order])


@pytest.mark.parametrize("reduction", ALL)
def test_micro_batches_add_up_to_the_whole_gradient(reduction):
    losses, mask, index, groups = random_step(6)
    weights = reduction(mask, index, groups, horizon=16)

    def gradient(slices):
        parameter = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        for part in slices:
            ((losses[part] * parameter).tanh() * weights[part]).sum().backward()
        return parameter.grad

    torch.testing.assert_close(gradient([slice(0, 2), slice(2, 3), slice(3, 9)]), gradient([slice(0, 9)]))


def test_fixed_length_does_not_depend_on_padding_and_wants_a_horizon():
    mask, one = torch.tensor([[True, False, False]]), torch.tensor([0])
    assert fixed_length(mask, one, one, horizon=4).tolist() == [[0.25, 0.0, 0.0]]
    for horizon in (None, 0):
        with pytest.raises(ValueError, match="budget of completion tokens"):
            fixed_length(mask, one, one, horizon=horizon)


@pytest.mark.parametrize("reduction", ALL)
def test_a_step_without_tokens_weighs_nothing(reduction):
    weights = reduction(torch.zeros(2, 3).bool(), torch.tensor([0, 1]), torch.tensor([0, 0]), horizon=4)
    assert weights.tolist() == [[0.0] * 3] * 2


def test_indices_that_do_not_fit_are_refused():
    mask = torch.ones(2, 3).bool()
    with pytest.raises(ValueError, match="names 3 rows, but mask has 2"):
        token_mean(mask, torch.tensor([0, 0, 1]), torch.tensor([0, 0]))
    with pytest.raises(ValueError, match="names rollout 2, but group_ids has 2"):
        sequence_mean(mask, torch.tensor([0, 2]), torch.tensor([0, 0]))
    with pytest.raises(TypeError, match="bool"):
        token_mean(mask.float(), torch.tensor([0, 1]), torch.tensor([0, 0]))
