"""Schedules, clipping and decay, worked by hand."""

import pytest
import torch
from torch import nn

from verigrad.errors import RunError
from verigrad.training.config import OptimConfig
from verigrad.training.optim import clip_gradients, learning_rate, make_optimizer, set_learning_rate


@pytest.mark.parametrize(
    ("schedule", "after"),
    [
        ("constant", [8.0, 8.0, 8.0, 8.0]),
        ("linear", [8.0, 6.0, 4.0, 2.0]),
        ("cosine", [8.0, 4 + 8**0.5, 4.0, 4 - 8**0.5]),  # 4 (1 + cos x) at 0, 45, 90, 135 degrees
    ],
)
def test_rates_of_seven_steps_three_of_them_warm_up(schedule, after):
    config = OptimConfig(learning_rate=8.0, schedule=schedule, warmup_steps=3)
    rates = [learning_rate(config, step, 7) for step in range(7)]
    assert rates == pytest.approx([8 / 3, 16 / 3, 8.0, *after])


def test_without_warm_up_the_first_step_has_the_whole_rate():
    assert learning_rate(OptimConfig(learning_rate=0.5, schedule="linear", warmup_steps=0), 0, 4) == 0.5


def with_gradients():
    """Two weights whose gradients (3, 0) and (0, 4) have the joint norm 5."""
    weights = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
    weights[0].grad, weights[1].grad = torch.tensor([3.0, 0.0]), torch.tensor([0.0, 4.0])
    return weights


@pytest.mark.parametrize(("most", "left"), [(1.0, [0.6, 0.8]), (2.5, [1.5, 2.0]), (6.0, [3.0, 4.0])])
def test_gradients_are_scaled_by_their_joint_norm(most, left):
    weights = with_gradients()
    assert clip_gradients(weights, most) == pytest.approx(5.0)
    assert [float(weights[0].grad[0]), float(weights[1].grad[1])] == pytest.approx(left, rel=1e-5)


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_gradient_that_is_not_finite_ends_the_run_before_the_weights_are_broken(broken):
    weights = with_gradients()
    weights[1].grad[0] = broken
    with pytest.raises(RunError, match=f"norm is {broken}.*lower optim.learning_rate"):
        clip_gradients(weights, 1.0)


def test_matrices_decay_and_biases_do_not():
    """Without a gradient AdamW only decays: by rate times decay, 0.1 x 0.5; those learned faster have no decay."""
    model = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 1, bias=False)])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    optimizer = make_optimizer(model, OptimConfig(weight_decay=0.5), faster=[model[1].weight], factor=10.0)
    set_learning_rate(optimizer, 0.1)
    optimizer.step()
    torch.testing.assert_close(model[0].weight, torch.full((2, 2), 0.95))
    assert model[0].bias.tolist() == [1.0, 1.0] and model[1].weight.tolist() == [[1.0, 1.0]]


def test_the_first_step_of_adam_is_the_rate_and_factors_multiply_it():
    """AdamW's first step is the rate times the gradient's sign."""
    model = nn.ModuleList([nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)])
    with torch.no_grad():
        for parameter, slope in zip(model.parameters(), (5.0, -0.2), strict=True):
            parameter.fill_(1.0)
            parameter.grad = torch.full_like(parameter, slope)
    optimizer = make_optimizer(model, OptimConfig(), faster=[model[1].weight], factor=3.0)
    set_learning_rate(optimizer, 0.1)
    optimizer.step()
    assert [model[0].weight.item(), model[1].weight.item()] == pytest.approx([0.9, 1.3], rel=1e-4)
