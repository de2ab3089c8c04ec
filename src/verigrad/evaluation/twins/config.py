"""What `verigrad compare` is told; without torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

from verigrad.engines.denoise_params import DenoiseParams
from verigrad.errors import ConfigError

__all__ = ["PARTS", "CompareConfig", "Kind"]

Kind = Literal["diffusion", "causal"]
PARTS = ("temperature", "steps", "infilling", "repair", "output", "order", "likelihood", "playback")


@dataclass(frozen=True, kw_only=True)
class CompareConfig:
    """Diffusion models against causal ones that learned the same from the same start, one pair a seed.

    Attributes:
        run: folder for rows, summary and page.
        diffusion: model folders, one a seed.
        causal: their twins, in the same order.
        diffusion_before: the diffusion models before reinforcement learning, for the order of writing; or none.
        causal_fim: twins trained to fill in the middle; empty where `causal` are.
        tasks: task source with gold programs that none of them trained on.
        seed: of sampling.
        parts: what to measure; empty for all.
        max_tokens: places of an answer, the end token included.
        samples: of each task, for pass@k.
        temperatures: of pass@k.
        ks: of pass@k; at most `samples`.
        order_temperatures: of the order of writing, one sample of each task.
        fractions: of the places, as steps: 0.5 fills two places with each forward pass.
        thresholds: probabilities from which on all places are written at once whose likeliest token has it.
        gap: places of the length policy `fixed`.
        rounds: of refinement.
        share: of a program's tokens that a round writes anew.
        draws: of the bound on the likelihood, for each task.
        played: tasks whose writing is shown.
        denoise: how canvases are filled where nothing else is said.
        dtype: to compute in.
        device: `auto`, `cpu`, `cuda`.
        threads: of torch on the CPU; 0 for one per core. Times depend on it, so that a folder keeps to it.
        slots: answers written at once, by both kinds of model.
        max_length: prompt and answer tokens at most.
        workers: sandboxed programs at once.
    """

    run: str = "runs/compare"
    diffusion: tuple[str, ...] = ()
    causal: tuple[str, ...] = ()
    diffusion_before: tuple[str, ...] = ()
    causal_fim: tuple[str, ...] = ()
    tasks: str = "procedural@1?split=unseen_structures"
    seed: int = 0
    parts: tuple[str, ...] = ()
    max_tokens: int = 64
    samples: int = 10
    temperatures: tuple[float, ...] = (0.2, 0.6, 1.0, 1.3)
    ks: tuple[int, ...] = (1, 5, 10)
    order_temperatures: tuple[float, ...] = (0.2, 1.0)
    fractions: tuple[float, ...] = (1.0, 0.5, 0.25, 0.125)
    thresholds: tuple[float, ...] = (0.95, 0.9, 0.7)
    gap: int = 16
    rounds: int = 4
    share: float = 0.25
    draws: int = 16
    played: int = 6
    denoise: DenoiseParams = field(default_factory=DenoiseParams)
    dtype: Literal["float32", "bfloat16"] = "float32"
    device: str = "auto"
    threads: int = 0
    slots: int = 64
    max_length: int = 512
    workers: int = 2

    def __post_init__(self) -> None:
        counts = {name: len(getattr(self, name)) for name in ("diffusion", "causal", "diffusion_before", "causal_fim")}
        if not counts["diffusion"] or counts["diffusion"] != counts["causal"]:
            raise ConfigError(f"{counts['diffusion']} diffusion and {counts['causal']} causal models; wanted pairs")
        for name in ("diffusion_before", "causal_fim"):
            if counts[name] not in (0, counts["diffusion"]):
                raise ConfigError(f"{counts[name]} models under {name}; wanted none, or {counts['diffusion']}")
        for part in self.parts:
            if part not in PARTS:
                raise ConfigError(f"unknown part {part!r}; known: {', '.join(PARTS)}")
        if max(self.ks, default=1) > self.samples:
            raise ConfigError(f"pass@{max(self.ks)} of {self.samples} samples; wanted samples of at least as many")
        if min((*self.temperatures, *self.order_temperatures), default=1.0) <= 0:
            raise ConfigError("a temperature of 0 makes all samples alike; wanted above 0 (`steps` is greedy)")
        self.denoise.check_places(self.max_tokens, "max_tokens")
        for threshold in self.thresholds:
            self.by_threshold(threshold)
        for fraction in self.fractions:
            if not 1 / self.max_tokens <= fraction <= 1:
                raise ConfigError(
                    f"fraction {fraction} of {self.max_tokens} places; wanted one step at least, 1 at most"
                )

    @property
    def one_by_one(self) -> DenoiseParams:
        """`denoise`, but one token a step."""
        return replace(self.denoise, schedule="exact", steps=0, threshold=DenoiseParams.threshold)

    def by_threshold(self, threshold: float) -> DenoiseParams:
        """`denoise`, but all tokens at once that are as probable."""
        return replace(self.denoise, schedule="threshold", steps=0, threshold=threshold)

    @property
    def chosen(self) -> tuple[str, ...]:
        """The parts to measure, in order."""
        return tuple(part for part in PARTS if part in self.parts) or PARTS
