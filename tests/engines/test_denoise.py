"""The denoising sampler: what it may touch, in what order, how many at a time, and what it reports of it."""

from dataclasses import replace

import pytest
import torch
from tiny import END, MASK, tiny_diffusion

from verigrad.engines import denoise as sampler
from verigrad.engines.base import SamplingParams
from verigrad.engines.denoise import _ORDER_STREAM, _POSITIONS, _Head, canvases, denoise, doubts, refine
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.order import SCHEDULES
from verigrad.engines.sampler import draw, uniform
from verigrad.errors import ConfigError
from verigrad.models.base import View
from verigrad.models.masked import masked_logprobs

KINDS = [("causal", 0), ("full", 0), ("block", 4), ("prefix", 0)]
ORDERS = ["confidence", "margin", "entropy", "random", "left_to_right"]


def ids_of(text):
    """Ids of a text in which `_` is a masked token."""
    return [MASK if letter == "_" else ord(letter) for letter in text]


PLAIN = DenoiseParams()


def run(model, spec, rows, params=PLAIN, *, temperature=1.0, seeds=None, **options):
    ids, real = canvases(rows, spec, options.get("prompt_lengths"))
    sampling = [SamplingParams(temperature=temperature)] * len(rows)
    return denoise(
        model, ids, spec, params, sampling=sampling, seeds=seeds or range(7, 7 + len(rows)), real=real, **options
    )


