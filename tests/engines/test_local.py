"""The local engine against Hugging Face's own decoding, and what it promises about order, stops, weights and errors."""

import asyncio
import threading
import time
from typing import ClassVar

import pytest
import torch
from devices import DEVICES
from tiny import END, FAMILIES, tiny_model, tiny_tokenizer

from verigrad.agents.single_turn import completion_turn
from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.lane import Lane
from verigrad.engines.local import LocalEngine
from verigrad.errors import ConfigError, EngineError
from verigrad.models.scoring import token_logprobs
from verigrad.training.batching import make_batch
from verigrad.types import Rollout, Score


def make_engine(family="llama", *, seed=0, device="cpu", **settings):
    model, tokenizer = tiny_model(family, seed=seed)
    return LocalEngine(model, tokenizer, device=device, **settings)


def request(prompt, seed=0, policy="base", **params):
    ids = tuple(prompt.encode()) if isinstance(prompt, str) else tuple(prompt)
    return Request(prompt_ids=ids, params=SamplingParams(**params), seed=seed, policy=policy)


def naive_greedy(model, prompt, count):
    """The whole sequence through the model for every token; stops at the end id."""
    ids = list(prompt)
    for _ in range(count):
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids])).logits[0, -1].argmax()))
        if ids[-1] == END:
            break
    return tuple(ids[len(prompt) :])


def model_logprobs(model, prompt, completion, temperature):
    ids = torch.tensor([[*prompt, *completion]])
    with torch.inference_mode():
        logits = model(ids).logits[0, len(prompt) - 1 : -1]
    return (logits / temperature).log_softmax(-1).gather(1, torch.tensor(completion)[:, None])[:, 0]


PROMPTS = ["def add(a, b):", "x", "héllo wörld", "for i in range(10):\n    print(i)\n", "def add(a, b):"]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
def test_batched_equals_one_by_one_equals_naive_greedy(family, device):
    model, _ = tiny_model(family)
    engine = make_engine(family, device=device)
    requests = [request(prompt, temperature=0, max_tokens=10 + 7 * i) for i, prompt in enumerate(PROMPTS)]
    together = generate(engine, requests)
    for single, completion in zip(requests, together, strict=True):
        assert completion.ids == naive_greedy(model, single.prompt_ids, single.params.max_tokens)
        expected = model_logprobs(model, single.prompt_ids, completion.ids, 1.0)
        torch.testing.assert_close(torch.tensor(completion.sampler_logprobs), expected, rtol=0, atol=1e-4)
        assert generate(engine, [single])[0].ids == completion.ids


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("temperature", [1.0, 0.6])
def test_sampler_logprobs_equal_the_models(family, temperature, device):
    model, _ = tiny_model(family)
    engine = make_engine(family, device=device)
    requests = [request(prompt, seed, temperature=temperature, max_tokens=20) for seed, prompt in enumerate(PROMPTS)]
    for single, completion in zip(requests, generate(engine, requests), strict=True):
        expected = model_logprobs(model, single.prompt_ids, completion.ids, temperature)
        torch.testing.assert_close(torch.tensor(completion.sampler_logprobs), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "params",
    [{}, {"temperature": 0.6}, {"temperature": 0.8, "top_k": 20, "top_p": 0.9, "kept": True}],
    ids=["plain", "cold", "truncated"],
)
def test_sampler_logprobs_are_those_the_trainer_gives_the_same_tokens(family, params, device):
    """Through the types between them, turn, rollout and batch, however the trainer packs them and shares prompts."""
    model, _ = tiny_model(family)
    model.to(device)
    requests = [request(PROMPTS[i % 5], seed=i, max_tokens=3 + 2 * i, **params) for i in range(12)]
    rollouts = [
        finished(single, completion)
        for single, completion in zip(requests, generate(make_engine(family, device=device), requests), strict=True)
    ]
    batch = make_batch([rollouts[number::5] for number in range(5)])
    assert batch.num_rows == 12 and bool(batch.kept) == ("kept" in params)
    for budget, share in ((4096, True), (4096, False), (48, True)):
        scores = token_logprobs(model, batch, token_budget=budget, share_prompts=share)
        assert scores.kind == "exact"
        torch.testing.assert_close(scores.values, batch.sampler_logprobs, rtol=0, atol=1e-4)


