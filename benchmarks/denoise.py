"""How fast canvases are denoised, beside the bare matrix products of the same shapes, and what the caches save.

    python benchmarks/denoise.py                                   SmolLM2-135M, float32 and bfloat16
    python benchmarks/denoise.py --model FOLDER --mask-id 7        another causal model, converted in memory
    python benchmarks/denoise.py --rows 4 --steps 3 --repeats 1    a quick look
    python benchmarks/denoise.py --json                            one object a line

Rows have prompts of the same length and between half and all of the canvas masked, so that each has a count of its own.
The products are those of every linear layer on every position, in the dtype, and of the head on the places that are
still masked, pass by pass; attention, norms, sampling and everything else is what a share below 1 consists of. Each
side runs once before the clock does; then they take turns, the best run counts. The first line takes `repeats` + 1 runs
of both sides, and time goes by rows x steps.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from verigrad.environment import settle_torch

settle_torch()

import torch
from torch import Tensor

from verigrad.allocator import keep_freed_memory
from verigrad.engines.base import SamplingParams
from verigrad.engines.denoise import Denoised, canvases, denoise
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.models.causal import body_of, load_causal
from verigrad.models.diffusion import DiffusionSpec
from verigrad.models.visibility import AttentionKind

__all__ = ["main"]

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def main() -> None:
    options = _options()
    keep_freed_memory()  # as every run does
    model, tokenizer = load_causal(options.model)
    for name in options.dtypes:
        for row in (
            _rate(model, tokenizer, options, name),
            _cache(model, tokenizer, options, name, "block"),
            _cache(model, tokenizer, options, name, "prefix"),
        ):
            print(json.dumps(row) if options.json else _told(row), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--mask-id", type=int, default=16)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--prompt", type=int, default=80, help="tokens of each prompt")
    parser.add_argument("--canvas", type=int, default=96, help="places behind it")
    parser.add_argument("--steps", type=int, default=12, help="forward passes a row is filled in")
    parser.add_argument("--block", type=int, default=16, help="positions of a block, for the cache")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dtypes", nargs="+", default=list(DTYPES), choices=list(DTYPES))
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _spec(tokenizer: Any, options: argparse.Namespace, attention: AttentionKind) -> DiffusionSpec:
    return DiffusionSpec(
        mask_id=options.mask_id,
        shift=True,
        attention=attention,
        block_length=options.block if attention == "block" else 0,
        pad_policy="none",
        pad_id=tokenizer.eos_token_id,
    )


def _rows(options: argparse.Namespace, spec: DiffusionSpec) -> list[list[int]]:
    """Prompts and canvases; the first half of a canvas is masked in every row, of the second each row's own part."""
    draw = torch.Generator().manual_seed(0)
    given = torch.randint(100, 400, (options.rows, options.prompt + options.canvas), generator=draw).tolist()
    half = options.canvas // 2
    counts = [half + number * half // max(1, options.rows - 1) for number in range(options.rows)]
    return [
        [*row[: options.prompt], *[spec.mask_id] * count, *row[options.prompt + count :]]
        for row, count in zip(given, counts, strict=True)
    ]


def _run(model: Any, options: argparse.Namespace, spec: DiffusionSpec, dtype: torch.dtype, cache: bool) -> Denoised:
    ids, real = canvases(_rows(options, spec), spec)
    return denoise(
        model,
        ids,
        spec,
        DenoiseParams(steps=options.steps),
        sampling=[SamplingParams(temperature=1.0)] * options.rows,
        seeds=list(range(options.rows)),
        real=real,
        use_cache=cache,
        dtype=dtype,
    )


def _products(model: Any, options: argparse.Namespace, found: Denoised, dtype: torch.dtype) -> Callable[[], None]:
    """The matrix products that filling these canvases is made of, and nothing else."""
    positions = found.ids.numel()
    body = body_of(model)
    matrices = {id(own): own for own in body.parameters() if own.dim() == 2}
    matrices.pop(id(body.get_input_embeddings().weight))
    weights = [own.detach().to(dtype) for own in matrices.values()]
    head = model.get_output_embeddings().weight.detach().to(dtype)
    inputs = {weight.shape[1]: torch.randn(positions, weight.shape[1], dtype=dtype) for weight in weights}
    steps = int(found.step_map.max()) + 1
    open_ = [int((found.step_map >= step).sum()) for step in range(steps)]
    states = torch.randn(max(open_), head.shape[1], dtype=dtype)

    def run() -> None:
        with torch.inference_mode():
            for count in open_:
                for weight in weights:
                    torch.nn.functional.linear(inputs[weight.shape[1]], weight)
                for start in range(0, count, 256):
                    torch.nn.functional.linear(states[start : min(start + 256, count)], head)

    return run


def _best(sides: Sequence[Callable[[], Any]], repeats: int) -> list[float]:
    """Seconds of each side, which has run once before; sides take turns."""
    found: list[list[float]] = [[] for _ in sides]
    for _ in range(repeats):
        for times, side in zip(found, sides, strict=True):
            started = time.perf_counter()
            side()
            times.append(time.perf_counter() - started)
    return [min(times) for times in found]


def _rate(model: Any, tokenizer: Any, options: argparse.Namespace, name: str) -> dict[str, Any]:
    dtype, spec = DTYPES[name], _spec(tokenizer, options, "full")
    found = _run(model, options, spec, dtype, True)
    products = _products(model, options, found, dtype)
    products()
    own, bare = _best([lambda: _run(model, options, spec, dtype, True), products], options.repeats)
    tokens = int((found.step_map >= 0).sum())
    return {
        "name": f"denoise.share_of_matrix_products.{name}",
        "value": bare / own,
        "unit": "share",
        "seconds": own,
        "against": {"matrix_products": bare},
        "tokens_per_second": tokens / own,
        "forwards": found.forwards,
    }


def _cache(
    model: Any, tokenizer: Any, options: argparse.Namespace, name: str, attention: AttentionKind
) -> dict[str, Any]:
    """Of finished blocks, or of the prompt."""
    dtype, spec = DTYPES[name], _spec(tokenizer, options, attention)
    sides: list[Callable[[], Denoised]] = [
        lambda: _run(model, options, spec, dtype, True),
        lambda: _run(model, options, spec, dtype, False),
    ]
    same = _same(sides[0]().ids, sides[1]().ids)
    cached, plain = _best(sides, options.repeats)
    return {
        "name": f"denoise.{attention}_cache_speed_up.{name}",
        "value": plain / cached,
        "unit": "times",
        "seconds": cached,
        "against": {"without": plain},
        "same_tokens": same,
    }


def _same(one: Tensor, other: Tensor) -> float:
    """Share of places where both wrote the same; below 1 by rounding alone."""
    return float((one == other).float().mean())


def _told(row: dict[str, Any]) -> str:
    others = ", ".join(f"{name} {value:.3f} s" for name, value in row["against"].items())
    rest = {key: value for key, value in row.items() if key not in ("name", "value", "unit", "seconds", "against")}
    extra = ", ".join(f"{key} {value:.3g}" for key, value in rest.items())
    return f"{row['name']}: {row['value']:.2f} {row['unit']} ({row['seconds']:.3f} s; {others}; {extra})"


if __name__ == "__main__":
    main()