@pytest.mark.parametrize(("attention", "block"), KINDS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("shift", [True, False])
def test_context_stays_nothing_is_left_masked_and_the_mask_is_never_written(attention, block, order, shift):
    model, spec = tiny_diffusion(attention, shift=shift, block_length=block)
    with torch.no_grad():  # the mask would be the likeliest token everywhere
        model.get_output_embeddings().weight[MASK] *= 50
    rows = [ids_of("ab__cd____e"), ids_of("a________")]
    ids, real = canvases(rows, spec)
    found = run(model, spec, rows, DenoiseParams(order=order), temperature=3.0)
    masked = (ids == MASK) & real
    assert torch.equal(found.ids[~masked], ids[~masked])
    assert not (found.ids == MASK).any()
    assert torch.equal(found.step_map >= 0, masked)
    assert (found.logprobs[masked] < 0).all() and (found.logprobs[~masked] == 0).all()


@pytest.mark.parametrize("order", ORDERS)
def test_one_token_a_step_is_the_default_and_passes_are_counted(order):
    model, spec = tiny_diffusion()
    found = run(model, spec, [ids_of("ab______"), ids_of("ab__")], DenoiseParams(order=order))
    assert sorted(found.step_map[0].tolist()) == [-1, -1, 0, 1, 2, 3, 4, 5]
    assert found.passes.tolist() == [6, 2] and found.forwards == 6


def test_the_exact_schedule_reveals_all_in_just_so_many_steps():
    """Seven tokens in three steps: 2, 2, 3; a row with fewer tokens than steps takes one a step."""
    model, spec = tiny_diffusion()
    found = run(model, spec, [ids_of("a" + "_" * 7), ids_of("ab__")], DenoiseParams(steps=3))
    assert found.step_map[0, 1:].bincount().tolist() == [2, 2, 3]
    assert found.step_map[1, 2:4].bincount().tolist() == [1, 1]
    assert found.forwards == 3


@pytest.mark.parametrize("steps", [1, 4, 8, 9, 12, 20, 31, 32])
@pytest.mark.parametrize(
    ("own", "asked", "prompt", "sizes"),
    [
        (4, 0, 4, [4] * 8),
        (4, 0, 6, [2, *[4] * 7, 2]),  # the prompt's block is filled up first
        (0, 4, 6, [4] * 8),
        (0, 5, 6, [*[5] * 6, 2]),
        (0, 0, 6, [32]),
    ],
)
def test_all_windows_together_take_the_steps_asked_for_and_each_at_least_one(own, asked, prompt, sizes, steps):
    model, spec = tiny_diffusion("block" if own else "full", block_length=own)
    params = DenoiseParams(order="left_to_right", steps=steps, block_length=asked)
    found = run(model, spec, [ids_of("a" * prompt + "_" * 32)], params)
    assert found.passes.tolist() == [max(steps, len(sizes))]
    passes = [len(set(part.tolist())) for part in found.step_map[0, prompt : prompt + 32].split(sizes)]
    assert sum(passes) == found.passes[0]
    for size in set(sizes):  # those of one size have the same share, up to rounding
        alike = [own for own, count in zip(passes, sizes, strict=True) if count == size]
        assert max(alike) - min(alike) <= 1


def test_what_is_masked_again_is_filled_with_as_many_tokens_a_pass():
    """Windows of four in two passes each; two of the four again, in one pass."""
    model, spec = tiny_diffusion()
    params = DenoiseParams(steps=4, block_length=4, remask_rounds=2, remask_share=0.5)
    assert run(model, spec, [ids_of("a" + "_" * 8)], params).passes.tolist() == [2 * (2 + 1 + 1)]


@pytest.mark.parametrize(
    ("length", "steps", "begins", "ends"), [(64, 64, [0, 1, 1], [1, 1, 2]), (64, 16, [3, 4], [4, 5])]
)
def test_dreams_schedule(length, steps, begins, ends):
    left, counts = length, []
    for step in range(steps):
        counts.append(SCHEDULES["timestep"](step, steps, length, left))
        left -= counts[-1]
    assert left == 0 and counts[: len(begins)] == begins and counts[-len(ends) :] == ends


def test_a_step_that_reveals_nothing_costs_no_pass():
    model, spec = tiny_diffusion()
    found = run(model, spec, [ids_of("a" + "_" * 8)], DenoiseParams(steps=8, schedule="timestep"))
    assert found.step_map[0, 1:].min() == 1 and found.step_map[0, 1:].max() == 7
    assert found.passes.tolist() == [7] and found.forwards == 7


@pytest.mark.parametrize("order", ORDERS)
def test_a_threshold_nothing_reaches_is_one_token_a_step(order):
    model, spec = tiny_diffusion()
    rows = [ids_of("ab______"), ids_of("xy____z")]
    one, other = (
        run(model, spec, rows, params)
        for params in (DenoiseParams(order=order), DenoiseParams(order=order, schedule="threshold", threshold=1.0))
    )
    assert torch.equal(one.ids, other.ids) and torch.equal(one.step_map, other.step_map)


def test_a_threshold_all_reach_is_one_pass():
    model, spec = tiny_diffusion()
    found = run(model, spec, [ids_of("ab______")], DenoiseParams(schedule="threshold", threshold=0.0))
    assert found.forwards == 1 and found.step_map.max() == 0


def test_a_threshold_reveals_what_is_sure_and_no_more():
    model, spec = tiny_diffusion()
    row = ids_of("ab__________")
    sure = first_pass(model, spec, row).max(1).values
    threshold = float(sure.sort().values[-3])
    params = DenoiseParams(schedule="threshold", threshold=threshold - 1e-6)
    found = run(model, spec, [row], params, temperature=0.0)
    assert torch.equal(found.step_map[0, 2:] == 0, sure >= threshold - 1e-6)


@pytest.mark.parametrize("order", ["left_to_right", "random"])
def test_the_first_in_order_waits_where_a_place_of_its_row_is_sure(order):
    """One place of one row reaches the threshold: it is taken alone; of the other row one place, as nothing is sure."""
    model, spec = tiny_diffusion(initializer_range=0.4)
    rows = [ids_of("ab____cd____"), ids_of("xyz___q____")]
    sure, other = (first_pass(model, spec, row).max(1).values for row in rows)
    threshold, surest = float(sure.max()) - 1e-6, [2, 3, 4, 5, 8, 9, 10, 11][int(sure.argmax())]
    assert surest != 2 and other.max() < threshold < 1  # or the test says nothing
    params = DenoiseParams(order=order, schedule="threshold", threshold=threshold)
    found = run(model, spec, rows * 6, params)
    begun = [(steps == 0).nonzero().flatten().tolist() for steps in found.step_map]
    assert begun[::2] == [[surest]] * 6
    assert all(len(own) == 1 for own in begun[1::2])


def first_pass(model, spec, row):
    """(masked, V) distributions of all masked places of a row in its first state, by the scoring path."""
    from verigrad.models.diffusion import hidden_states
    from verigrad.models.visibility import Places

    ids = torch.tensor([row])
    with torch.no_grad():
        states = hidden_states(model, ids, Places.of(torch.ones_like(ids).bool()), spec)[0]
        logits = model.get_output_embeddings()(states)
    logits[:, MASK] = -torch.inf
    places = (ids[0] == MASK).nonzero().flatten() - int(spec.shift)
    return logits[places].softmax(-1)


@pytest.mark.parametrize("order", ["confidence", "margin", "entropy"])
@pytest.mark.parametrize("shift", [True, False])
def test_the_first_revealed_is_the_surest(order, shift):
    model, spec = tiny_diffusion(shift=shift)
    row = ids_of("ab_c____d_")
    p = first_pass(model, spec, row)
    top = p.sort(descending=True).values
    score = {"confidence": top[:, 0], "margin": top[:, 0] - top[:, 1], "entropy": (p * p.clamp(min=1e-30).log()).sum(1)}
    found = run(model, spec, [row], DenoiseParams(order=order), temperature=0.0)
    place = torch.tensor([2, 4, 5, 6, 7, 9])[score[order].argmax()]
    assert found.step_map[0, place] == 0
    assert found.ids[0, place] == p[score[order].argmax()].argmax()


def test_temperature_changes_the_order_only_where_asked():
    model, spec = tiny_diffusion(seed=2, initializer_range=0.5)
    row = ids_of("ab" + "_" * 10)
    p = first_pass(model, spec, row)
    cold, hot = (((p.log() / heat).softmax(-1)) for heat in (1.0, 3.0))
    entropies = [-torch.special.xlogy(q, q).sum(1) for q in (cold, hot)]
    assert entropies[0].argmin() != entropies[1].argmin()  # or the test says nothing
    for flag, wanted in ((False, entropies[0]), (True, entropies[1])):
        params = DenoiseParams(order="entropy", order_uses_temperature=flag)
        found = run(model, spec, [row], params, temperature=3.0)
        assert found.step_map[0, 2:].argmin() == wanted.argmin()


@pytest.mark.parametrize("flag", [False, True])
@pytest.mark.parametrize("together", [False, True])
def test_the_order_never_looks_at_truncated_distributions(flag, together):
    """Alone, a row at temperature 1 is rated by the table it is drawn from; beside others none is."""
    model, spec = tiny_diffusion(seed=2, initializer_range=0.5)
    row = ids_of("ab" + "_" * 10)
    p = first_pass(model, spec, row)
    sampling = [SamplingParams(temperature=heat, top_k=k) for heat, k in ((0.0, 0), (1.0, 0), (1.0, 1), (3.0, 0))]
    params = DenoiseParams(order="entropy", order_uses_temperature=flag)
    batches = [sampling] if together else [[own] for own in sampling]
    for batch in batches:
        ids, real = canvases([row] * len(batch), spec)
        found = denoise(model, ids, spec, params, sampling=batch, seeds=range(len(batch)), real=real)
        for own, steps in zip(batch, found.step_map, strict=True):
            heat = own.temperature if flag and own.temperature else 1.0
            q = (p.log() / heat).softmax(-1)
            wanted = torch.special.xlogy(q, q).sum(1).argmax()
            assert wanted != 0  # where all are equally sure, as after top_k=1, it would be the first
            assert steps[2:].argmin() == wanted


def test_left_to_right_is_left_to_right_and_random_is_not():
    model, spec = tiny_diffusion()
    row = ids_of("a" + "_" * 12)
    assert run(model, spec, [row], DenoiseParams(order="left_to_right")).step_map[0, 1:].tolist() == list(range(12))
    found = run(model, spec, [row] * 5, DenoiseParams(order="random"))
    assert len({tuple(steps) for steps in found.step_map.tolist()}) == 5


@pytest.mark.parametrize("order", ["random", "left_to_right"])
def test_an_order_that_looks_at_no_proposal_makes_only_those_it_takes(order, monkeypatch):
    """Against a loop that proposes everywhere: ten places in four steps, of which 2, 3, 2, 3 are taken."""
    model, spec = tiny_diffusion()
    sizes, propose = [], _Head.propose

    def counted(head, states, *rest):
        sizes.append(len(states))
        return propose(head, states, *rest)

    monkeypatch.setattr(_Head, "propose", counted)
    row = ids_of("a____b______")
    found = run(model, spec, [row], DenoiseParams(order=order, steps=4), seeds=[5])
    assert sizes == [2, 3, 2, 3]
    steps, logprobs = [-1] * len(row), [0.0] * len(row)
    for step, count in enumerate(sizes):
        places = [place for place, token in enumerate(row) if token == MASK]
        index = [step * _POSITIONS + place for place in places]
        logits, seeds = first_pass(model, spec, row).log(), [5] * len(places)
        drawn = draw(logits, [SamplingParams()] * len(places), uniform(seeds, index))
        luck = uniform(seeds, [_ORDER_STREAM + number for number in index]).tolist()
        ranks = [-own for own in luck] if order == "random" else places
        for _, number in sorted(zip(ranks, range(len(places)), strict=True))[:count]:
            place = places[number]
            row[place], steps[place], logprobs[place] = drawn.ids[number], step, drawn.logprobs[number]
    assert found.ids[0].tolist() == row and found.step_map[0].tolist() == steps
    assert found.logprobs[0].tolist() == pytest.approx(logprobs, abs=1e-5)


def test_a_random_order_puts_every_place_first_equally_often():
    model, spec = tiny_diffusion()
    found = run(model, spec, [ids_of("a____")] * 400, DenoiseParams(order="random"), seeds=range(400))
    firsts = (found.step_map[:, 1:] == 0).sum(0)
    assert firsts.sum() == 400 and (firsts - 100).abs().max() < 35  # four standard deviations


def test_windows_are_filled_one_after_the_other():
    model, spec = tiny_diffusion()
    found = run(model, spec, [ids_of("ab" + "_" * 9)], DenoiseParams(order="random", block_length=3))
    steps = found.step_map[0, 2:].view(3, 3)
    assert [sorted(part) for part in steps.tolist()] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]


