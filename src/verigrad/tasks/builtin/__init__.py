"""The built-in suite: small Python functions in three difficulties, made from families, with hidden tests.

It needs no download. Each of its tasks has a correct program, plausible wrong ones, and hidden tests that tell
them apart and that no constant passes.
"""

from __future__ import annotations

from verigrad.tasks.builtin.family import Family
from verigrad.tasks.builtin.suite import fresh_oracle, is_builtin, load, load_easy, wrong_programs

__all__ = ["Family", "fresh_oracle", "is_builtin", "load", "load_easy", "wrong_programs"]
