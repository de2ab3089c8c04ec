"""What `benchmarks/gradient_noise.py` says of gradients, worked by hand and on a run whose weights stay."""

import pytest
import torch
from loops import train_metrics
from scripts import benchmark
from transformers import AutoModelForCausalLM

from verigrad.training.config import OptimConfig, RLConfig, SamplingConfig
from verigrad.training.rl import train


@pytest.fixture(scope="module")
def script():
    return benchmark("gradient_noise")


def test_three_gradients_by_hand(script):
    """(1, 2), (1, 0), (1, -2): products of pairs 1, -3 and 1, squared lengths 5, 1 and 5."""
    found = script.agreement(torch.tensor([[1.0, 2.0], [1.0, 0.0], [1.0, -2.0]]))
    assert found.length == pytest.approx(11 / 3)
    assert found.signal == pytest.approx((-1 / 3) / (11 / 3))
    left = [1 / 3, -3 / 5, 1 / 3]  # without the first, the second, the third
    mean = sum(left) / 3
    assert found.error == pytest.approx((2 / 3 * sum((one - mean) ** 2 for one in left)) ** 0.5)
    assert found.batches == float("inf")


def test_signal_is_found_under_noise(script):
    """Of squared length 1 under noise of squared length 9: 0.1 of the whole, in 9 batches as much as the noise."""
    noise = torch.randn(400, 1000, generator=torch.Generator().manual_seed(0)) * (9 / 1000) ** 0.5
    truth = torch.zeros(1000)
    truth[0] = 1.0
    found = script.agreement(truth + noise)
    assert found.signal == pytest.approx(0.1, abs=4 * found.error) and found.error < 0.01
    assert found.batches == pytest.approx(9.0, rel=0.2)


def test_batches_of_a_run_whose_weights_stay(script, settings):
    """Every gradient is of the weights at the start: a run of one step from there has the first one's length."""
    settings |= {"sampling": SamplingConfig(max_tokens=8), "optim": OptimConfig(learning_rate=1.0, warmup_steps=0)}
    found = script.gradients(RLConfig(**settings), 3)
    again = script.gradients(RLConfig(**{**settings, "run": settings["run"] + "-again"}), 3)
    assert all(len(rows) == 3 and torch.equal(rows, again[name]) for name, rows in found.items())
    folder = train(RLConfig(**{**settings, "run": settings["run"] + "-one"}, steps=1))
    length = sum(float(rows[0].square().sum()) for rows in found.values()) ** 0.5
    assert train_metrics(folder)[0]["grad_norm"] == pytest.approx(length, rel=1e-5)
    learned = AutoModelForCausalLM.from_pretrained(f"{settings['run']}/model").state_dict()
    before = AutoModelForCausalLM.from_pretrained(settings["model"]).state_dict()
    assert all(torch.equal(learned[name], before[name]) for name in before)
    assert script.table(found).splitlines()[-1].startswith("| all | ")