def test_blocks_of_the_model_count_from_the_first_token():
    """Blocks of four: two masked places end the prompt's block, and are filled first."""
    model, spec = tiny_diffusion("block", block_length=4)
    steps = run(model, spec, [ids_of("ab______")], DenoiseParams(order="random")).step_map[0, 2:].tolist()
    assert sorted(steps[:2]) == [0, 1] and sorted(steps[2:]) == [2, 3, 4, 5]


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("order", ["entropy", "random"])
@pytest.mark.parametrize("remask_rounds", [0, 2])
@pytest.mark.parametrize(("attention", "block"), [("block", 4), ("prefix", 0)])
@pytest.mark.parametrize(
    ("texts", "temperature"),
    [
        (["ab" + "_" * 13, "a longer prompt" + "_" * 9, "ab__cdefgh___i", "ab____c"], 1.0),
        (["abc" + "_" * 9, "xyz" + "_" * 6, "abc" + "_" * 9], 0.0),  # the first block is filled, and two come out alike
    ],
)
def test_the_cache_of_what_is_finished_is_exact(texts, temperature, attention, block, shift, order, remask_rounds):
    model, spec = tiny_diffusion(attention, shift=shift, block_length=block)
    model = model.double()
    params = DenoiseParams(order=order, steps=4, remask_rounds=remask_rounds)
    rows, options = [ids_of(text) for text in texts], {"temperature": temperature, "dtype": torch.float64}
    cached, plain = (run(model, spec, rows, params, use_cache=flag, **options) for flag in (True, False))
    assert torch.equal(cached.ids, plain.ids) and torch.equal(cached.step_map, plain.step_map)
    assert (cached.logprobs - plain.logprobs).abs().max() < 1e-6  # they are kept in float32
    assert torch.equal(cached.passes, plain.passes)