def finished(single, completion):
    turn = completion_turn(single.prompt_ids, completion, single.params)
    return Rollout(task_id="t", episode_id="e", group_id="g", turns=(turn,), status="finished", score=Score(1.0))


@pytest.mark.parametrize("device", DEVICES)
def test_a_seed_decides_whatever_the_company_and_the_order(device):
    requests = [request(PROMPTS[i % 5], seed=i, max_tokens=5 + 3 * i) for i in range(12)]
    wide = generate(make_engine(device=device), requests)
    assert len({completion.ids for completion in wide}) == 12
    backwards = generate(make_engine(device=device), requests[::-1])[::-1]
    narrow = generate(make_engine(device=device, max_slots=3), requests)
    alone = [generate(make_engine(device=device), [single])[0] for single in requests[::5]]
    for other in (backwards, narrow):
        assert [completion.ids for completion in other] == [completion.ids for completion in wide]
    assert [completion.ids for completion in alone] == [completion.ids for completion in wide[::5]]


def test_a_run_repeats_bit_for_bit():
    requests = [request(PROMPTS[i % 5], seed=i, max_tokens=5 + i) for i in range(20)]
    first, second = make_engine(max_slots=6), make_engine(max_slots=6)
    assert generate(first, requests) == generate(second, requests)
    assert first.counts == second.counts  # the same steps, each with the same batch


def test_requests_that_come_later_join_the_running_batch():
    engine = make_engine(end_ids=())
    long, short = request("a", 1, max_tokens=200), request("b", 2, max_tokens=3)

    async def stagger():
        running = asyncio.create_task(engine.sample(long))
        answers = [await engine.sample(short) for _ in range(5)]
        assert not running.done()
        return [await running, *answers]

    staggered = asyncio.run(stagger())
    assert staggered == generate(make_engine(end_ids=()), [long, short, short, short, short, short])


# ------------------------------------------------------------------------------------------- prompts


@pytest.mark.parametrize("max_slots", [64, 3, 1])
def test_equal_prompts_are_computed_once(max_slots):
    """Prompts of 7 and 4 ids; all but the last id is computed ahead, and the last is each completion's first step."""
    engine = make_engine(max_slots=max_slots, end_ids=())
    group = [request("seven!!", seed, max_tokens=5 + seed) for seed in range(6)]
    other = [request("four", seed, max_tokens=4) for seed in range(4)]
    completions = generate(engine, group + other)
    assert engine.counts["prefilled_tokens"] == 6 + 3
    assert engine.counts["completion_tokens"] == sum(5 + seed for seed in range(6)) + 4 * 4
    model, _ = tiny_model("llama")
    for single, completion in zip(group + other, completions, strict=True):
        expected = model_logprobs(model, single.prompt_ids, completion.ids, 1.0)
        torch.testing.assert_close(torch.tensor(completion.sampler_logprobs), expected, rtol=0, atol=1e-4)


def test_long_prompts_are_computed_in_several_passes():
    model, _ = tiny_model("llama")
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(256, (length,), generator=generator).tolist() for length in (400, 300, 450, 2, 380)]
    completions = generate(make_engine(), [request(prompt, temperature=0, max_tokens=4) for prompt in prompts])
    for prompt, completion in zip(prompts, completions, strict=True):
        assert completion.ids == naive_greedy(model, prompt, 4)


# --------------------------------------------------------------------------------------------- stops


def test_end_ids_and_stop_ids():
    free = generate(make_engine(end_ids=()), [request("abc", 5, max_tokens=60)])[0]
    assert free.stop_reason == "length" and len(free.ids) == 60
    middle = free.ids[30]
    first = free.ids.index(middle)
    (by_request,) = generate(make_engine(end_ids=()), [request("abc", 5, max_tokens=60, stop_ids=(middle,))])
    (by_engine,) = generate(make_engine(end_ids=(middle,)), [request("abc", 5, max_tokens=60)])
    for stopped in (by_request, by_engine):
        assert stopped.stop_reason == "stop"
        assert stopped.ids == free.ids[: first + 1]
        assert stopped.sampler_logprobs == free.sampler_logprobs[: first + 1]
        assert stopped.text == tiny_tokenizer().decode(free.ids[:first], skip_special_tokens=True)


