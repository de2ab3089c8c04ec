"""The one mask builder, against a reference that asks of each pair in words, and what padding does to it: nothing."""

import pytest
import torch

from verigrad.models.visibility import Places, annealing_edges, visible

KINDS = [("causal", 0), ("full", 0), ("block", 1), ("block", 2), ("block", 3)]


def twice(real):
    """Places of rows run masked and as they are."""
    once = Places.of(real)
    noisy = torch.cat([torch.ones_like(real), torch.zeros_like(real)], 1)
    return Places(torch.cat([once.positions] * 2, 1), torch.cat([real, real], 1), noisy)


def sees(attention, block, query, key, query_noisy, key_noisy):
    if attention == "full":
        return True
    if attention == "causal":
        return key <= query
    mine, other = query // block, key // block
    if query_noisy:
        return other == mine if key_noisy else other < mine
    return not key_noisy and other <= mine


@pytest.mark.parametrize(("attention", "block"), KINDS)
def test_every_pair_is_as_the_definition_says(attention, block):
    places = twice(torch.ones(1, 7, dtype=torch.bool)) if attention == "block" else Places.of(torch.ones(1, 7).bool())
    seen = visible(places, places, attention, block_length=block)[0]
    for query in range(seen.shape[0]):
        for key in range(seen.shape[1]):
            noisy = (len(seen) == 14 and query < 7, len(seen) == 14 and key < 7)
            expected = sees(attention, block, query % 7, key % 7, *noisy)
            assert bool(seen[query, key]) == expected, (query, key)


def test_the_block_mask_worked_by_hand():
    """Two blocks of two, masked places first: what each place sees of [n0 n1 n2 n3 | c0 c1 c2 c3]."""
    places = twice(torch.ones(1, 4, dtype=torch.bool))
    seen = visible(places, places, "block", block_length=2)[0]
    assert ["".join("x" if cell else "." for cell in row) for row in seen] == [
        "xx......", "xx......", "..xxxx..", "..xxxx..",
        "....xx..", "....xx..", "....xxxx", "....xxxx",
    ]  # fmt: skip


def test_the_prefix_mask_worked_by_hand():
    """Two places of a prompt, three of a canvas: the prompt sees itself, the canvas all."""
    places = Places(torch.arange(5)[None], torch.ones(1, 5, dtype=torch.bool), torch.arange(5)[None] >= 2)
    seen = visible(places, places, "prefix")[0]
    assert ["".join("x" if cell else "." for cell in row) for row in seen] == [
        "xx...", "xx...", "xxxxx", "xxxxx", "xxxxx",
    ]  # fmt: skip


@pytest.mark.parametrize(("attention", "block"), KINDS)
def test_padding_is_seen_by_no_real_place_and_moves_nothing(attention, block):
    real = torch.tensor([[False, False, True, True, True, False]])
    padded = visible(Places.of(real), Places.of(real), attention, block_length=block)[0]
    bare = Places.of(torch.ones(1, 3, dtype=torch.bool))
    assert torch.equal(padded[2:5, 2:5], visible(bare, bare, attention, block_length=block)[0])
    assert not padded[2:5][:, ~real[0]].any()
    assert padded.any(1).all()  # a row of a softmax is never empty


def test_annealing_keeps_the_causal_pairs_and_goes_from_causal_to_full():
    places = Places.of(torch.ones(1, 40, dtype=torch.bool))
    causal, full = (visible(places, places, kind) for kind in ("causal", "full"))
    for ratio, wanted in ((0.0, causal), (1.0, full)):
        edges = annealing_edges(40, ratio, torch.Generator().manual_seed(0))
        assert torch.equal(visible(places, places, "causal", edges=edges), wanted)
    half = visible(places, places, "causal", edges=annealing_edges(40, 0.5, torch.Generator().manual_seed(0)))
    assert half[causal].all()
    assert 0.4 < half[full & ~causal].float().mean() < 0.6
