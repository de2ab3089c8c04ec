"""Advantages, objectives, reductions and penalties as pure tensor functions, and the table of named algorithms.

Imports torch and nothing else of this package, so the maths can be lifted out.
"""

from verigrad.algorithms.presets import DR_GRPO, GRPO, PRESETS, REINFORCE, RLOO, Algorithm, call

__all__ = ["DR_GRPO", "GRPO", "PRESETS", "REINFORCE", "RLOO", "Algorithm", "call"]