def test_the_tokenizers_end_id_ends_a_completion():
    completions = generate(make_engine(), [request("abc", seed, max_tokens=300) for seed in range(20)])
    ended = [completion for completion in completions if completion.stop_reason == "stop"]
    assert ended and all(completion.ids.index(END) == len(completion.ids) - 1 for completion in ended)
    assert all("<|im_end|>" not in completion.text for completion in completions)


def forced(text):
    """An engine that writes `text`, byte by byte: a model whose embedding of a position's byte names the next one.

    Next-byte prediction from the last byte alone needs each byte of `text` to be followed by one thing only.
    """
    model, tokenizer = tiny_model("llama", tie_word_embeddings=False, hidden_size=264)
    successor = dict(zip(text.encode(), text.encode()[1:], strict=False))
    assert len(successor) == len(text.encode()) - 1
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" in name:
                parameter.zero_()
        model.model.embed_tokens.weight.copy_(torch.eye(264)[:259])
        model.model.norm.weight.fill_(1.0)
        model.lm_head.weight.zero_()
        for byte, following in successor.items():
            model.lm_head.weight[following, byte] = 10.0
    return LocalEngine(model, tokenizer)


@pytest.mark.parametrize("stop", ["cd", "d", "bcd", "é", "xé"])
def test_stop_texts_end_the_text_but_keep_their_ids(stop):
    """`é` is two ids, of which the second completes the stop text."""
    written = "abcdxéyz"
    completions = generate(forced(">" + written), [request(">", temperature=0, max_tokens=9, stop=("#", stop))])
    end = written.index(stop)
    assert completions[0].text == written[:end]
    assert bytes(completions[0].ids) == written[: end + len(stop)].encode()
    assert completions[0].stop_reason == "stop"


def test_a_character_cut_in_half_is_no_stop_text():
    (completion,) = generate(forced(">aéb"), [request(">", temperature=0, max_tokens=4, stop=("�",))])
    assert (completion.text, completion.stop_reason) == ("aéb", "length")


def test_context_overflow():
    engine = make_engine(max_length=16, end_ids=())
    full, tight, fits, over = generate(
        engine,
        [
            request("0123456789abcdef", max_tokens=1),
            request("0123456789", max_tokens=7),
            request("0123456789", max_tokens=6),
            request("0123456789abcdefghi", max_tokens=1),
        ],
    )
    for nothing in (full, over):
        assert (nothing.ids, nothing.text, nothing.stop_reason) == ((), "", "context_overflow")
    assert (len(tight.ids), tight.stop_reason) == (6, "context_overflow")
    assert (len(fits.ids), fits.stop_reason) == (6, "length")
    assert tight.ids == fits.ids


def test_no_length_is_the_models_own_and_takes_no_memory_ahead():
    model, tokenizer = tiny_model("llama", max_position_embeddings=8192)
    engine = LocalEngine(model, tokenizer, device="cpu", end_ids=())
    short, long = request("abc", 1, max_tokens=4), request("x" * 2100, 1, max_tokens=4, temperature=0)
    generate(engine, [short])
    lane = engine._lanes["base"]
    assert lane._cache.length == 32 and len(engine._rotations.upto(0)) == 2048
    (completion,) = generate(engine, [long])
    assert (len(completion.ids), completion.stop_reason) == (4, "length")
    assert completion.ids == naive_greedy(model, long.prompt_ids, 4)


def test_what_does_not_fit_is_of_the_weights_there_are():
    engine = make_engine(max_length=16)
    asyncio.run(engine.update_weights("base", 5, tiny_model()[0].state_dict().items()))
    assert generate(engine, [request("0123456789abcdef")])[0].policy_version == 5


def test_kept_sets_explain_the_logprobs():
    model, _ = tiny_model("llama")
    params = {"temperature": 0.8, "top_k": 5, "top_p": 0.9, "kept": True, "max_tokens": 12}
    single = request("def f():", 3, **params)
    plain = request("def f():", 4, max_tokens=12, kept=True)
    completion, unrestricted = generate(make_engine(), [single, plain])
    assert unrestricted.kept is None
    ids = torch.tensor([[*single.prompt_ids, *completion.ids]])
    with torch.inference_mode():
        logits = model(ids).logits[0, len(single.prompt_ids) - 1 : -1] / 0.8
    for row, token, allowed, logprob in zip(
        logits, completion.ids, completion.kept, completion.sampler_logprobs, strict=True
    ):
        assert token in allowed and list(allowed) == sorted(allowed) and 1 <= len(allowed) <= 5
        assert set(allowed) == set(row.topk(len(allowed)).indices.tolist())
        assert logprob == pytest.approx(float(row[token] - row[list(allowed)].logsumexp(0)), abs=1e-4)


