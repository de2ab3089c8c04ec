"""Views of masked-diffusion estimators: what they hide, score and weigh, and what it adds up to."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
from tiny import END, MASK, tiny_diffusion, tiny_tokenizer

from verigrad.algorithms.diffusion_presets import DIFFUSION_PRESETS, ESPO, SPG
from verigrad.algorithms.presets import DPPO, GRPO, GSPO, PRESETS, REINFORCE, RLOO
from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.errors import ConfigError
from verigrad.models.diffusion import DiffusionSpec
from verigrad.models.scoring import pack_batch, score_pack, token_logprobs
from verigrad.training.config import RLConfig, SamplingConfig, ScoringConfig
from verigrad.training.estimators import (
    ESTIMATORS,
    chosen_estimator,
    drawn_batch,
    filled_scoring,
    order_warnings,
    score_kind,
)
from verigrad.types import Row, Tail, Turn, rows

ALL = ["left_to_right", "random_order", "trace", "mean_field", "coupled", "elbo", "sandwich"]


def spec_of(attention="full", block_length=0, shift=True):
    return DiffusionSpec(
        mask_id=MASK, shift=shift, attention=attention, block_length=block_length, pad_policy="fill", pad_id=END
    )


def row_of(length=4, prompt=3, tail=0, steps=None, tail_steps=None):
    ids = tuple(range(10, 10 + prompt + length + tail))
    mask = (False,) * prompt + (True,) * length + (False,) * tail
    steps = tuple(range(length)) if steps is None else steps
    step_map = (-1,) * prompt + steps + (tail_steps or (-1,) * tail)
    return Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, prompt, step_map, tail)


def batch_of(row, name, *, spec=None, seed=0, **scoring):
    scoring = ScoringConfig(estimator=name, **{"samples": ESTIMATORS[name].samples, **scoring})
    return drawn_batch(
        [row], [0], [0], [1.0], spec=spec or spec_of(), scoring=scoring, kind=ESTIMATORS[name].kind, seed=seed
    )


def weights_of(batch):
    """(T,) sum of the views' weights on each token: what a constant log-prob of 1 adds up to."""
    total = torch.zeros(batch.mask.shape[1])
    for view in batch.views:
        total[: len(view.scored)] += view.scored * view.weight
    return total


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("tail", [0, 2])
def test_prompts_stay_and_what_is_scored_is_hidden(name, tail):
    row = row_of(tail=tail)
    batch = batch_of(row, name)
    for view in batch.views:
        assert view.input_ids[:3].tolist() == [10, 11, 12] and view.clean_ids.tolist() == list(row.ids)
        assert bool((view.input_ids[view.scored] == MASK).all()) and not view.scored[:3].any()
        assert bool((view.input_ids[7:] == MASK).all()) and not view.scored[7:].any()
        shown = view.input_ids != MASK
        assert torch.equal(view.input_ids[shown], view.clean_ids[shown])


@pytest.mark.parametrize("name", ["left_to_right", "random_order", "trace"])
def test_exact_estimators_score_each_token_once(name):
    batch = batch_of(row_of(steps=(2, 0, 3, 1)), name)
    assert len(batch.views) == 4 and weights_of(batch).tolist() == [0, 0, 0, 1, 1, 1, 1]


def test_a_trace_shows_the_states_that_were_visited():
    batch = batch_of(row_of(steps=(2, 0, 2, 1), tail=2, tail_steps=(1, -1)), "trace")
    states = [(view.input_ids[3:].tolist(), view.scored[3:].nonzero().flatten().tolist()) for view in batch.views]
    m = MASK
    assert states == [
        ([m, m, m, m, m, m], [1]),
        ([m, 14, m, m, m, m], [3, 4]),
        ([m, 14, m, 16, 17, m], [0, 2]),
    ]
    assert batch.mask[0].tolist() == [False] * 3 + [True] * 5 + [False]  # what was revealed behind the end counts
    merged = batch_of(row_of(steps=(2, 0, 2, 1)), "trace", shrink=2)
    assert [view.scored[3:].tolist() for view in merged.views] == [
        [False, True, False, True],
        [True, False, True, False],
    ]


