"""The engine of diffusion models: its completions are those of `denoise`, cut where they end."""

import asyncio
from dataclasses import replace

import pytest
import torch
from devices import DEVICES
from tiny import END, MASK, tiny_diffusion, tiny_model, tiny_tokenizer

from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.denoise import canvases, denoise
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.engines.local import LocalEngine
from verigrad.errors import ConfigError, EngineError
from verigrad.models.diffusion import convert


def engine_of(attention="full", block_length=0, params=None, device="cpu", **options):
    model, spec = tiny_diffusion(attention, block_length=block_length)
    return model, spec, DenoiseEngine(model, tiny_tokenizer(), params=params, device=device, **options)


def asked(text, seed=0, **params):
    return Request(prompt_ids=tuple(text.encode()), params=SamplingParams(**{"max_tokens": 8, **params}), seed=seed)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("attention", "block"), [("full", 0), ("block", 4), ("prefix", 0)])
def test_completions_are_what_denoise_writes_behind_the_prompt(attention, block, device):
    model, spec, engine = engine_of(attention, block, end_ids=(), device=device)
    requests = [asked("ab", seed=3), asked("a longer one", seed=4), asked("abc", seed=5, max_tokens=5)]
    for request, completion in zip(requests, generate(engine, requests), strict=True):
        prompt = list(request.prompt_ids)
        room = request.params.max_tokens
        total = -(-(len(prompt) + room) // block) * block if block else len(prompt) + room
        canvas = torch.tensor([prompt + [MASK] * (total - len(prompt))])
        found = denoise(model, canvas, spec, DenoiseParams(), sampling=[request.params], seeds=[request.seed])
        own = slice(len(prompt), len(prompt) + room)
        assert list(completion.ids) == found.ids[0, own].tolist()
        assert list(completion.step_map) == found.step_map[0, own].tolist()
        assert completion.sampler_logprobs == pytest.approx(found.logprobs[0, own].tolist(), abs=1e-4)
        assert completion.stop_reason == "length"
    assert engine.counts["completion_tokens"] == 8 + 8 + 5


def with_likely_ends(attention="full", block_length=0):
    model, _ = tiny_diffusion(attention, block_length=block_length)
    with torch.no_grad():
        model.get_output_embeddings().weight[END] *= 20
    return DenoiseEngine(model, tiny_tokenizer(), params=DenoiseParams(order="left_to_right"), device="cpu")


def test_a_completion_ends_with_its_first_end():
    (completion,) = generate(with_likely_ends(), [asked("ab", max_tokens=30, temperature=0.0)])
    assert completion.ids.index(END) == len(completion.ids) - 1 < 29
    assert completion.stop_reason == "stop" and "<|im_end|>" not in completion.text


def test_stop_texts_cut_it_too():
    _, _, engine = engine_of(end_ids=())
    (whole,) = generate(engine, [asked("ab", max_tokens=12)])
    stop = tiny_tokenizer().decode(whole.ids[4:5])
    (cut,) = generate(engine, [asked("ab", max_tokens=12, stop=(stop,))])
    assert cut.stop_reason == "stop" and stop not in cut.text
    assert cut.ids == whole.ids[: len(cut.ids)] and len(cut.ids) <= 5


def test_stop_ids_of_one_request_end_no_other():
    _, _, engine = engine_of(end_ids=())
    (whole,) = generate(engine, [asked("ab", max_tokens=12)])
    stops = tuple(set(whole.ids))
    cut, free = generate(engine, [asked("ab", max_tokens=12, stop_ids=stops), asked("ab", max_tokens=12)])
    assert cut.ids == whole.ids[:1] and cut.stop_reason == "stop"
    assert free.ids == whole.ids and free.stop_reason == "length"


def test_without_filling_the_canvas_ends_where_the_completion_must():
    """A block model that has never seen filled blocks: the last block is cut short, and sees no more."""
    model, spec = tiny_diffusion("block", block_length=4)
    bare = replace(spec, pad_policy="none")
    convert(model, tiny_tokenizer(), bare)
    engine = DenoiseEngine(model, tiny_tokenizer(), device="cpu", end_ids=())
    (completion,) = generate(engine, [asked("ab", max_tokens=3)])
    ids, real = canvases([[97, 98, MASK, MASK, MASK]], bare)
    found = denoise(model, ids, bare, DenoiseParams(), sampling=[SamplingParams()], seeds=[0], real=real)
    assert list(completion.ids) == found.ids[0, 2:5].tolist()
    (filled,) = generate(
        DenoiseEngine(tiny_diffusion("block", block_length=4)[0], tiny_tokenizer(), device="cpu", end_ids=()),
        [asked("ab", max_tokens=3)],
    )
    assert filled.sampler_logprobs != completion.sampler_logprobs


@pytest.mark.parametrize(
    ("max_length", "length"), [(38, 27), (38, 30), *((40, length) for length in (27, 30, 32, 33, 35))]
)
def test_little_room_for_whole_blocks_is_filled_alike_in_any_batch_and_never_exceeded(length, max_length):
    """Blocks of eight; 38 tokens are four of them."""
    model, _ = tiny_diffusion("block", block_length=8)
    options = {"params": DenoiseParams(steps=8), "max_length": max_length, "end_ids": (), "device": "cpu"}
    request, other = asked("a" * length, seed=5, max_tokens=16), asked("bc", seed=6, max_tokens=16)
    (alone,) = generate(DenoiseEngine(model, tiny_tokenizer(), **options), [request])
    together, _ = generate(DenoiseEngine(model, tiny_tokenizer(), **options), [request, other])
    assert (alone.ids, alone.step_map, alone.tail.step_map) == (
        together.ids,
        together.step_map,
        together.tail.step_map,
    )
    assert len(alone.ids) + len(alone.tail.ids) == min(16 + -(16 + length) % 8, max_length // 8 * 8 - length)


def test_a_prompt_that_fills_the_whole_blocks_there_are_has_no_answer():
    """38 tokens are four blocks of eight, which a prompt of 32 fills."""
    _, _, engine = engine_of("block", 8, max_length=38)
    full, fits = generate(engine, [asked("a" * 32, max_tokens=16), asked("a" * 24, max_tokens=8)])
    assert (full.ids, full.text, full.stop_reason) == ((), "", "context_overflow")
    assert len(fits.ids) > 0


def test_new_weights_are_used_after_the_requests_made_before():
    _, _, engine = engine_of()
    other, _ = tiny_diffusion(seed=1)

    async def play():
        first = asyncio.create_task(engine.sample(asked("ab")))
        await asyncio.sleep(0)
        update = asyncio.create_task(engine.update_weights("base", 7, other.named_parameters()))
        await asyncio.sleep(0)
        second = asyncio.create_task(engine.sample(asked("ab")))
        await update
        return await first, await second

    old, new = asyncio.run(play())
    assert (old.policy_version, new.policy_version) == (0, 7)
    (fresh,) = generate(DenoiseEngine(other, tiny_tokenizer(), device="cpu"), [asked("ab")])
    assert new.ids == fresh.ids != old.ids


def test_a_second_policy_has_weights_of_its_own():
    _, _, engine = engine_of()
    other, _ = tiny_diffusion(seed=1)
    before = generate(engine, [asked("ab")])[0].ids
    asyncio.run(engine.update_weights("reference", 1, other.named_parameters()))
    request = Request(prompt_ids=(97, 98), params=SamplingParams(max_tokens=8), policy="reference")
    base, reference = generate(engine, [asked("ab"), request])
    assert base.ids == before != reference.ids


def test_what_cannot_be_asked_is_refused():
    _, _, engine = engine_of(params=DenoiseParams(steps=9), max_length=20, end_ids=())
    with pytest.raises(ConfigError, match="9 steps for at most 8 masked tokens"):
        generate(engine, [asked("ab")])
    with pytest.raises(ConfigError, match="holds the mask id"):
        generate(engine, [Request(prompt_ids=(97, MASK))])
    with pytest.raises(ConfigError, match="wanted max_tokens >= 1"):
        generate(engine, [asked("ab", max_tokens=10, temperature=-1.0)])
    with pytest.raises(ConfigError, match="prompt_ids are empty"):
        generate(engine, [Request()])
    with pytest.raises(ConfigError, match="max_length is 7; wanted at least a block, of 8"):
        engine_of("block", 8, max_length=7)
    with pytest.raises(EngineError, match="no weights for policy 'other'"):
        generate(engine, [Request(prompt_ids=(97,), policy="other")])
    (short,) = generate(engine, [asked("a" * 15, max_tokens=10)])  # room for five, fewer than there are steps
    assert sorted(short.step_map) == [0, 1, 2, 3, 4] and short.stop_reason == "context_overflow"
    (none,) = generate(engine, [asked("a" * 20, max_tokens=10)])
    assert (none.ids, none.stop_reason) == ((), "context_overflow")
    (least,) = generate(engine, [asked("a" * 19, max_tokens=10)])
    assert (len(least.ids), least.stop_reason) == (1, "context_overflow")
    asyncio.run(engine.close())
    with pytest.raises(EngineError, match="closed"):
        generate(engine, [asked("ab")])


@pytest.mark.parametrize("mask_id", [ord("a"), END, MASK + 1])
def test_a_checkpoint_whose_mask_is_in_use_or_out_of_the_vocabulary_is_refused(mask_id):
    """As someone may have written it into the config.json: a letter, the end, an id there is not."""
    model, _ = tiny_diffusion()
    model.config.verigrad_diffusion.update(mask_id=mask_id, pad_id=0)
    with pytest.raises(ConfigError, match=f"mask_id {mask_id} .* wanted one of {MASK}"):
        DenoiseEngine(model, tiny_tokenizer(), device="cpu")


def test_each_engine_refuses_the_other_kind_of_model():
    causal, tokenizer = tiny_model()
    diffusion, _ = tiny_diffusion()
    with pytest.raises(ConfigError, match="not a masked-diffusion model"):
        DenoiseEngine(causal, tokenizer)
    with pytest.raises(ConfigError, match="use the engine `denoise`"):
        LocalEngine(diffusion, tokenizer)