# ------------------------------------------------------------------------------------------- weights


@pytest.mark.parametrize("device", DEVICES)
def test_new_weights_come_after_what_was_asked_before(device):
    """Before, update and after are asked at once: the first half runs on the old weights, the second on the new."""
    old, tokenizer = tiny_model("llama")
    new, _ = tiny_model("llama", seed=1)
    engine = LocalEngine(old, tokenizer, device=device, max_slots=2)
    requests = [request(prompt, seed, max_tokens=15) for seed, prompt in enumerate(PROMPTS)]

    async def play():
        before = [asyncio.create_task(engine.sample(single)) for single in requests]
        update = asyncio.create_task(engine.update_weights("base", 7, new.state_dict().items()))
        after = [asyncio.create_task(engine.sample(single)) for single in requests]
        await update
        return await asyncio.gather(*before), await asyncio.gather(*after)

    before, after = asyncio.run(play())
    fresh = generate(LocalEngine(new, tokenizer, device=device), requests)
    assert [c.ids for c in before] == [c.ids for c in generate(make_engine(device=device), requests)]
    assert [c.ids for c in after] == [c.ids for c in fresh]
    assert {c.policy_version for c in before} == {0} and {c.policy_version for c in after} == {7}


def test_a_failed_update_changes_nothing():
    engine = make_engine()
    single = request("abc", 1, max_tokens=10)
    before = generate(engine, [single])

    def broken():
        yield "model.norm.weight", torch.zeros(48)
        raise OSError("disk gone")

    with pytest.raises(EngineError, match="not updated: OSError: disk gone"):
        asyncio.run(engine.update_weights("base", 1, broken()))
    assert generate(engine, [single]) == before


def test_broken_weights_are_an_error_and_leave_nothing_behind():
    """A policy that diverged samples nothing, not even for others; the next weights sample as in a fresh engine."""
    model, tokenizer = tiny_model("llama")
    good = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    broken = {name: torch.full_like(tensor, torch.nan) for name, tensor in good.items()}
    engine = LocalEngine(model, tokenizer, device="cpu", end_ids=())
    single = request("def add(a, b):", 3, max_tokens=12)
    asyncio.run(engine.update_weights("rival", 1, broken.items()))
    asyncio.run(engine.update_weights("base", 1, broken.items()))
    with pytest.raises(EngineError, match="logits are not finite"):
        generate(engine, [request("def add(a, b):", seed, max_tokens=40) for seed in range(4)])
    asyncio.run(engine.update_weights("base", 2, good.items()))
    (fresh,) = generate(make_engine(end_ids=()), [single])
    (again,) = generate(engine, [single])
    assert (again.ids, again.sampler_logprobs) == (fresh.ids, fresh.sampler_logprobs)

    async def both():
        rival = asyncio.create_task(engine.sample(request("x", 1, "rival", max_tokens=12)))
        return await asyncio.gather(engine.sample(single), rival, return_exceptions=True)

    ours, theirs = asyncio.run(both())
    assert ours.ids == fresh.ids and isinstance(theirs, EngineError)


def test_an_update_forgets_what_the_old_weights_cached():
    """NaN, say, of broken weights whose requests were given up before anything was drawn."""
    model, tokenizer = tiny_model("llama")
    good = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    engine = LocalEngine(model, tokenizer, device="cpu", end_ids=())
    single = request("abc", 3, max_tokens=5)

    async def play():
        await engine.sample(request("x" * 50, max_tokens=40))
        with torch.inference_mode():
            for layer in engine._lanes["base"]._cache.layers:
                layer.fill_(torch.nan)
        await engine.update_weights("base", 2, good.items())
        return await engine.sample(single)

    assert asyncio.run(play()).ids == generate(make_engine(end_ids=()), [single])[0].ids


