"""`verigrad eval` and `verigrad sample`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from verigrad.cli.options import SAME_COMMAND, HelpWithDefaults, Work, going_on
from verigrad.errors import ConfigError, DataError
from verigrad.evaluation.inputs import model_stamp, tasks_digest
from verigrad.evaluation.partial import PartialSamples
from verigrad.evaluation.sources import load_source
from verigrad.jsonl import read_rows, require_writable, write_rows
from verigrad.models.gguf import DEFAULT_MODEL
from verigrad.tasks.base import TaskSet

__all__ = ["evaluate", "retest", "sample"]

_GOLD = "gold"
_PROMPT = 4096
"""Tokens of a prompt at most, unless asked for more: a single one of a long context would take memory for all slots."""


def evaluate(argv: list[str]) -> Work:
    """pass@k of a model on a task source, with intervals over tasks; every sample can be kept."""
    parser = argparse.ArgumentParser(
        prog="verigrad eval", description=evaluate.__doc__, formatter_class=HelpWithDefaults
    )
    parser.add_argument(
        "--tasks", required=True, help="task source, such as humaneval or builtin-easy@1?split=validation"
    )
    _model_options(parser, model="name, folder or hub id; `gold` for the gold programs")
    parser.add_argument("--k", default="1", help="one or more k, such as 1,5,10")
    parser.add_argument("--num-samples", type=int, default=0, help="completions per task (default: the largest k)")
    parser.add_argument(
        "--samples",
        type=Path,
        help="write every sample here; until all are, FILE.partial has them and the same command goes on",
    )
    parser.add_argument(
        "--against", type=Path, help="samples of an earlier evaluation of the same tasks, to compare with"
    )
    parser.add_argument("--workers", type=int, default=2, help="sandboxed programs at once")
    parser.add_argument("--limit", type=int, default=0, help="only the first tasks; 0 for all")
    options = parser.parse_args(argv)
    ks = _ks(options.k)
    num_samples = 1 if options.model == _GOLD else options.num_samples or max(ks)
    if num_samples < max(ks):
        raise ConfigError(
            f"pass@{max(ks)} needs as many samples of every task, got {num_samples}"
            + ("; there is one gold program a task" if options.model == _GOLD else "; raise --num-samples")
        )
    if options.limit < 0:
        raise ConfigError(f"--limit is {options.limit}; wanted 1 or more tasks, or 0 for all")
    if options.temperature == 0 and num_samples > 1:
        raise ConfigError(f"{num_samples} greedy samples of a task are all alike; set --temperature above 0")
    return partial(_evaluate_tasks, options, ks, num_samples)


def _evaluate_tasks(options: argparse.Namespace, ks: Sequence[int], num_samples: int) -> int:
    source = load_source(options.tasks)
    tasks = _first(source, options.limit)
    earlier = _earlier(options.against, tasks) if options.against else None
    if options.samples:
        require_writable(options.samples)
    with _partial(options, source) as kept, going_on(SAME_COMMAND) if kept else nullcontext():
        run = _gold(tasks, options) if options.model == _GOLD else _evaluate(tasks, options, num_samples, kept)
        rows = asyncio.run(run)
        _print_rates(rows, ks)
        if earlier is not None:
            _print_change(earlier, rows, options.against)
        if options.samples:
            write_rows(options.samples, rows)
            print(f"wrote {options.samples}")
        if kept:
            _end(kept, rows)
    return 0 if any(row["status"] != "error" for row in rows) else 1


def _partial(options: argparse.Namespace, source: TaskSet) -> AbstractContextManager[PartialSamples | None]:
    """Where samples are kept as they end, if they are to have a file."""
    file: Path | None = options.samples
    if file is None or options.model == _GOLD or (file.exists() and not file.is_file()):  # a pipe, say
        return nullcontext()
    return PartialSamples(file, _settings(options, source))


def _end(kept: PartialSamples, rows: Sequence[Mapping[str, Any]]) -> None:
    """Take the file of what has ended away, unless the same command or a larger one could go on from it."""
    written = {(row["task_id"], row.get("sample")) for row in rows}
    others = sum((row["task_id"], row["sample"]) not in written for row in kept.rows)
    if lost := sum(row["status"] == "error" for row in rows):
        print(f"samples lost to failures of ours: {lost}; the same command draws those alone", file=sys.stderr)
    elif others:
        print(f"{kept.path} stays: it has {others} samples that were not asked for here", file=sys.stderr)
    else:
        kept.discard()


def _settings(options: argparse.Namespace, source: TaskSet) -> dict[str, Any]:
    """All that a sample and its verdict depend on, and not how many are drawn or at once."""
    names = (
        "tasks",
        "model",
        "engine",
        "denoise",
        "base_url",
        "temperature",
        "top_p",
        "max_tokens",
        "max_length",
        "system",
    )
    named = {name: getattr(options, name) for name in (*names, "dtype", "seed")}
    return {**named, "content of the tasks": tasks_digest(source), "files of the model": model_stamp(options.model)}


def _ks(text: str) -> list[int]:
    words = text.split(",")
    if not all(word.strip().isdecimal() and int(word) for word in words):
        raise ConfigError(f"--k is {text!r}; wanted one or more whole numbers above 0, such as 1,5,10")
    return [int(word) for word in words]


def _earlier(file: Path, tasks: TaskSet) -> dict[str, list[bool]]:
    """Results of an earlier evaluation, refused before the work is done where there is nothing to compare."""
    from verigrad.evaluation.compare import results_by_task

    rows = read_rows(file)
    for place, row in rows:
        if not {"task_id", "status"} <= row.keys():
            raise DataError(f"{place}: no task_id or no status; wanted a file that --samples wrote")
    results = results_by_task(row for _, row in rows)
    if not any(task.id in results for task in tasks.tasks):
        raise ConfigError(
            f"--against {file} holds no judged sample of these tasks: it has {next(iter(results), 'none')!r}, for "
            f"example, and {tasks.name} has {tasks.tasks[0].id!r}. Name samples of the same tasks"
        )
    return results


def retest(argv: list[str]) -> Work:
    """Judge samples anew by tests that a model writes, every program on every test: what mutual_ranking ranks."""
    parser = argparse.ArgumentParser(
        prog="verigrad retest", description=retest.__doc__, formatter_class=HelpWithDefaults
    )
    parser.add_argument("samples", type=Path, help="file of eval --samples")
    parser.add_argument("--tasks", required=True, help="the samples' task source; its own tests are not used")
    parser.add_argument("--out", required=True, type=Path, help="JSONL of the samples with their new results")
    _model_options(parser)
    parser.set_defaults(temperature=0.8, max_tokens=256)
    parser.add_argument("--num-samples", type=int, default=4, help="answers with tests sampled of each task")
    parser.add_argument("--tests-per-sample", type=int, default=4, help="tests asked for in each answer")
    parser.add_argument("--workers", type=int, default=2, help="sandboxed programs at once")
    return partial(_retest_file, parser.parse_args(argv))


def _retest_file(options: argparse.Namespace) -> int:
    placed = read_rows(options.samples)
    for place, row in placed:
        if not isinstance(row.get("task_id"), str):
            raise DataError(f"{place}: task_id is missing, or no text; wanted a file that --samples wrote")
    rows = [row for _, row in placed]
    require_writable(options.out)
    found = asyncio.run(_retest(rows, load_source(options.tasks), options))
    if not found:
        raise ConfigError(f"{options.model} wrote no test that could be read for any task of {options.samples}")
    write_rows(options.out, found)
    tests = {row["task_id"]: row["total"] for row in found}
    print(f"{len(found)} of {len(rows)} samples judged by {sum(tests.values())} tests of {len(tests)} tasks")
    print(f"wrote {options.out}")
    return 0


async def _retest(rows: list[dict[str, Any]], tasks: TaskSet, options: argparse.Namespace) -> list[dict[str, Any]]:
    from verigrad.evaluation.generated_tests import retest as run
    from verigrad.sandbox.judge import Judge
    from verigrad.sandbox.languages import PolyglotSandbox

    engine, tokenizer = _open_engine(options)
    sandbox = PolyglotSandbox(workers=options.workers)
    try:
        return await run(
            rows,
            tasks,
            agent=_agent(options, tokenizer),
            engine=engine,
            judge=Judge(sandbox),
            num_samples=options.num_samples,
            per_sample=options.tests_per_sample,
            seed=options.seed,
        )
    finally:
        await engine.close()
        await sandbox.close()


def _model_options(parser: argparse.ArgumentParser, *, model: str = "name, folder or hub id") -> None:
    parser.add_argument("--model", default=DEFAULT_MODEL, help=model)
    parser.add_argument(
        "--engine",
        default="auto",
        help="local (denoise for a masked-diffusion model), vllm, or openai (with --base-url)",
    )
    parser.add_argument(
        "--denoise",
        default="",
        help="how a masked-diffusion model samples, such as order=margin,steps=32 (docs/diffusion.md)",
    )
    parser.add_argument("--base-url", default="", help="of an OpenAI-compatible endpoint; its key in $OPENAI_API_KEY")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy")
    parser.add_argument("--top-p", type=float, default=1.0, help="share of the probability that is drawn from")
    parser.add_argument("--max-tokens", type=int, default=512, help="completion tokens at most")
    parser.add_argument(
        "--max-length",
        type=int,
        default=None,
        help=f"tokens of prompt and completion at most (default: {_PROMPT} and --max-tokens, of those the model has); "
        "memory is taken for the longest, times --slots",
    )
    parser.add_argument("--system", default=None, help="system message (default: the chat template's own)")
    parser.add_argument(
        "--dtype",
        default="auto",
        choices=("auto", "bfloat16", "float32"),
        help="auto: bfloat16 where the device computes in it, else float32",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda")
    parser.add_argument("--slots", type=int, default=64, help="completions decoded at once")
    parser.add_argument("--seed", type=int, default=0, help="of whatever is drawn")


def _first(tasks: TaskSet, limit: int) -> TaskSet:
    return TaskSet(tasks.name, tasks.tasks[:limit], tasks.oracles, tasks.aliases) if limit else tasks


def _open_engine(options: argparse.Namespace) -> tuple[Any, Any]:
    """An engine and the tokenizer that makes its prompts (None where the endpoint makes them)."""
    from verigrad.engines import ENGINES
    from verigrad.registry import resolve

    if options.engine in ("auto", "denoise"):
        return _open_own_engine(options)
    make = resolve(options.engine, ENGINES, what="engine")
    if options.denoise and options.engine != "local":
        raise ConfigError(f"--denoise says how the engine `denoise` samples, not {options.engine!r}; leave it out")
    if options.engine == "openai":
        if not options.base_url:
            raise ConfigError("--engine openai needs --base-url, such as http://localhost:8000/v1")
        if options.max_length is not None:
            raise ConfigError("--max-length is for models run here; an endpoint has its own limit, so leave it out")
        key = os.environ.get("OPENAI_API_KEY") or None
        return make(base_url=options.base_url, model=options.model, api_key=key), None
    if options.engine == "vllm":
        from transformers import AutoTokenizer

        from verigrad.models.causal import pick_device, resolved_dtype
        from verigrad.models.gguf import default_model_dir

        name = str(default_model_dir()) if options.model == DEFAULT_MODEL else options.model
        dtype = str(resolved_dtype(options.dtype, pick_device(options.device))).removeprefix("torch.")
        return make(name, dtype=dtype, max_length=options.max_length), AutoTokenizer.from_pretrained(name)
    return _open_own_engine(options, make)


def _open_own_engine(options: argparse.Namespace, make: Any = None) -> tuple[Any, Any]:
    """An engine on a model loaded here: the one asked for, or the one for this kind of model; and its tokenizer."""
    from verigrad.allocator import keep_freed_memory
    from verigrad.engines.denoise_params import DenoiseParams
    from verigrad.engines.diffusion import DenoiseEngine
    from verigrad.engines.local import LocalEngine
    from verigrad.models.causal import load_causal, pick_device, resolved_dtype
    from verigrad.models.diffusion import is_diffusion
    from verigrad.settings import load_config

    print(f"loading {options.model}", file=sys.stderr)
    device = pick_device(options.device)
    if device.type == "cpu":
        keep_freed_memory()
    model, tokenizer = load_causal(options.model, device=device)
    sizes = {
        "dtype": resolved_dtype(options.dtype, device),
        "device": device,
        "max_slots": options.slots,
        "max_length": options.max_length or _PROMPT + options.max_tokens,
    }
    if make is None and (options.engine == "denoise" or is_diffusion(model)):
        words = [f"--{word}" for word in options.denoise.split(",") if word]
        return DenoiseEngine(model, tokenizer, params=load_config(DenoiseParams, None, words), **sizes), tokenizer
    if options.denoise:
        raise ConfigError("--denoise is for masked-diffusion models, which this one is not")
    return (make or LocalEngine)(model, tokenizer, **sizes), tokenizer


def _agent(options: argparse.Namespace, tokenizer: Any) -> Any:
    from verigrad.agents.single_turn import SingleTurn
    from verigrad.engines.base import SamplingParams
    from verigrad.models.chat import end_id

    # The engines of our own ask the tokenizer; vLLM knows the ends in the model's config alone.
    end = end_id(tokenizer) if options.engine == "vllm" else None
    params = SamplingParams(
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_p=options.top_p,
        stop_ids=() if end is None else (end,),
    )
    return SingleTurn(tokenizer, params, system=options.system)


async def _evaluate(
    tasks: TaskSet, options: argparse.Namespace, num_samples: int, kept: PartialSamples | None = None
) -> list[dict[str, Any]]:
    from verigrad.allocator import give_back_freed_memory
    from verigrad.cli.progress import counting
    from verigrad.evaluation.benchmark import evaluate as run
    from verigrad.sandbox.judge import Judge
    from verigrad.sandbox.languages import PolyglotSandbox

    engine, tokenizer = _open_engine(options)
    sandbox = PolyglotSandbox(workers=options.workers)
    try:
        asked = {task.id for task in tasks.tasks}
        known = [row for row in (kept.rows if kept else ()) if row["task_id"] in asked and row["sample"] < num_samples]
        if known:
            print(f"going on: {len(known)} samples are there already", file=sys.stderr)
        with counting("evaluating", len(tasks) * num_samples - len(known)) as advance:

            def ended(row: Mapping[str, Any]) -> None:
                advance()
                give_back_freed_memory()
                if kept:
                    kept.add(row)

            return await run(
                tasks,
                agent=_agent(options, tokenizer),
                engine=engine,
                judge=Judge(sandbox),
                num_samples=num_samples,
                seed=options.seed,
                known=known,
                on_row=ended,
            )
    finally:
        await engine.close()
        await sandbox.close()


async def _gold(tasks: TaskSet, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Rows of the gold programs, one sample a task that has one: what a perfect model would score."""
    from verigrad.sandbox.judge import Judge, judge_rows
    from verigrad.sandbox.languages import PolyglotSandbox

    golds = [(task.id, tasks.oracle(task).gold) for task in tasks.tasks]
    programs = [{"task_id": id_, "program": gold} for id_, gold in golds if gold is not None]
    if not programs:
        raise ConfigError(f"no task of {tasks.name} has a gold program, so there is nothing to judge; name a model")
    if left := len(golds) - len(programs):
        print(f"{left} of {len(golds)} tasks have no gold program and are left out")
    sandbox = PolyglotSandbox(workers=options.workers)
    try:
        return await judge_rows(programs, {task.id: task for task in tasks.tasks}, tasks.oracles, Judge(sandbox))
    finally:
        await sandbox.close()


