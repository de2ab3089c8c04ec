"""What every training loop has around it: model, sampler, judge, run folder, evaluation before and after."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

import torch

from verigrad.agents.single_turn import SingleTurn
from verigrad.allocator import keep_freed_memory
from verigrad.engines.base import Engine, SamplingParams
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.engines.local import LocalEngine
from verigrad.errors import ConfigError, RunError
from verigrad.evaluation.benchmark import evaluate
from verigrad.evaluation.compare import results_by_task, summarize_split
from verigrad.evaluation.inputs import file_digest
from verigrad.evaluation.pass_at_k import Estimate, summarize
from verigrad.evaluation.reports.report import write_report
from verigrad.evaluation.sources import load_source
from verigrad.jsonl import read_rows
from verigrad.models.causal import load_causal, pick_device, resolved_dtype
from verigrad.models.chat import has_template
from verigrad.models.checkpoint import save_model
from verigrad.models.diffusion import is_diffusion
from verigrad.models.gguf import DEFAULT_MODEL
from verigrad.models.lora import add_lora, full_tensors
from verigrad.sandbox.base import LEVELS
from verigrad.sandbox.judge import Judge
from verigrad.sandbox.languages import PolyglotSandbox
from verigrad.seeds import derive_seed
from verigrad.settings import load_config, to_toml
from verigrad.tasks import source_file
from verigrad.tasks.base import TaskSet
from verigrad.training.config import ReportConfig, SamplingConfig, StageConfig, changed_settings
from verigrad.training.memory import peak_memory
from verigrad.training.reporter import Reporter
from verigrad.training.run import Run
from verigrad.types import ScriptTest, Task

__all__ = [
    "Stage",
    "check_disjoint",
    "check_trust",
    "local_engine",
    "open_run",
    "open_stage",
    "own_engine",
    "prepare_model",
    "prepare_torch",
    "sampling_params",
    "settled",
    "tell_of_template",
    "trained_tasks",
]

_Result = TypeVar("_Result")
_Config = TypeVar("_Config", bound=StageConfig)


@dataclass
class Stage:
    """The parts of one training stage; `close` ends its processes.

    `wait` runs a coroutine on the stage's one event loop, which engine and sandbox live on.
    """

    config: StageConfig
    model: Any
    tokenizer: Any
    engine: Engine
    judge: Judge
    reporter: Reporter
    splits: dict[str, TaskSet]
    validation: TaskSet | None
    dtype: torch.dtype
    device: torch.device
    runner: asyncio.Runner
    started: float = field(default_factory=time.perf_counter)

    def wait(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        return self.runner.run(work)

    def close(self) -> None:
        self.wait(self.engine.close())
        self.wait(self.judge.sandbox.close())
        self.runner.close()

    def agent(self, params: SamplingParams, prefill: Callable[[Task], str] | None = None) -> SingleTurn:
        return SingleTurn(self.tokenizer, params, system=self.config.system or None, prefill=prefill)

    def refresh_engine(self, step: int) -> None:
        """Give the sampler the weights as they are now."""
        self.wait(self.engine.update_weights("base", step, full_tensors(self.model)))

    def sample_split(
        self,
        name: str,
        taskset: TaskSet,
        num_samples: int,
        when: str = "",
        known: Sequence[Mapping[str, Any]] = (),
    ) -> list[dict[str, Any]]:
        """Evaluate a task set with the report's sampling; the same draws whenever that is.

        Args:
            known: rows of these tasks by the same weights, which are taken as they are.
        """
        report = self.config.report
        params = sampling_params(self.config.sampling, temperature=report.temperature, max_tokens=report.max_tokens)

        self.reporter.begin(f"evaluating {name} {when}".rstrip(), len(taskset) * num_samples - len(known))
        rows = self.wait(
            evaluate(
                taskset,
                agent=self.agent(params),
                engine=self.engine,
                judge=self.judge,
                num_samples=num_samples,
                seed=derive_seed(self.config.seed, "evaluate", name),
                known=known,
                on_row=lambda _: self.reporter.advance(),
            )
        )
        self.reporter.end()
        return rows

    def evaluate_splits(self, run: Run, when: str) -> None:
        """Evaluate the reported splits and store their rows, unless an earlier start of this run did already.

        A task of several splits is sampled once.
        """
        done: list[tuple[TaskSet, list[dict[str, Any]]]] = []
        for name, taskset in self.splits.items():
            file = f"evaluations/{name}-{when}.jsonl"
            stored = run.read_rows(file)
            rows = stored or self.sample_split(name, taskset, self.config.report.samples, when, _known(taskset, done))
            self._told(f"{name}, {when}", rows)
            if stored is None:
                run.write_rows(file, rows)
            done.append((taskset, rows))

    def validate(self, run: Run, step: int) -> float | None:
        """Evaluate on the validation set, log it and store its rows; returns pass@1, or None without such a set."""
        if self.validation is None:
            return None
        started = time.perf_counter()
        rows = self.sample_split("validation", self.validation, self.config.report.validation_samples)
        estimate = self._told(f"validation, step {step}", rows)
        run.write_rows(f"evaluations/validation/step-{step:06d}.jsonl", rows)
        run.log(
            {
                "step": step,
                "kind": "validation",
                "pass@1": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "seconds": time.perf_counter() - started,
            }
        )
        return estimate.value

    def _told(self, what: str, rows: Sequence[Mapping[str, Any]]) -> Estimate:
        results = results_by_task(rows)
        if not results:
            first = next((row["error"] for row in rows), "there are no tasks")
            raise RunError(f"{what}: no sample could be judged; the first says: {first}")
        estimate = summarize(results, 1)
        self.reporter.message(
            f"{what}: pass@1 {estimate.value:.1%} [{estimate.low:.1%}, {estimate.high:.1%}] "
            f"over {estimate.num_tasks} tasks"
        )
        return estimate

    def finish(self, run: Run, extra: Mapping[str, Any]) -> None:
        """Evaluate, save the model, write summary and report."""
        self.evaluate_splits(run, "after")
        self.reporter.message(f"saving the model to {run.folder / 'model'}")
        save_model(self.model, self.tokenizer, run.folder / "model")
        run.write_summary(self._summary(run, extra))
        run.close()
        self.reporter.message(f"report: {write_report(run.folder)}")

    def _summary(self, run: Run, extra: Mapping[str, Any]) -> dict[str, Any]:
        splits = {}
        for name in self.splits:
            before, after = (run.read_rows(f"evaluations/{name}-{when}.jsonl") or [] for when in ("before", "after"))
            splits[name] = summarize_split(before, after)
        return {
            "splits": splits,
            "seconds": run.seconds_before + time.perf_counter() - self.started,
            **peak_memory(self.device),
            **extra,
            "setup": self._setup(),
        }

    def _setup(self) -> dict[str, Any]:
        return {
            "model": self.config.model,
            "parameters": sum(parameter.numel() for parameter in self.model.parameters()),
            "device": str(self.device),
            **({"gpu": torch.cuda.get_device_name(self.device)} if self.device.type == "cuda" else {}),
            "dtype": str(self.dtype).removeprefix("torch."),
            "threads": torch.get_num_threads(),
            "cores": os.cpu_count(),
            "machine": platform.machine(),
            "seed": self.config.seed,
            "sandbox_level": self.judge.sandbox.level,
            "python": platform.python_version(),
            **{name: version(name) for name in ("verigrad", "torch", "transformers")},
        }


def _known(taskset: TaskSet, done: Iterable[tuple[TaskSet, Sequence[Mapping[str, Any]]]]) -> list[Mapping[str, Any]]:
    """Rows of these very tasks among those of other sets, but for samples lost to infrastructure failures."""
    wanted = {task.id: (task, taskset.oracle(task)) for task in taskset.tasks}
    found: dict[tuple[str, int], Mapping[str, Any]] = {}
    for other, rows in done:
        same = {task.id for task in other.tasks if wanted.get(task.id) == (task, other.oracle(task))}
        found |= {
            (row["task_id"], row["sample"]): row for row in rows if row["task_id"] in same and row["status"] != "error"
        }
    return list(found.values())


def settled(config: _Config, *, resume: bool) -> _Config:
    """The settings with `dtype = "auto"` decided: as the run to resume has it, else by the device.

    Raises:
        ConfigError: there is no such device.
    """
    if config.dtype != "auto":
        return config
    stored = Path(config.run) / "config.toml"
    if resume and stored.exists() and (begun := load_config(type(config), stored).dtype) != "auto":
        return replace(config, dtype=begun)
    native = resolved_dtype("auto", pick_device(config.device)) == torch.bfloat16
    return replace(config, dtype="bfloat16" if native else "float32")


def open_run(config: StageConfig, *, resume: bool) -> tuple[Run, Path | None]:
    """Start the run of these settings, or continue it; returns it and the checkpoint to go on from.

    Raises:
        RunError: there is one already, or none to continue, or its settings or the content of its files were others.
    """
    folder = Path(config.run)
    inputs = _inputs(config)
    if not resume:
        return Run.create(folder, to_toml(config), inputs), None
    stored = folder / "config.toml"
    changed = changed_settings(load_config(type(config), stored), config) if stored.exists() else {}
    if changed.get("audit.flagged", ("",))[0] == "stop":  # nothing was flagged so far: every policy began like this
        del changed["audit.flagged"]
        run, checkpoint = Run.resume(folder, changed, inputs)
        run.write_config(to_toml(config))
        return run, checkpoint
    return Run.resume(folder, changed, inputs)


def _inputs(config: StageConfig) -> dict[str, str]:
    """Setting -> digest, of the files of rows, text or tasks that the settings name."""
    named: dict[str, Path | None] = {name: Path(getattr(config, name, "")) for name in ("data", "held_out", "text")}
    named["tasks"] = source_file(getattr(config, "tasks", ""))
    report = {"validation": config.report.validation, **{f"splits.{k}": v for k, v in config.report.splits.items()}}
    named |= {f"report.{name}": source_file(source) for name, source in report.items()}
    return {name: file_digest(path) for name, path in named.items() if path is not None and path.is_file()}


def local_engine(
    model: Any, tokenizer: Any, *, dtype: torch.dtype, device: torch.device, max_slots: int, max_length: int
) -> Engine:
    """The sampler of causal models."""
    return LocalEngine(model, tokenizer, dtype=dtype, device=device, max_slots=max_slots, max_length=max_length)


def own_engine(
    model: Any,
    tokenizer: Any,
    *,
    denoise: DenoiseParams,
    dtype: torch.dtype,
    device: torch.device,
    max_slots: int,
    max_length: int,
) -> Engine:
    """The sampler for this kind of model; `denoise` is how a masked-diffusion one fills its canvas."""
    sizes: dict[str, Any] = {"dtype": dtype, "device": device, "max_slots": max_slots, "max_length": max_length}
    if is_diffusion(model):
        return DenoiseEngine(model, tokenizer, params=denoise, **sizes)
    if denoise != DenoiseParams():
        raise ConfigError("denoise is for masked-diffusion models, which this one is not; leave the section out")
    return local_engine(model, tokenizer, **sizes)


def open_stage(
    config: StageConfig,
    reporter: Reporter,
    training_ids: Iterable[str],
    *,
    make_engine: Callable[..., Engine] = local_engine,
) -> Stage:
    """Load the model, start sampler and judge, load the evaluation sets and check they are disjoint.

    Args:
        make_engine: makes the sampler of the model as it was loaded; arguments as `local_engine`.
    """
    report: ReportConfig = config.report
    splits = {name: load_source(source) for name, source in report.splits.items()}
    validation = load_source(report.validation) if report.validation else None
    check_disjoint(training_ids, splits, validation)
    device, dtype = prepare_torch(config)
    patience = " (the first time, its weights are converted: half a minute)" if config.model == DEFAULT_MODEL else ""
    reporter.message(f"loading {config.model}{patience}")
    model, tokenizer = load_causal(config.model, device=device)
    tell_of_template(tokenizer, config.model, reporter)
    # The sampler copies the weights, so it is made before adapters change the model's names.
    engine = make_engine(
        model, tokenizer, dtype=dtype, device=device, max_slots=config.slots, max_length=config.max_length
    )
    if not engine.exact:
        raise ConfigError(
            f"{type(engine).__name__} does not report the ids it sampled and their log-probs, so nothing can be "
            "trained on what it writes; wanted an exact engine: local, denoise or vllm"
        )
    model = prepare_model(model, config)
    sandbox = _open_sandbox(config)
    return Stage(
        config=config,
        model=model,
        tokenizer=tokenizer,
        engine=engine,
        judge=Judge(sandbox),
        reporter=reporter,
        splits=splits,
        validation=validation,
        dtype=dtype,
        device=device,
        runner=asyncio.Runner(),
    )


def tell_of_template(tokenizer: Any, model: str, reporter: Reporter) -> None:
    """Say it where prompts are written without a chat template."""
    if not has_template(tokenizer):
        reporter.message(f"{model} has no chat template: a prompt is a plain paragraph")


def prepare_torch(config: StageConfig) -> tuple[torch.device, torch.dtype]:
    """Threads, seed and memory as the settings say; returns where and in what to compute."""
    if config.threads:
        torch.set_num_threads(config.threads)
    torch.manual_seed(config.seed)
    device = pick_device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    return device, resolved_dtype(config.dtype, device)


def prepare_model(model: Any, config: StageConfig, *, whole: tuple[str, ...] = ()) -> Any:
    """Adapters, frozen weights and checkpointing as asked; dropout stays off, so that sampler and trainer agree.

    Args:
        whole: modules that are trained whole beside the adapters.

    Raises:
        ConfigError: no weight has a name that `train_only` asks for, or adapters are to be trained as well.
    """
    if config.gradient_checkpointing:
        if hasattr(model, "activation_checkpointing_enable"):  # its name in newer releases of transformers
            model.activation_checkpointing_enable()
        else:
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    if config.lora.rank > 0:
        lora = config.lora
        model = add_lora(model, rank=lora.rank, alpha=lora.alpha, targets=lora.targets, seed=config.seed, whole=whole)
    if config.train_only:
        _freeze_all_but(model, config, whole)
    return model


def _freeze_all_but(model: Any, config: StageConfig, whole: tuple[str, ...]) -> None:
    if config.lora.rank > 0:
        raise ConfigError("train_only and lora.rank are both set; wanted one of them: adapters are trained alone")
    named = dict(model.named_parameters())
    wanted = {name for name in named if any(part in name for part in config.train_only)}
    if not wanted:
        raise ConfigError(
            f"no weight has {' or '.join(map(repr, config.train_only))} in its name (train_only); there are "
            f"{', '.join(sorted({name.split('.')[-2] for name in named if '.' in name}))}"
        )
    for name, parameter in named.items():
        parameter.requires_grad_(name in wanted or any(part in name.split(".") for part in whole))


def _open_sandbox(config: StageConfig) -> PolyglotSandbox:
    """The best sandbox there is, if it is good enough."""
    sandbox = PolyglotSandbox(workers=config.workers)
    level, wanted = sandbox.level, config.min_level
    if LEVELS.index(level) < LEVELS.index(wanted):
        asyncio.run(sandbox.close())
        raise ConfigError(
            f"the sandbox reaches level {level!r} on this machine, and min_level asks for {wanted!r}; "
            "`verigrad doctor` says why; lower min_level only for programs you trust"
        )
    return sandbox


def trained_tasks(tasks: TaskSet | None, data: str) -> list[str]:
    """Ids of the tasks that are trained on: those of a source, or those that a file's rows name in their `meta`.

    Raises:
        ConfigError: the file cannot be read.
        DataError: a line of it is no JSON object.
    """
    if tasks is not None:
        return [task.id for task in tasks.tasks]
    metas = [row.get("meta") for _, row in read_rows(Path(data))] if data else []
    return [str(meta["task_id"]) for meta in metas if isinstance(meta, dict) and "task_id" in meta]


def check_disjoint(training_ids: Iterable[str], splits: Mapping[str, TaskSet], validation: TaskSet | None) -> None:
    """Raise a ConfigError where training, validation and reported splits share a task.

    Reported splits may overlap each other: nothing is learned or chosen from any of them.
    """
    seen = {"training": set(training_ids)}
    if validation is not None:
        _refuse_shared("validation", validation, seen)
        seen["validation"] = {task.id for task in validation.tasks}
    for name, taskset in splits.items():
        _refuse_shared(name, taskset, seen)


def _refuse_shared(name: str, taskset: TaskSet, seen: Mapping[str, set[str]]) -> None:
    ids = {task.id for task in taskset.tasks}
    for other, others in seen.items():
        if shared := ids & others:
            raise ConfigError(
                f"{len(shared)} tasks are in both {other} and {name}, such as {min(shared)!r}; "
                "training, validation and reported splits must be disjoint"
            )


def check_trust(tasks: TaskSet, *, allow_scripts: bool) -> None:
    """Raise a ConfigError where tests of tasks to train on share the program's process, unless that is allowed.

    A script does so, whatever the source says of its trust.
    """
    oracles = [tasks.oracle(task) for task in tasks.tasks]
    scripts = [
        oracle.task_id
        for oracle in oracles
        if oracle.trust == "script" or any(isinstance(test, ScriptTest) for test in oracle.tests)
    ]
    if scripts and not allow_scripts:
        raise ConfigError(
            f"{len(scripts)} tasks (such as {scripts[0]}) are judged by scripts that share the program's process, "
            "where a policy can forge a pass; leave them out, or set allow_scripts"
        )


def sampling_params(config: SamplingConfig, *, temperature: float | None = None, max_tokens: int = 0) -> SamplingParams:
    """A config's sampling for the engine; kept sets are asked for where sampling is truncated."""
    return SamplingParams(
        max_tokens=max_tokens or config.max_tokens,
        temperature=config.temperature if temperature is None else temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        stop=config.stop,
        kept=config.top_p < 1 or config.top_k > 0,
    )