def test_blocks_share_the_views_of_a_trace():
    """Places of different blocks do not see each other's masks, so their steps are scored side by side."""
    spec = spec_of("block", block_length=2)
    batch = batch_of(row_of(length=5, prompt=3, steps=(0, 2, 1, 3, 4)), "trace", spec=spec)
    assert [view.scored.nonzero().flatten().tolist() for view in batch.views] == [[3, 5, 6], [4, 7]]


def test_mean_field_hides_all_and_prompts_where_asked():
    (view,) = batch_of(row_of(), "mean_field").views
    assert view.scored.tolist() == [False] * 3 + [True] * 4
    row = row_of(prompt=400)
    (view,) = batch_of(row, "mean_field", prompt_masking=0.15).views
    assert 0.1 < float((view.input_ids[:400] == MASK).float().mean()) < 0.2 and not view.scored[:400].any()


@pytest.mark.parametrize(("name", "options"), [("coupled", {"samples": 2}), ("elbo", {"samples": 3})])
def test_pairs_of_masks_cover_the_completion_once(name, options):
    batch = batch_of(row_of(length=6), name, **options)
    views = [view for view in batch.views if name == "elbo" or int(view.scored.sum()) < 6 or view.weight is not None]
    pairs = views[1:] if name == "coupled" else views
    assert len(pairs) == 2 * options["samples"]
    for one, other in zip(pairs[::2], pairs[1::2], strict=True):
        assert torch.equal(one.scored ^ other.scored, batch.mask[0])


@pytest.mark.parametrize("name", ["elbo", "sandwich"])
@pytest.mark.parametrize("length", [1, 2, 5])
@pytest.mark.parametrize("block_length", [0, 2])
def test_a_constant_cross_entropy_adds_up_to_the_length(name, length, block_length):
    spec = spec_of("block", block_length) if block_length else spec_of()
    totals = []
    for seed in range(400):
        batch = batch_of(row_of(length), name, spec=spec, seed=seed, samples=1)
        found = weights_of(batch) if name == "elbo" else batch.loss_weights.sum(0)
        totals.append(float(found.sum()))
    spread = torch.tensor(totals).std() / math.sqrt(len(totals))
    assert sum(totals) / len(totals) == pytest.approx(length, abs=4 * float(spread) + 1e-4)


@pytest.mark.parametrize(
    ("weighting", "mean", "least", "most"),
    # the exponent of a token's probability is (1 + 1 / t) / 2 or (1 + 1 / (1 - t)) / 2, on average 1.5
    [("paper", 1.5, 1.125, 3.0), ("normalised", 1.0, 1.0, 1.0), ("outside_ratio", 1.0, 1.0, 1.0)],
)
def test_the_exponent_of_coupled_ratios(weighting, mean, least, most):
    seen, factors = [], []
    for seed in range(400):
        batch = batch_of(row_of(5), "coupled", weighting=weighting, seed=seed)
        assert len(batch.views) == (2 if weighting == "outside_ratio" else 3)
        seen += weights_of(batch)[3:].tolist()
        factors += [1.0] if batch.loss_weights is None else batch.loss_weights[0, 3:].tolist()
    assert sum(seen) / len(seen) == pytest.approx(mean, abs=0.05)
    assert least - 1e-6 <= min(seen) and max(seen) <= most + 1e-6
    assert sum(factors) / len(factors) == pytest.approx(1.0, abs=0.05)  # half of t / t + (1 - t) / (1 - t)