def _print_rates(rows: Sequence[Mapping[str, Any]], ks: Sequence[int]) -> None:
    """pass@k for every k, over the tasks that have so many samples: some may be lost to failures of ours."""
    from verigrad.evaluation.compare import results_by_task
    from verigrad.evaluation.pass_at_k import summarize

    results, num_tasks = results_by_task(rows), len({row["task_id"] for row in rows})
    for k in ks:
        enough = {task: own for task, own in results.items() if len(own) >= k}
        lost = f"{num_tasks - len(enough)} of {num_tasks} tasks left out: fewer than {k} samples could be judged"
        if not enough:
            print(f"pass@{k} unknown; {lost}")
            continue
        found = summarize(enough, k)
        print(
            f"pass@{k} {found.value:.1%}  [{found.low:.1%}, {found.high:.1%}] ({found.method}, 95 %) over "
            f"{found.num_tasks} tasks, {found.num_samples} samples" + (f"; {lost}" if len(enough) < num_tasks else "")
        )
    if overflowed := sum(row.get("stop_reason") == "context_overflow" for row in rows):
        print(_told_overflow(overflowed, len(rows)))
    counts = Counter(row["status"] for row in rows)
    print("  ".join(f"{status} {count}" for status, count in counts.most_common()))
    if counts["error"]:
        print(f"the first error: {next(row['error'] for row in rows if row['status'] == 'error')}")


