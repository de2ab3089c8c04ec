"""Shape errors are loud where broadcasting would be silent; masks stop values and gradients."""

import pytest
import torch

from verigrad.algorithms.objectives import ppo_clip, reinforce
from verigrad.algorithms.shapes import check_shapes, expand_to_rows, masked, per_token


def test_a_row_vector_where_tokens_are_wanted_is_refused_even_on_square_batches():
    square = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=r"mask has shape \(3,\), wanted \(B, T\) = \(3, 3\), the shape of logprobs"):
        reinforce(square, torch.zeros(3), torch.ones(3).bool())
    with pytest.raises(ValueError, match="old_logprobs has shape"):
        ppo_clip(square, torch.zeros(3), torch.zeros(3), square.bool())


def test_the_wrong_number_of_axes_names_the_axes_wanted():
    with pytest.raises(ValueError, match=r"rewards has shape \(2, 1\), wanted 1 axes \(N\)"):
        check_shapes("N", rewards=torch.zeros(2, 1))


def test_an_advantage_per_row_means_rows_also_on_square_batches():
    loss = reinforce(torch.full((2, 2), -1.0), torch.tensor([1.0, 10.0]), torch.ones(2, 2).bool())
    assert loss.tolist() == [[1.0, 1.0], [10.0, 10.0]]


def test_advantages_of_another_length_say_how_to_get_there():
    with pytest.raises(ValueError, match="expand_to_rows"):
        per_token(torch.zeros(3), torch.zeros(4, 2))


def test_masked_wants_bools():
    with pytest.raises(TypeError, match=r"mask\.bool\(\)"):
        masked(torch.zeros(2), torch.ones(2))


def test_masked_stops_nan_in_both_directions():
    x = torch.tensor([2.0, float("nan"), float("-inf")], requires_grad=True)
    out = masked(x, torch.tensor([True, False, False]))
    out.square().sum().backward()
    assert out.tolist() == [2.0, 0.0, 0.0]
    assert x.grad.tolist() == [4.0, 0.0, 0.0]


def test_expand_to_rows_repeats_a_rollouts_value_over_its_rows():
    assert expand_to_rows(torch.tensor([5.0, 7.0]), torch.tensor([1, 0, 1])).tolist() == [7.0, 5.0, 7.0]