@pytest.mark.parametrize(("attention", "block"), KINDS)
@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("params", [DenoiseParams(order="margin", steps=4), DenoiseParams()])
def test_neither_batch_nor_padding_changes_a_row(attention, block, shift, params):
    model, spec = tiny_diffusion(attention, shift=shift, block_length=block)
    rows = [ids_of("ab" + "_" * 6), ids_of("a much longer prompt" + "_" * 9), ids_of("x_y__z_")]
    together = run(model, spec, rows, params, seeds=[1, 2, 3])
    _, real = canvases(rows, spec)
    for index, row in enumerate(rows):
        alone = run(model, spec, [row], params, seeds=[index + 1])
        mine = real[index]
        assert torch.equal(together.ids[index][mine], alone.ids[0][: len(row)])
        assert torch.equal(together.step_map[index][mine], alone.step_map[0][: len(row)])
        assert torch.allclose(together.logprobs[index][mine], alone.logprobs[0][: len(row)], atol=1e-5)
        assert together.passes[index] == alone.passes[0]


@pytest.mark.parametrize("attention", ["full", "prefix"])
def test_a_row_that_is_filled_is_run_no_more(attention):
    """Tokens through the first layer: the whole row a pass, or both prompts once and the canvas a pass."""
    model, spec = tiny_diffusion(attention)
    rows = [ids_of(prompt + "_" * count + "x" * (9 - count)) for prompt, count in (("ab", 2), ("bb", 9), ("ab", 5))]
    sizes = []
    model.get_input_embeddings().register_forward_hook(lambda module, inputs, out: sizes.append(inputs[0].numel()))
    found = run(model, spec, rows)
    assert found.passes.tolist() == [2, 9, 5]
    prompts, own = (2 * 1, 10) if attention == "prefix" else (0, 11)  # with a shift the prompt's end is the canvas's
    assert sum(sizes) == prompts + own * 16


