"""The loss of masked diffusion, and what it is divided by."""

import pytest
import torch

from verigrad.algorithms.masking import draw_noise, noise_levels
from verigrad.algorithms.supervised import (
    NORMALISATIONS,
    masked_diffusion_loss,
    per_answer,
    per_batch_token,
    per_masked_token,
)


@pytest.mark.parametrize(("name", "wanted"), [("batch_tokens", 1.0), ("answer", 1.0)])
def test_a_cross_entropy_of_one_reads_one(name, wanted):
    """With a fixed count the ELBO's estimate has no spread where all tokens are equally hard."""
    source, lengths = torch.Generator().manual_seed(0), [3, 9, 4]
    noised = [
        draw_noise(torch.zeros(length, dtype=torch.long), noise_levels(1, source), source)[0] for length in lengths
    ]
    rows = torch.cat([torch.full((int(own.masked.sum()),), row) for row, own in enumerate(noised)])
    weights = torch.cat([own.weight[own.masked] for own in noised])
    divisors = NORMALISATIONS[name](rows, torch.tensor(lengths).float(), 1)
    assert float(masked_diffusion_loss(-torch.ones(len(rows)), weights, divisors).sum()) == pytest.approx(wanted)


@pytest.mark.parametrize("views", [1, 2])
def test_normalisations_of_a_diffusion_loss_agree_where_they_should(views):
    """Rows of 4 and 4 tokens, 3 and 1 of them masked, or in two complementary views 3 + 1 and 1 + 3."""
    rows = torch.tensor([0, 0, 0, 1] if views == 1 else [0, 0, 0, 0, 1, 1, 1, 1])
    equal, unequal = torch.tensor([4.0, 4.0]), torch.tensor([6.0, 2.0])
    one = torch.ones(len(rows))
    assert torch.equal(per_batch_token(rows, equal, views), per_answer(rows, equal, views))
    assert per_answer(rows, unequal, views).tolist() == [12.0 if row == 0 else 4.0 for row in rows]
    # Weights of a pair are halved, so a cross-entropy of 1 reads 1 per masked token in both cases.
    masked = masked_diffusion_loss(-one, one / views, per_masked_token(rows, equal, views))
    assert float(masked.sum()) == pytest.approx(1.0)