def _print_change(earlier: Mapping[str, Sequence[bool]], rows: Sequence[Mapping[str, Any]], against: Path) -> None:
    """The paired difference over the tasks that both sides have judged samples of."""
    from verigrad.evaluation.compare import paired_difference, results_by_task

    now = results_by_task(rows)
    both = [task for task in now if task in earlier]
    if not both:
        print(f"pass@1 against {against}: unknown; none of its tasks was judged")
        return
    change = paired_difference({task: earlier[task] for task in both}, {task: now[task] for task in both})
    alone = len(now.keys() ^ earlier.keys())
    print(
        f"pass@1 against {against}: {change.value:+.1%} [{change.low:+.1%}, {change.high:+.1%}] (paired bootstrap, "
        f"95 %) over {len(both)} tasks" + (f"; {alone} that only one side has are left out" if alone else "")
    )


def sample(argv: list[str]) -> Work:
    """Print what a model answers to a prompt, or to a task with its verdict."""
    parser = argparse.ArgumentParser(
        prog="verigrad sample", description=sample.__doc__, formatter_class=HelpWithDefaults
    )
    parser.add_argument("prompt", nargs="?", help="text of the user message; or use --task")
    parser.add_argument("--task", help="SOURCE#N or SOURCE#ID: a task to answer and be judged on")
    parser.add_argument("--num-samples", type=int, default=1, help="answers printed")
    _model_options(parser)
    options = parser.parse_args(argv)
    if bool(options.prompt) == bool(options.task):
        raise ConfigError("give either a prompt or --task SOURCE#N")
    return partial(_sample, options)