@pytest.mark.parametrize("name", ALL)
def test_views_are_a_function_of_seed_and_row_and_touch_no_global_generator(name):
    state = torch.get_rng_state()
    row = row_of(8)
    one, again, other = (batch_of(row, name, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    same = [torch.equal(a.input_ids, b.input_ids) for a, b in zip(one.views, again.views, strict=True)]
    assert all(same)
    if name in ("coupled", "elbo", "sandwich"):
        assert any(not torch.equal(a.input_ids, b.input_ids) for a, b in zip(one.views, other.views, strict=True))


@pytest.mark.parametrize("name", ALL)
def test_what_follows_the_end_is_not_scored_and_changes_nothing(name):
    model, spec = tiny_diffusion()
    row = row_of(length=5, tail=3)
    changed = replace(row, ids=(*row.ids[:-3], 77, 78, 79))
    scores = [token_logprobs(model, batch_of(one, name, spec=spec)).values for one in (row, changed)]
    assert torch.equal(*scores) and not scores[0][:, -3:].any()


def ask(seed, text="ab", max_tokens=6, temperature=1.0):
    ids = tuple(tiny_tokenizer().encode(text))
    return Request(prompt_ids=ids, params=SamplingParams(max_tokens=max_tokens, temperature=temperature), seed=seed)


def sampled_rows(model, denoise, requests):
    """Rows of rollouts as an agent would record them."""
    engine = DenoiseEngine(model, tiny_tokenizer(), params=denoise, device="cpu", end_ids=tuple(range(60)))
    found = []
    for request, completion in zip(requests, generate(engine, requests), strict=True):
        turn = Turn(
            prompt_ids=request.prompt_ids,
            completion_ids=completion.ids,
            sampler_logprobs=completion.sampler_logprobs,
            temperature=request.params.temperature,
            step_map=completion.step_map,
            tail=completion.tail,
        )
        found += rows(type("R", (), {"turns": (turn,)}))
    return found


@pytest.mark.parametrize(
    ("name", "denoise"),
    [
        ("left_to_right", DenoiseParams(order="left_to_right")),
        ("random_order", DenoiseParams(order="random")),
        ("trace", DenoiseParams(order="entropy")),
        ("trace", DenoiseParams(order="margin", steps=3)),
        ("trace", DenoiseParams(order="confidence", schedule="threshold", threshold=0.3)),
    ],
)
@pytest.mark.parametrize(
    ("attention", "block_length", "shift"),
    [("full", 0, True), ("full", 0, False), ("block", 4, True), ("prefix", 0, True), ("prefix", 0, False)],
)
def test_exact_scores_are_the_log_probs_at_reveal(name, denoise, attention, block_length, shift):
    """Many ids count as ends, so that some completions stop short and leave places behind them."""
    model, spec = tiny_diffusion(attention, shift=shift, block_length=block_length)
    parts = sampled_rows(model, denoise, [ask(seed, temperature=0.8, max_tokens=7) for seed in range(12)])
    numbers = list(range(len(parts)))
    scoring = ScoringConfig(estimator=name, samples=1)
    kind = score_kind(name, scoring, denoise)
    batch = drawn_batch(parts, numbers, numbers, [1.0] * len(parts), spec=spec, scoring=scoring, kind=kind, seed=0)
    assert kind == "exact"
    scores = token_logprobs(model, batch, token_budget=64)
    assert float((scores.values - batch.sampler_logprobs)[batch.mask].abs().max()) < 1e-5
    assert not scores.values[~batch.mask].any()
    assert any(row.tail_length for row in parts)
    if denoise.order == "random":
        assert any(row.tail_length and max(row.step_map[-row.tail_length :]) >= 0 for row in parts)


def test_tokens_in_several_packs_add_up():
    model, spec = tiny_diffusion()
    batch = batch_of(row_of(6), "elbo", spec=spec)
    packs = pack_batch(model, batch, token_budget=1)
    assert len(packs) == len([view for view in batch.views if view.scored.any()])
    total = sum(score_pack(model, pack, batch).values for pack in packs)
    assert torch.allclose(total, token_logprobs(model, batch, token_budget=10_000).values, atol=1e-6)
    entropy = sum(score_pack(model, pack, batch).entropy for pack in packs)
    assert float(entropy.max()) <= math.log(MASK)


def test_turns_on_a_canvas_are_rows_of_their_own():
    def turn(prompt, ids, tail=()):
        found = Tail(tail, (-1,) * len(tail), (0.0,) * len(tail))
        return Turn(
            prompt_ids=prompt,
            completion_ids=ids,
            sampler_logprobs=(-1.0,) * len(ids),
            step_map=tuple(range(len(ids))),
            tail=found,
        )

    first, second = rows(type("R", (), {"turns": (turn((1, 2), (3, 4), (9, 9)), turn((1, 2, 3, 4, 5), (6,)))}))
    assert first.ids == (1, 2, 3, 4, 9, 9) and first.mask == (False, False, True, True, False, False)
    assert first.step_map == (-1, -1, 0, 1, -1, -1) and first.tail_length == 2
    assert second.ids == (1, 2, 3, 4, 5, 6) and second.prompt_length == 5 and second.tail_length == 0


# ------------------------------------------------------------------------------------------- what goes together


def config_of(estimator=None, denoise=None, **settings):
    settings.setdefault("diffusion", ScoringConfig(estimator=estimator))
    return RLConfig(denoise=denoise or DenoiseParams(), **settings)


MERGED = {
    name: config_of(denoise=DenoiseParams(order="random"), diffusion=ScoringConfig(estimator=name, shrink=2))
    for name in ("trace", "random_order")
}


@pytest.mark.parametrize(
    ("algorithm", "config", "says"),
    [
        (GRPO, config_of("elbo"), "no ratio for each token"),
        (ESPO, config_of(kl_coef=0.1), "KL terms by token need exact"),
        (ESPO, config_of(importance="truncate"), "corrections need exact"),
        (GRPO, config_of("coupled", kl_coef=0.1), "KL terms by token need exact"),
        (DPPO, config_of("mean_field"), "ratio to the sampler's own"),
        (SPG, config_of("elbo"), "belong together"),
        (RLOO, config_of("sandwich"), "belong together"),
        (GRPO, config_of("random_order"), "in random order"),
        (GRPO, config_of("trace", DenoiseParams(remask_rounds=1)), "set it to 0"),
        (GRPO, config_of(sampling=SamplingConfig(top_p=0.9)), "temperature alone"),
        *(
            (GRPO, replace(MERGED[name], **change), says)
            for name in ("trace", "random_order")
            for change, says in (
                ({"kl_coef": 0.1}, "KL terms by token need exact"),
                ({"importance": "truncate"}, "corrections need exact"),
            )
        ),
        (GRPO, config_of("left_to_right", kl_coef=0.1), "KL terms by token need exact"),
    ],
)
def test_combinations_that_mean_nothing_are_refused(algorithm, config, says):
    with pytest.raises(ConfigError, match=says):
        chosen_estimator(config, algorithm)


SET = {"samples": 4, "weighting": "normalised", "low": 0.1, "high": 0.9, "prompt_masking": 0.15, "shrink": 2}
READ = {
    "left_to_right": set(),
    "random_order": {"shrink"},
    "trace": {"shrink"},
    "mean_field": {"prompt_masking"},
    "coupled": {"samples", "weighting", "low", "high"},
    "elbo": {"samples"},
    "sandwich": {"samples"},
}


@pytest.mark.parametrize("key", SET)
@pytest.mark.parametrize("name", ALL)
def test_a_setting_that_an_estimator_does_not_read_is_refused_and_changes_nothing(name, key):
    scoring = ScoringConfig(estimator=name, **{key: SET[key]})
    if key in READ[name]:
        assert getattr(filled_scoring(name, scoring), key) == SET[key]
        return
    with pytest.raises(ConfigError, match=f"diffusion.{key}: estimator '{name}' reads .*; leave it unset"):
        filled_scoring(name, scoring)
    plain, other = batch_of(row_of(6), name), batch_of(row_of(6), name, **{key: SET[key]})
    assert all(torch.equal(a.input_ids, b.input_ids) for a, b in zip(plain.views, other.views, strict=True))


def test_weights_outside_the_ratio_take_one_pair_of_masks():
    """A token's weight is of the view that hides it: 1 / (2 t), where the other view of its pair has 1 / (2 - 2 t)."""
    with pytest.raises(ConfigError, match="'outside_ratio' with samples = 2"):
        ScoringConfig(weighting="outside_ratio", samples=2)
    row = row_of(400)
    batch = batch_of(row, "coupled", weighting="outside_ratio", samples=1, seed=1)
    first, second = (batch.loss_weights[0][view.scored].unique() for view in batch.views)
    assert len(first) == len(second) == 1
    share = float(batch.views[0].scored.float().sum()) / 400
    assert float(first) == pytest.approx(1 / (2 * share), rel=0.1)
    assert 1 / (2 * float(first)) + 1 / (2 * float(second)) == pytest.approx(1.0, rel=1e-5)


@pytest.mark.parametrize("name", ALL)
def test_filling_in_twice_is_filling_in_once(name):
    """A run that goes on reads its settings as they were filled in."""
    once = filled_scoring(name, ScoringConfig())
    assert filled_scoring(name, once) == once


def test_the_estimator_is_the_settings_then_the_algorithms_then_the_trace():
    assert chosen_estimator(config_of(), GRPO).estimator == "trace"
    assert chosen_estimator(config_of(), ESPO) == ScoringConfig(estimator="elbo", samples=2)
    assert chosen_estimator(config_of("trace"), ESPO).estimator == "trace"
    for algorithm in (GSPO, RLOO, REINFORCE):
        assert chosen_estimator(config_of("elbo"), algorithm).estimator == "elbo"
    assert not set(DIFFUSION_PRESETS) & set(PRESETS)
    for row in DIFFUSION_PRESETS.values():
        order = {"left_to_right": "left_to_right", "random_order": "random"}.get(row.estimator, "entropy")
        assert chosen_estimator(config_of(denoise=DenoiseParams(order=order)), row).estimator == row.estimator


AT_RANDOM = DenoiseParams(order="random")


@pytest.mark.parametrize(
    ("scoring", "denoise", "says"),
    [
        ({"estimator": "trace"}, DenoiseParams(), None),
        ({"estimator": "trace"}, DenoiseParams(order="confidence"), "proposals that lost"),
        ({"estimator": "trace"}, DenoiseParams(schedule="threshold"), None),
        ({"estimator": "trace"}, DenoiseParams(order="confidence", schedule="threshold"), "proposals that lost"),
        ({"estimator": "trace", "shrink": 2}, DenoiseParams(), "merged steps"),
        ({"estimator": "random_order"}, AT_RANDOM, None),
        ({"estimator": "left_to_right"}, DenoiseParams(order="left_to_right"), None),
        ({"estimator": "left_to_right"}, DenoiseParams(order="left_to_right", steps=4), "from left to right"),
        ({"estimator": "left_to_right"}, DenoiseParams(), "from left to right"),
        ({"estimator": "elbo"}, AT_RANDOM, None),
        ({"estimator": "elbo"}, DenoiseParams(), "in random order, and the sampler has order 'entropy'"),
        ({"estimator": "elbo"}, DenoiseParams(order="confidence"), "in random order"),
        ({"estimator": "elbo"}, DenoiseParams(order="random", steps=4), "denoise.steps = 0"),
        ({"estimator": "elbo"}, DenoiseParams(order="random", block_length=8), "denoise.block_length = 0"),
        ({"estimator": "sandwich"}, AT_RANDOM, None),
        ({"estimator": "sandwich"}, DenoiseParams(schedule="threshold"), "in random order"),
        ({"estimator": "coupled", "weighting": "outside_ratio"}, AT_RANDOM, None),
        ({"estimator": "coupled", "weighting": "outside_ratio"}, DenoiseParams(order="margin"), "in random order"),
        ({"estimator": "coupled"}, AT_RANDOM, "in one step and in random order both"),
        ({"estimator": "mean_field"}, AT_RANDOM, "in one step"),
        ({"estimator": "mean_field"}, DenoiseParams(steps=1), None),
    ],
)
def test_orders_that_make_an_estimator_biased_are_named(scoring, denoise, says):
    found = order_warnings(ScoringConfig(**scoring), denoise)
    assert len(found) == (says is not None)
    assert all(says in warning and "the gradient is biased. " in warning for warning in found)


def test_left_to_right_is_no_likelihood_of_another_order():
    assert score_kind("left_to_right", ScoringConfig(), DenoiseParams()) == "surrogate"


def test_a_row_without_a_step_map_has_no_visited_states():
    row = replace(row_of(), step_map=None)
    with pytest.raises(ValueError, match="no visited states"):
        batch_of(row, "trace")
    assert len(batch_of(row, "left_to_right").views) == len(list(itertools.islice(row.ids, 4)))