def test_policies_have_their_own_weights():
    model, tokenizer = tiny_model("qwen2")
    other, _ = tiny_model("qwen2", seed=1)
    engine = LocalEngine(model, tokenizer)
    with pytest.raises(EngineError, match="no weights for policy 'rival'; ready: base"):
        generate(engine, [request("a", policy="rival")])
    asyncio.run(engine.update_weights("rival", 3, other.state_dict().items()))
    requests = [request("abc", i, policy, max_tokens=12) for i in range(3) for policy in ("base", "rival")]
    completions = generate(engine, requests)
    base = generate(LocalEngine(model, tokenizer), [request("abc", i, max_tokens=12) for i in range(3)])
    rival = generate(LocalEngine(other, tokenizer), [request("abc", i, max_tokens=12) for i in range(3)])
    assert [c.ids for c in completions[::2]] == [c.ids for c in base]
    assert [c.ids for c in completions[1::2]] == [c.ids for c in rival]
    assert [c.policy_version for c in completions] == [0, 3] * 3


def test_a_policy_whose_first_weights_failed_cannot_be_sampled():
    engine = make_engine()
    with pytest.raises(EngineError, match="no tensor 'x'"):
        asyncio.run(engine.update_weights("rival", 1, [("x", torch.zeros(1))]))
    with pytest.raises(EngineError, match="no weights for policy 'rival'"):
        generate(engine, [request("a", policy="rival")])


class Blocking(list):
    """A list to which one thread is still adding something when another one takes what is there."""

    def __init__(self):
        self.adding, self.goes_on = threading.Event(), threading.Event()

    def append(self, item):
        if not self.adding.is_set():
            self.adding.set()
            self.goes_on.wait(0.3)
        super().append(item)


def test_requests_of_several_threads_are_all_answered():
    engine, arriving = make_engine(end_ids=()), Blocking()
    engine._arriving = arriving
    requests = [request("abc", seed, max_tokens=4) for seed in range(2)]
    found = {}

    async def play(number):
        async with asyncio.timeout(10):
            found[number] = await engine.sample(requests[number])

    slow = threading.Thread(target=asyncio.run, args=[play(0)], daemon=True)
    slow.start()
    arriving.adding.wait()
    asyncio.run(play(1))
    arriving.goes_on.set()
    slow.join()
    assert [found.get(number) for number in range(2)] == generate(make_engine(end_ids=()), requests)


def test_a_policy_may_come_while_the_worker_looks_for_more_to_do(monkeypatch):
    """It looks through the policies there are, and ends where none of them has anything left."""
    engine, other = make_engine(end_ids=()), tiny_model(seed=1)[0]
    looking, plain = threading.Event(), Lane.idle.fget

    def idle(lane):
        found = plain(lane)
        if found and not looking.is_set():
            looking.set()
            time.sleep(0.3)
        return found

    monkeypatch.setattr(Lane, "idle", property(idle))

    async def play():
        async with asyncio.timeout(10):
            await engine.sample(request("abc", max_tokens=1))
            await asyncio.to_thread(looking.wait)
            await engine.update_weights("rival", 1, other.state_dict().items())
            return await engine.sample(request("abc", policy="rival", max_tokens=4))

    rival = LocalEngine(other, tiny_tokenizer(), end_ids=())
    assert asyncio.run(play()).ids == generate(rival, [request("abc", max_tokens=4)])[0].ids


# ------------------------------------------------------------------------------------ errors and ends


class ShortSighted:
    """A tokenizer that breaks on more than twenty ids."""

    eos_token_id = END
    all_special_ids = ()
    added_tokens_decoder: ClassVar[dict] = {}

    def decode(self, ids, **_):
        if len(ids) > 20:
            raise OverflowError("too much to read")
        return bytes(ids).decode(errors="replace")


def test_an_error_in_the_worker_reaches_all_and_the_engine_lives_on():
    engine = LocalEngine(tiny_model()[0], ShortSighted(), end_ids=())
    requests = [request("abc", 1, max_tokens=50, stop_ids=(256, 257, 258)), request("abc", 2, max_tokens=21)]

    async def play():
        return await asyncio.gather(*(engine.sample(single) for single in requests), return_exceptions=True)

    errors = asyncio.run(play())
    words = "generation failed: OverflowError: too much to read"
    assert [(type(error), str(error)) for error in errors] == [(EngineError, words)] * 2
    short = [request("abc", seed, max_tokens=8) for seed in range(4)]
    plain = generate(make_engine(end_ids=()), short)
    assert [completion.ids for completion in generate(engine, short)] == [completion.ids for completion in plain]


