"""TRL's trainers, imported when a test asks for one: it takes seconds, which every process of the tests would spend."""

import importlib
import warnings
from functools import cache

import pytest

__all__ = ["trl_class"]

MODULES = {
    "CPOTrainer": "trl.experimental.cpo",
    "DPOTrainer": "trl.trainer.dpo_trainer",
    "GRPOTrainer": "trl.trainer.grpo_trainer",
    "KTOTrainer": "trl.trainer.kto_trainer",
    "ORPOTrainer": "trl.experimental.orpo",
    "RLOOTrainer": "trl.trainer.rloo_trainer",
    "RewardTrainer": "trl.trainer.reward_trainer",
}


@cache
def trl_class(name):
    """The class; the test is skipped where TRL is missing or older than 1.16."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies, while they are imported
        pytest.importorskip("trl", minversion="1.16")
        return getattr(importlib.import_module(MODULES[name]), name)
