"""Likelihoods of a model small enough to enumerate: the chain rule sums to 1, the bound is a bound."""

from dataclasses import asdict
from itertools import permutations, product

import pytest
import torch
from tiny import tiny_model
from transformers import LlamaConfig, LlamaForCausalLM

from verigrad.evaluation.likelihood import chain_rule, elbo
from verigrad.models.diffusion import DiffusionSpec, hidden_states
from verigrad.models.scoring import token_logprobs
from verigrad.models.visibility import Places
from verigrad.training.config import ScoringConfig
from verigrad.training.estimators import drawn_batch
from verigrad.types import Row

START, MASK_ID = 3, 4
LENGTH = 3


def toy(attention="full", *, shift=True, block_length=0):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(
            LlamaConfig(
                vocab_size=5, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=2,
                initializer_range=0.7, max_position_embeddings=16,
            )
        ).eval()  # fmt: skip
    spec = DiffusionSpec(
        mask_id=MASK_ID, shift=shift, attention=attention, block_length=block_length, pad_policy="none", pad_id=START
    )
    return model, spec


def distribution(model, spec, row, place):
    """(5,) probabilities at a masked place of a row, by one plain forward pass."""
    ids = torch.tensor([row])
    with torch.no_grad():
        states = hidden_states(model, ids, Places.of(torch.ones_like(ids).bool()), spec)
        logits = model.lm_head(states)[0, place - int(spec.shift)]
    logits[MASK_ID] = -torch.inf
    return logits.softmax(-1)


def probability(model, spec, tokens, order):
    """Of a completion whose places are revealed in a given order."""
    row, found = [START] + [MASK_ID] * LENGTH, 1.0
    for place in order:
        found *= float(distribution(model, spec, row, place)[tokens[place - 1]])
        row[place] = tokens[place - 1]
    return found


def rows_of(completions):
    ids = [torch.tensor([START, *tokens]) for tokens in completions]
    return ids, [torch.tensor([False] + [True] * LENGTH)] * len(ids)


@pytest.fixture(params=[("full", True, 0), ("full", False, 0), ("causal", True, 0), ("block", True, 2)])
def case(request):
    attention, shift, block_length = request.param
    return toy(attention, shift=shift, block_length=block_length)


def test_the_chain_rule_sums_to_one_over_all_completions_and_is_the_product(case):
    model, spec = case
    completions = list(product([0, 1, 2, START], repeat=LENGTH))
    found = chain_rule(model, *rows_of(completions), spec).values.exp()
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-4)
    if spec.attention != "block":
        for index in (0, 7, 30):
            assert float(found[index]) == pytest.approx(
                probability(model, spec, completions[index], range(1, LENGTH + 1)), rel=1e-3
            )


@pytest.mark.parametrize("order", list(permutations(range(1, LENGTH + 1))))
def test_the_chain_rule_of_any_fixed_order_sums_to_one_over_all_completions(case, order):
    """By the trace of a sampler that reveals places in this order; a block is behind the clean ones before it."""
    model, spec = case
    model.config.verigrad_diffusion = asdict(spec)
    completions = list(product([0, 1, 2, START], repeat=LENGTH))
    step_map = (-1, *(order.index(place) for place in range(1, LENGTH + 1)))
    nothing, own = (0.0,) * (LENGTH + 1), (False,) + (True,) * LENGTH
    parts = [Row((START, *one), own, nothing, (1.0,) * (LENGTH + 1), {}, 1, step_map) for one in completions]
    numbers = list(range(len(parts)))
    scoring = ScoringConfig(estimator="trace", samples=1)
    batch = drawn_batch(
        parts, numbers, numbers, nothing[:1] * len(parts), spec=spec, scoring=scoring, kind="exact", seed=0
    )
    found = token_logprobs(model, batch).values.sum(1).exp()
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-4)
    if spec.attention != "block":
        for index in (0, 7, 30):
            assert float(found[index]) == pytest.approx(probability(model, spec, completions[index], order), rel=1e-3)


def test_answers_of_all_lengths_sum_to_one_where_what_is_behind_their_end_stays_masked(case):
    """Three words or fewer, an end, and end tokens up to the canvas; shown those, a model is told how long it is."""
    model, spec = case
    end = START
    answers = [(*own, end) for n in range(LENGTH) for own in product([0, 1, 2], repeat=n)]
    answers += list(product([0, 1, 2], repeat=LENGTH))
    ids = [torch.tensor([START, *own, *[end] * (LENGTH - len(own))]) for own in answers]
    places = torch.arange(LENGTH + 1)
    scored = [(places > 0) & (places <= len(own)) for own in answers]
    behind = [places > len(own) for own in answers]
    found = chain_rule(model, ids, scored, spec, behind=behind).values.exp()
    assert float(found.sum()) == pytest.approx(1.0, abs=1e-4)
    if spec.attention == "full":
        shown = chain_rule(model, ids, scored, spec).values.exp()
        assert abs(float(shown.sum()) - 1) > 0.01


def test_the_bound_is_the_mean_over_orders_and_below_the_likelihood():
    """With a fixed count the ELBO is the mean of log p over all orders, which is below the log of the mean of p."""
    model, spec = toy()
    completions = [(0, 1, 2), (2, 2, 0), (1, 0, 0)]
    orders = list(permutations(range(1, LENGTH + 1)))
    found = elbo(model, *rows_of(completions), spec, draws=600)
    for index, tokens in enumerate(completions):
        logs = torch.tensor([probability(model, spec, tokens, order) for order in orders]).log()
        assert abs(float(found.values[index] - logs.mean())) < 4 * float(found.standard_errors[index]) + 1e-4
        assert logs.mean() <= logs.exp().mean().log()


def test_bits_of_a_causal_model_are_its_own():
    source, _ = tiny_model(vocab_size=260)
    spec = DiffusionSpec(mask_id=259, shift=True, attention="causal", block_length=0, pad_policy="none", pad_id=258)
    ids = torch.tensor(list(b"x = 1"))
    scored = torch.arange(len(ids)) > 0
    with torch.no_grad():
        logits = source(ids[None]).logits[0, :-1]
    logits[:, 259] = -torch.inf
    expected = logits.log_softmax(-1).gather(1, ids[1:, None]).sum()
    assert float(chain_rule(source, [ids], [scored], spec).values[0]) == pytest.approx(float(expected), abs=1e-3)


def test_the_same_seed_gives_the_same_bound_and_one_draw_has_no_error():
    model, spec = toy()
    one, other = (elbo(model, *rows_of([(0, 1, 2)]), spec, draws=3, seed=5) for _ in range(2))
    assert torch.equal(one.values, other.values)
    assert elbo(model, *rows_of([(0, 1, 2)]), spec, draws=1).standard_errors.isnan().all()