def test_a_cache_that_could_not_grow_does_no_harm_to_what_comes_after(monkeypatch):
    """Memory runs out at the second of two layers, when the first is already as long as the new prompt wants."""
    engine, short = make_engine(end_ids=()), request("abc", 1, max_tokens=4)
    (expected,) = generate(engine, [short])
    plain, asked = torch.Tensor.new_zeros, []

    def new_zeros(self, *shape, **settings):
        if len(shape) == 5:
            asked.append(shape)
            if len(asked) == 2:
                raise torch.OutOfMemoryError("no memory left")
        return plain(self, *shape, **settings)

    monkeypatch.setattr(torch.Tensor, "new_zeros", new_zeros)
    with pytest.raises(EngineError, match="no memory left"):
        generate(engine, [request("x" * 100, 1, max_tokens=4)])
    assert generate(engine, [short])[0].ids == expected.ids
    assert len(generate(engine, [request("x" * 100, 1, max_tokens=4)])[0].ids) == 4


def test_a_thread_that_does_not_start_fails_what_was_asked_and_no_more(monkeypatch):
    engine, single = make_engine(), request("abc", 1, max_tokens=4)
    start = threading.Thread.start

    def refused(thread):
        if thread.name == "verigrad-local-engine":
            raise RuntimeError("can't start new thread")
        start(thread)

    async def play():
        async with asyncio.timeout(10):
            with monkeypatch.context() as patch:
                patch.setattr(threading.Thread, "start", refused)
                with pytest.raises(EngineError, match="thread did not start: can't start new thread"):
                    await engine.sample(single)
            after = await engine.sample(single)
            await engine.close()
            return after

    assert asyncio.run(play()).ids == generate(make_engine(), [single])[0].ids


def test_cancelled_requests_leave_their_slot():
    engine = make_engine(max_slots=2, end_ids=())
    endless, short = request("a", max_tokens=500), request("b", 1, max_tokens=4)

    async def play():
        hogs = [asyncio.create_task(engine.sample(endless)) for _ in range(2)]
        waiting = asyncio.create_task(engine.sample(short))
        while not engine.counts["steps"]:
            await asyncio.sleep(0)
        for hog in hogs:
            hog.cancel()
        return await waiting

    assert asyncio.run(play()) == generate(make_engine(end_ids=()), [short])[0]
    assert engine.counts["completion_tokens"] < 500


def test_a_closed_engine_refuses():
    engine = make_engine(end_ids=())

    async def play():
        running = asyncio.create_task(engine.sample(request("a", max_tokens=500)))
        await engine.sample(request("b", max_tokens=1))
        await engine.close()
        with pytest.raises(EngineError, match="closed"):
            await running
        with pytest.raises(EngineError, match="closed"):
            await engine.sample(request("a"))

    asyncio.run(play())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (request(""), "prompt_ids are empty"),
        (request([259]), "prompt_ids run from 259 to 259; the model has ids 0 to 258"),
        (request("a", max_tokens=0), "max_tokens is 0; wanted at least 1"),
        (request("a", temperature=-0.1), "temperature is -0.1; wanted 0 or more"),
        (request("a", top_p=0.0), r"top_p is 0.0; wanted in \(0, 1\]"),
        (request("a", top_k=-1), "top_k is -1"),
        (request("a", stop=("b", "")), "a stop text is empty"),
        (request("a", stop=("<|im_end|>\n",)), r"holds the special token '<\|im_end\|>'.* stop_ids with 258"),
    ],
)
def test_wrong_requests_say_what_was_wanted(wrong, words):
    with pytest.raises(ConfigError, match=words):
        generate(make_engine(), [wrong])


def test_wrong_settings_say_what_was_wanted():
    with pytest.raises(ConfigError, match=r"dtype torch.float16; .*torch.float32 or torch.bfloat16"):
        make_engine(dtype=torch.float16)
    with pytest.raises(ConfigError, match="max_slots 0"):
        make_engine(max_slots=0)