def test_the_global_generator_is_left_alone():
    model, spec = tiny_diffusion()
    before = torch.get_rng_state()
    run(model, spec, [ids_of("ab____")], DenoiseParams(order="random"))
    assert torch.equal(torch.get_rng_state(), before)


def visited_states(row, found, spec):
    """A view for each step: the row as it stood then, the tokens that the step revealed to be scored."""
    ids, steps = found.ids[0][: len(row)], found.step_map[0][: len(row)]
    for step in range(int(steps.max()) + 1):
        noisy = ids.masked_fill(steps >= step, MASK)
        yield View(0, noisy, steps == step, attention=spec.attention, clean_ids=ids, prompt_length=row.index(MASK))


@pytest.mark.parametrize(("attention", "block"), KINDS)
@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("order", ORDERS)
def test_logprobs_at_reveal_are_those_of_scoring_the_states_visited(attention, block, shift, order):
    model, spec = tiny_diffusion(attention, shift=shift, block_length=block)
    row = ids_of("ab__c" + "_" * 7)
    found = run(model, spec, [row], DenoiseParams(order=order, steps=4), temperature=0.7)
    heat = torch.full((1, len(row)), 0.7)
    views = list(visited_states(row, found, spec))
    scores = masked_logprobs(model, views, spec, (1, len(row)), "exact", temperature=heat)
    assert (scores.values[0] - found.logprobs[0][: len(row)]).abs().max() < 1e-5


def test_tokens_come_from_the_models_distribution():
    """One masked place, many seeds: frequencies against probabilities, chi-squared with 20 cells."""
    model, spec = tiny_diffusion(initializer_range=0.02)
    row = ids_of("ab_d")
    p = first_pass(model, spec, row)[0]
    found = run(model, spec, [row] * 4000, seeds=range(4000))
    cells = (p.cumsum(0) * 20).long().clamp(max=19)
    expected = torch.zeros(20).index_add(0, cells, p) * 4000
    got = torch.zeros(20).index_add(0, cells[found.ids[:, 2]], torch.ones(4000))
    assert ((got - expected) ** 2 / expected).sum() < 50  # p = 0.0001 with 19 degrees of freedom


def test_truncated_drawing_reports_what_it_kept():
    model, spec = tiny_diffusion()
    ids, _ = canvases([ids_of("ab____")], spec)
    sampling = [SamplingParams(top_k=3, kept=True)]
    found = denoise(model, ids, spec, DenoiseParams(), sampling=sampling, seeds=[0])
    assert found.kept.keys() == {(0, column) for column in range(2, 6)}
    for (row, column), kept in found.kept.items():
        assert len(kept) == 3 and int(found.ids[row, column]) in kept and MASK not in kept