def _sample(options: argparse.Namespace) -> int:
    if options.task:
        tasks = _one_task(options.task)
        print(tasks.tasks[0].prompt, end="\n\n")
        rows = asyncio.run(_evaluate_sample(tasks, options))
        for row in rows:
            print(f"--- {row['status']} ({row['passed']} of {row['total']} tests), {row['tokens']} tokens")
            print(row["completion"], end="\n\n")
        return 0
    for text in asyncio.run(_answer(options)):
        print(text, end="\n\n")
    return 0


async def _evaluate_sample(tasks: TaskSet, options: argparse.Namespace) -> list[dict[str, Any]]:
    options.workers = 2
    return await _evaluate(tasks, options, options.num_samples)


def _one_task(spec: str) -> TaskSet:
    source, _, name = spec.rpartition("#")
    if not source:
        raise ConfigError(f"wanted SOURCE#N or SOURCE#ID, got {spec!r}; for example humaneval#0")
    tasks = load_source(source)
    wanted = tasks.aliases.get(name, name)
    found = [task for number, task in enumerate(tasks.tasks) if wanted in (task.id, str(number))]
    if not found:
        raise ConfigError(f"{source} has no task {name!r}; it has {len(tasks)} tasks, the first is {tasks.tasks[0].id}")
    return TaskSet(tasks.name, (found[0],), tasks.oracles, tasks.aliases)


def _told_overflow(overflowed: int, samples: int) -> str:
    return (
        f"{overflowed} of {samples} samples had no room for their prompt and --max-tokens in the context (--max-length)"
    )


async def _answer(options: argparse.Namespace) -> list[str]:
    from verigrad.seeds import derive_seed
    from verigrad.types import Task

    engine, tokenizer = _open_engine(options)
    agent = _agent(options, tokenizer)
    task = Task(id="prompt", prompt=options.prompt)
    try:
        seeds = [derive_seed(options.seed, "sample", number) for number in range(options.num_samples)]
        attempts = await asyncio.gather(*(agent.attempt(task, engine, seed=seed) for seed in seeds))
    finally:
        await engine.close()
    if overflowed := sum(attempt.turns[-1].stop_reason == "context_overflow" for attempt in attempts):
        print(_told_overflow(overflowed, len(attempts)), file=sys.stderr)
    return [attempt.text for attempt in attempts]
