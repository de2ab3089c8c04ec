"""One whole GRPO step (sampling, scoring, update, new weights for the sampler), beside TRL's, and peak memory.

    python benchmarks/rl_step.py                    verigrad, float32 and bfloat16
    python benchmarks/rl_step.py --against trl      TRL's GRPOTrainer in the same run
    python benchmarks/rl_step.py --json             one object a line

The work is the same on both sides: the default model, all weights trained by AdamW, four prompts, eight
completions each, exactly 96 tokens a completion, temperature 1, GRPO without KL, one update, and a reward
that differs inside every group, so that no side may skip any. Every side runs in a process of its own, one
after another; the first step warms up, the best of the rest counts. All sides compute on one device (`--device`; a GPU
where there is one), whose work is waited for before a clock is read. Peak memory is that process's own resident memory
on a CPU, and on a GPU the most that torch's allocator had given out at one time. Not yet run on a GPU.
TRL 1.16.0: `pip install -c constraints.txt -e '.[bench]'`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import subprocess
import sys
import tempfile
from typing import Any

from verigrad.environment import settle_torch

settle_torch()  # as the command line does; before torch, and for every side alike

import torch
from generate import DTYPES, PROBLEMS, as_others_load_it, clock, device_name

from verigrad.errors import MissingExtra
from verigrad.models.causal import pick_device

__all__ = ["main"]


def made_up_reward(text: str) -> float:
    """A number that differs between completions and costs nothing to compute."""
    return (sum(text.encode()) % 97) / 97


def verigrad_steps(args: argparse.Namespace, dtype: torch.dtype) -> list[dict[str, float]]:
    from verigrad.agents.single_turn import SingleTurn
    from verigrad.algorithms.presets import GRPO
    from verigrad.allocator import give_back_freed_memory, keep_freed_memory
    from verigrad.engines.base import SamplingParams
    from verigrad.engines.local import LocalEngine
    from verigrad.models.causal import load_causal
    from verigrad.models.lora import full_tensors
    from verigrad.rollout import collect
    from verigrad.sandbox.judge import Judge
    from verigrad.sandbox.process import ProcessSandbox
    from verigrad.training.batching import make_batch
    from verigrad.training.config import RLConfig, SamplingConfig
    from verigrad.training.optim import make_optimizer
    from verigrad.training.policy import update_policy
    from verigrad.training.run import Learner
    from verigrad.types import AnswerTest, Oracle, Task

    device = pick_device(args.device)
    if device.type == "cpu":
        keep_freed_memory()  # as every run does
    model, tokenizer = load_causal(args.model, device=device)
    engine = LocalEngine(model, tokenizer, dtype=dtype, device=device, end_ids=())
    config = RLConfig(sampling=SamplingConfig(max_tokens=args.tokens))
    learner = Learner(model, make_optimizer(model, config.optim))
    tasks = [Task(id=f"step@1/{n}", prompt=text, language="text") for n, text in enumerate(PROBLEMS)]
    oracles = [Oracle(task_id=task.id, tests=(AnswerTest("a", 0),)) for task in tasks]
    agent = SingleTurn(tokenizer, SamplingParams(max_tokens=args.tokens))
    steps = []
    with asyncio.Runner() as runner:
        judge = Judge(ProcessSandbox(workers=2))
        for number in range(args.steps + 1):
            started = clock(device)
            groups = runner.run(
                collect(
                    tasks,
                    oracles,
                    agent=agent,
                    engine=engine,
                    judge=judge,
                    reward=lambda task, answer, verdict: made_up_reward(answer.text),
                    group_size=args.group_size,
                    seed=number,
                )
            )
            sampled = clock(device)
            batch = make_batch(group.rollouts for group in groups)
            assert batch is not None and int(batch.mask.sum()) == len(tasks) * args.group_size * args.tokens
            advantages = GRPO.advantage(batch.rewards, batch.group_ids)
            update_policy(learner, batch, advantages, config, GRPO, step=number, reference=model, dtype=dtype)
            runner.run(engine.update_weights("base", number + 1, full_tensors(model)))
            give_back_freed_memory()
            ended = clock(device)
            steps.append({"seconds": ended - started, "sampling": sampled - started, "update": ended - sampled})
        runner.run(engine.close())
        runner.run(judge.sandbox.close())
    return steps[1:]


def trl_steps(args: argparse.Namespace, dtype: torch.dtype) -> list[dict[str, float]]:
    try:
        from datasets import Dataset
        from transformers import TrainerCallback
        from trl import GRPOConfig, GRPOTrainer
    except ImportError as error:
        raise MissingExtra("trl", "bench") from error
    from verigrad.models.causal import load_causal

    device = pick_device(args.device)
    model, tokenizer = as_others_load_it(args.model, device), load_causal(args.model, device="cpu")[1]
    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            times.append(clock(device))

        def on_step_end(self, *_: Any, **__: Any) -> None:
            times[-1] = clock(device) - times[-1]

    with tempfile.TemporaryDirectory() as folder:
        settings = GRPOConfig(
            output_dir=folder,
            per_device_train_batch_size=args.micro_batch,
            gradient_accumulation_steps=len(PROBLEMS) * args.group_size // args.micro_batch,
            num_generations=args.group_size,
            max_completion_length=args.tokens,
            generation_kwargs={"min_new_tokens": args.tokens},
            max_steps=args.steps + 1,
            temperature=1.0,
            beta=0.0,
            loss_type="grpo",
            bf16=dtype == torch.bfloat16,
            gradient_checkpointing=False,
            use_cpu=device.type == "cpu",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
        )
        GRPOTrainer(
            model=model,
            reward_funcs=lambda completions, **_: [made_up_reward(str(text)) for text in completions],
            args=settings,
            train_dataset=Dataset.from_dict(
                {"prompt": [[{"role": "user", "content": text}] for text in PROBLEMS] * (args.steps + 1)}
            ),
            processing_class=tokenizer,
            callbacks=[Clock()],
        ).train()
    return [{"seconds": seconds} for seconds in times[1:]]


SIDES = {"verigrad": verigrad_steps, "trl": trl_steps}


def measure_here(side: str, args: argparse.Namespace) -> None:
    """Run one side in this process and print its figures as the last line."""
    steps = SIDES[side](args, DTYPES[args.dtype[0]])
    best = min(steps, key=lambda step: step["seconds"])
    peak = peak_mib(pick_device(args.device))
    print(json.dumps({**best, "all": [step["seconds"] for step in steps], "peak_mib": peak}))


def peak_mib(device: torch.device) -> float:
    """The most memory so far, in MiB: of the device where it has its own, else of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(side: str, dtype: str, args: argparse.Namespace) -> dict[str, Any]:
    """Figures of one side, from a process of its own."""
    words = [sys.executable, __file__, "--side", side, "--dtype", dtype, "--model", args.model]
    words += ["--device", args.device]
    for name in ("group_size", "tokens", "steps", "micro_batch"):
        words += ["--" + name.replace("_", "-"), str(getattr(args, name))]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{side} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def report(dtype: str, found: dict[str, dict[str, Any]], args: argparse.Namespace) -> None:
    ours = found.pop("verigrad")
    for quantity, key, unit in (("seconds", "seconds", "s"), ("peak_memory", "peak_mib", "MiB")):
        others = {name: round(figures[key], 1) for name, figures in found.items()}
        line = {
            "name": f"rl_step.{quantity}",
            "value": round(ours[key], 2),
            "unit": unit,
            "dtype": dtype,
            "device": device_name(pick_device(args.device)),
            "completions": len(PROBLEMS) * args.group_size,
            "tokens": args.tokens,
            "threads": torch.get_num_threads(),
            "against": others,
            "ratio": round(ours[key] / min(others.values()), 3) if others else None,
        }
        if args.json:
            print(json.dumps(line), flush=True)
        else:
            beside = "".join(f"   {name} {value} {unit}" for name, value in others.items())
            print(f"{dtype}, {line['device']}, {quantity}: {ours[key]:.1f} {unit}{beside}", flush=True)
    if not args.json:
        print(f"   sampling {ours['sampling']:.1f} s, update {ours['update']:.1f} s, steps {ours['all']}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--against", nargs="*", choices=["trl"], default=[])
    parser.add_argument("--group-size", type=int, default=8)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--steps", type=int, default=2, help="timed steps, after one to warm up")
    parser.add_argument("--micro-batch", type=int, default=8, help="TRL's per-device batch")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        measure_here(args.side, args)
        return
    for dtype in args.dtype:
        report(dtype, {side: measure(side, dtype, args) for side in ("verigrad", *args.against)}, args)


if __name__ == "__main__":
    main()
