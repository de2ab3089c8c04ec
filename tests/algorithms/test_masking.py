"""Noise for masked diffusion: what every form must add up to, and which tokens it may take."""

from itertools import product

import pytest
import torch

from verigrad.algorithms.masking import draw_noise, noise_levels, segments_of

FORMS = list(product(["fixed_count", "bernoulli"], [False, True]))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def totals(form, complementary, segments, draws, low=0.0):
    """The estimate of each draw for a cross-entropy of 1 a token."""
    source, count = generator(), int(segments.max()) + 1
    levels = noise_levels(draws * count, source, low=low).view(draws, count)
    drawn = (draw_noise(segments, own, source, form=form, complementary=complementary) for own in levels)
    return torch.tensor([sum(float(view.weight.sum()) for view in views) for views in drawn])


@pytest.mark.parametrize(("form", "complementary"), FORMS)
def test_a_cross_entropy_of_one_adds_up_to_the_length(form, complementary):
    """All forms are unbiased. Their spread at L = 16: none with a fixed count, about 2.7 with its complement."""
    found = totals(form, complementary, torch.zeros(16, dtype=torch.long), 3000, low=0.0)
    error = float(found.std()) / 3000**0.5
    assert abs(float(found.mean()) - 16) < 4 * error + 1e-4
    if form == "fixed_count":
        assert float(found.std()) == pytest.approx(2.7 if complementary else 0.0, abs=0.3)


@pytest.mark.parametrize(("form", "complementary"), FORMS)
def test_segments_are_estimated_apart(form, complementary):
    """Blocks of 1, 3 and 4 eligible tokens among others that are not: 8 in all, whatever the blocks."""
    segments = torch.tensor([-1, 0, 1, 1, 1, -1, 2, 2, 2, 2, -1])
    found = totals(form, complementary, segments, 3000)
    assert abs(float(found.mean()) - 8) < 4 * float(found.std()) / 3000**0.5 + 1e-4


def test_a_fixed_count_takes_every_count_and_every_token_equally_often():
    segments, source = torch.zeros(4, dtype=torch.long), generator()
    views = [draw_noise(segments, level[None], source)[0].masked for level in noise_levels(4000, source)]
    counts = torch.stack([view.sum() for view in views]).bincount(minlength=5)
    assert counts[0] == 0 and (counts[1:] - 1000).abs().max() < 60
    assert (torch.stack(views).sum(0) - 2500).abs().max() < 130


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_the_ends_of_the_range(level):
    """No level masks nothing or more than all with a fixed count; the complement of everything is nothing."""
    segments, one = torch.tensor([0, 0, 0, -1]), torch.tensor([level])
    (view,) = draw_noise(segments, one, generator())
    assert int(view.masked.sum()) == (3 if level else 1)
    first, second = draw_noise(segments, one, generator(), complementary=True)
    assert (int(first.masked.sum()), int(second.masked.sum())) == ((3, 0) if level else (0, 3))
    # k = 3 or 0 of 3: (3 + 1) / 3 on all three, halved
    assert float(first.weight.sum() + second.weight.sum()) == pytest.approx(2.0)


@pytest.mark.parametrize("form", ["fixed_count", "bernoulli"])
def test_complements_cover_every_eligible_token_once_and_no_other(form):
    segments = torch.tensor([-1, 0, 0, 0, 1, 1, -1])
    for seed in range(20):
        first, second = draw_noise(segments, torch.tensor([0.3, 0.8]), generator(seed), form=form, complementary=True)
        assert torch.equal(first.masked ^ second.masked, segments >= 0)
        assert not (first.masked & second.masked).any()
        for view in (first, second):
            assert ((view.weight > 0) == view.masked).all()


def test_levels_tell_the_share_that_is_masked():
    (view,) = draw_noise(torch.tensor([0, 0, 0, 0, 1, 1]), torch.tensor([0.5, 0.9]), generator())
    assert int(view.masked[:4].sum()) == 3 and int(view.masked[4:].sum()) == 2
    assert torch.equal(view.level[view.masked], torch.tensor([0.75] * 3 + [1.0] * 2))
    assert (view.level[~view.masked] == 0).all()


def test_stratified_levels_are_in_every_part_of_the_range():
    levels = noise_levels(10, generator(), low=0.2, high=0.7)
    assert ((levels - 0.2) / 0.05).floor().sort().values.tolist() == list(range(10))
    free = noise_levels(2000, generator(), stratified=False)
    assert free.min() >= 0 and free.max() < 1 and abs(float(free.mean()) - 0.5) < 0.03


def test_blocks_are_those_of_the_row():
    eligible = torch.tensor([False, False, True, True, True, False, False, False, True])
    assert segments_of(eligible).tolist() == [-1, -1, 0, 0, 0, -1, -1, -1, 0]
    assert segments_of(eligible, 3).tolist() == [-1, -1, 0, 1, 1, -1, -1, -1, 2]


def test_each_segment_needs_a_level():
    with pytest.raises(ValueError, match="got 1 noise levels for 2 segments"):
        draw_noise(torch.tensor([0, 1]), torch.tensor([0.5]), generator())
