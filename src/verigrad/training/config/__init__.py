"""Settings of the training loops: frozen dataclasses without torch, so that `--help` is fast.

Defaults are the settings we would start with on a laptop CPU and the default model.
"""

from __future__ import annotations

from verigrad.training.config.preference import JudgeConfig, PreferenceConfig, RewardModelConfig
from verigrad.training.config.rl import AuditConfig, CostConfig, CriticConfig, ProcessConfig, RLConfig
from verigrad.training.config.stage import (
    Dtype,
    LoraConfig,
    OptimConfig,
    ReportConfig,
    SamplingConfig,
    ScoringConfig,
    StageConfig,
    changed_settings,
    start_alike,
)
from verigrad.training.config.supervised import DiffusionConfig, NoiseConfig, SFTConfig
from verigrad.training.config.tiny import TinyConfig

__all__ = [
    "AuditConfig",
    "CostConfig",
    "CriticConfig",
    "DiffusionConfig",
    "Dtype",
    "JudgeConfig",
    "LoraConfig",
    "NoiseConfig",
    "OptimConfig",
    "PreferenceConfig",
    "ProcessConfig",
    "RLConfig",
    "ReportConfig",
    "RewardModelConfig",
    "SFTConfig",
    "SamplingConfig",
    "ScoringConfig",
    "StageConfig",
    "TinyConfig",
    "changed_settings",
    "start_alike",
]