@pytest.mark.parametrize(("attention", "block"), KINDS)
def test_behind_an_end_there_is_padding(attention, block):
    model, spec = tiny_diffusion(attention, block_length=block)
    with torch.no_grad():  # the end is the likeliest token everywhere
        model.get_output_embeddings().weight[END] *= 20
    row = ids_of("ab" + "_" * 10)
    ends = frozenset({END})
    whole = run(model, spec, [row], DenoiseParams(order="left_to_right"), temperature=0.0)
    found = run(model, spec, [row], DenoiseParams(order="left_to_right"), temperature=0.0, end_ids=ends)
    assert (whole.ids[0] == END).any()
    end = int((whole.ids[0] == END).nonzero()[0])
    assert torch.equal(found.ids[0, : end + 1], whole.ids[0, : end + 1])
    assert (found.ids[0, end + 1 :] == spec.pad_id).all() and (found.step_map[0, end + 1 :] == -1).all()
    assert found.passes[0] == end - 1 < whole.passes[0]


def test_an_end_behind_masked_places_ends_nothing():
    model, spec = tiny_diffusion()
    found = run(model, spec, [[*ids_of("ab___"), END, *ids_of("__")]], end_ids=frozenset({END}))
    assert (found.step_map[0] >= 0).sum() == 5


def test_remasking_masks_the_least_sure_again():
    model, spec = tiny_diffusion()
    row = ids_of("ab" + "_" * 8)
    once = run(model, spec, [row])
    again = run(model, spec, [row], DenoiseParams(remask_rounds=1, remask_share=0.25))
    doubted = set(once.logprobs[0, 2:].argsort()[:2].tolist())
    assert {place for place in range(8) if again.step_map[0, place + 2] >= 8} == doubted
    kept = [place for place in range(8) if place not in doubted]
    assert torch.equal(once.ids[0, 2:][kept], again.ids[0, 2:][kept])
    assert again.passes.tolist() == [10]


def test_doubts_are_the_log_probabilities_of_masked_groups():
    model, spec = tiny_diffusion()
    ids = torch.tensor([ids_of("abcdefg")])
    editable = torch.tensor([[False, True, True, False, True, True, True]])
    found = doubts(model, ids, editable, spec, groups=2)
    for hidden in ([1, 4, 6], [2, 5]):  # every second editable token
        row = [MASK if place in hidden else int(token) for place, token in enumerate(ids[0])]
        p = first_pass(model, spec, row)
        assert torch.allclose(found[0, hidden], p.gather(1, ids[0, hidden, None])[:, 0].log(), atol=1e-5)
    assert found[0, [0, 3]].tolist() == [0, 0]


@pytest.mark.parametrize(("attention", "block"), [("full", 0), ("block", 4)])
def test_refining_changes_only_what_may_change_and_a_share_of_it_at_a_time(attention, block):
    model, spec = tiny_diffusion(attention, block_length=block)
    ids, real = canvases([ids_of("abcdefghijkl"), ids_of("abcdefg")], spec)
    editable = real.clone()
    editable[:, :3] = False
    sampling = [SamplingParams()] * 2
    rounds = refine(
        model, ids, editable, spec, DenoiseParams(), sampling=sampling, seeds=[0, 1], real=real, rounds=3, share=0.3
    )
    assert len(rounds) == 3
    doubt = doubts(model, ids, editable, spec, real=real)
    before = ids
    for number, found in enumerate(rounds):
        revised = found.step_map >= 0
        assert revised.sum(1).tolist() == [3, 2] and not (revised & ~editable).any()
        assert torch.equal(found.ids[~revised], before[~revised])
        if number == 0:
            assert set(revised[0].nonzero().flatten().tolist()) == set((doubt[0, 3:12].argsort()[:3] + 3).tolist())
        before = found.ids


def test_rounds_of_refining_draw_from_streams_of_their_own(monkeypatch):
    """Also where rows have seeds that follow each other."""
    model, spec = tiny_diffusion()
    ids, _ = canvases([ids_of("abcdef")] * 2, spec)
    editable = torch.arange(6).expand(2, 6) > 1
    drawn, plain = [], sampler.denoise

    def noting(*given, **options):
        drawn.extend(options["seeds"])
        return plain(*given, **options)

    monkeypatch.setattr(sampler, "denoise", noting)
    refine(model, ids, editable, spec, PLAIN, sampling=[SamplingParams()] * 2, seeds=[0, 1], rounds=3)
    assert len(set(drawn)) == 6


def test_what_cannot_be_filled_is_refused():
    model, spec = tiny_diffusion()
    with pytest.raises(ConfigError, match="9 steps for at most 4 masked tokens"):
        run(model, spec, [ids_of("ab____"), ids_of("a_")], DenoiseParams(steps=9))
    with pytest.raises(ValueError, match="the first token of a row is masked"):
        run(model, spec, [ids_of("____")])
    model, spec = tiny_diffusion("block", block_length=4)
    with pytest.raises(ConfigError, match="own blocks have 4 positions"):
        run(model, spec, [ids_of("ab____")], DenoiseParams(block_length=8))
    ragged, real = torch.tensor([ids_of("abcd____"), ids_of("xxab____")]), torch.ones(2, 8, dtype=torch.bool)
    real[1, :2] = False
    with pytest.raises(ValueError, match="do not begin in the same columns"):
        denoise(model, ragged, spec, DenoiseParams(), sampling=[SamplingParams()] * 2, seeds=[0, 1], real=real)
    model, spec = tiny_diffusion("prefix")
    ragged = torch.tensor([ids_of("abcd____"), ids_of("ab______")])
    with pytest.raises(ValueError, match="canvases do not begin in the same column"):
        denoise(model, ragged, spec, DenoiseParams(), sampling=[SamplingParams()] * 2, seeds=[0, 1])
    with pytest.raises(ValueError, match="a place of a prompt is masked"):
        run(model, spec, [ids_of("ab_c____")], prompt_lengths=[4])


def test_a_gap_is_filled_as_training_saw_it():
    """Before a gap stands a part of the answer, which sees what is behind the gap; the prompt does not."""
    model, spec = tiny_diffusion("prefix")
    row, prompt = ids_of("what:pre____post"), 5
    found = run(model, spec, [row], DenoiseParams(order="left_to_right"), prompt_lengths=[prompt])
    views = [replace(view, prompt_length=prompt) for view in visited_states(row, found, spec)]
    scores = masked_logprobs(model, views, spec, (1, len(row)), "exact")
    assert (scores.values[0] - found.logprobs[0]).abs().max() < 1e-5
    other = run(model, spec, [row], DenoiseParams(order="left_to_right"))  # all before the gap taken for the prompt
    assert not torch.allclose(found.logprobs, other.logprobs, atol=1e-4)


def test_where_nothing_is_masked_nothing_is_done():
    model, spec = tiny_diffusion()
    found = run(model, spec, [ids_of("abc"), ids_of("de")])
    assert found.forwards == 0 and found.passes.tolist() == [0, 0] and (found.step_map == -1).all()


def test_without_shift_the_first_token_can_be_filled():
    model, spec = tiny_diffusion(shift=False)
    assert (run(model, spec, [ids_of("____")]).step_map >= 0).all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"order": "best"}, "wanted one of: confidence, margin"),
        ({"schedule": "cosine"}, "wanted one of: exact, timestep, threshold"),
        ({"steps": -1}, "wanted 0 or more"),
        ({"schedule": "threshold", "steps": 4}, "probabilities decide"),
        ({"remask_share": 0.0}, "wanted above 0"),
        ({"threshold": 0.7}, "threshold is 0.7, but schedule `exact` does not look at it; set schedule"),
        ({"schedule": "timestep", "threshold": 0.0}, "schedule `timestep` does not look at it"),
        ({"schedule": "threshold", "threshold": 90.0}, "wanted a probability, 0 to 1"),
        ({"schedule": "threshold", "threshold": -0.1}, "wanted a probability, 0 to 1"),
    ],
)
def test_bad_parameters_are_refused(change, says):
    with pytest.raises(ConfigError, match=says):
        replace(DenoiseParams(), **change)
