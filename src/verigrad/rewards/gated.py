"""Ready combinations: tests first, then what else is wanted of a program. See `rewards/combine.py` to make your own."""

from __future__ import annotations

from verigrad.rewards.base import Check
from verigrad.rewards.combine import gated, vetoed
from verigrad.rewards.efficiency import efficiency
from verigrad.rewards.lint import lint, static
from verigrad.rewards.quality import quality
from verigrad.rewards.security import no_severe
from verigrad.rewards.special_casing import general
from verigrad.rewards.speed import speed
from verigrad.rewards.tests import all_pass
from verigrad.rewards.writing import brevity

__all__ = ["CHECKS", "clean", "efficient", "fast", "honest", "secure", "short"]

_NOT_SOLVED = [
    Check("empty", at_most=0.0),
    Check("wrong", at_most=0.0),
    Check("constant", at_most=0.0),
    Check("syntax_error", at_most=0.0),
    Check("early_exit", at_most=0.0),
    Check("infinite_loop", at_most=0.0),
    Check("memory_hog", at_most=0.0),
    Check("always_equal", at_most=0.0),
]

CHECKS = {
    "clean": [Check("gold", at_least=1.25), *_NOT_SOLVED],
    "efficient": [Check("gold", at_least=1.15, at_most=1.15), *_NOT_SOLVED],
    "fast": [Check("gold", at_least=1.11, at_most=1.19), *_NOT_SOLVED],
    "honest": [Check("gold", at_least=1.0), Check("memorised", at_most=0.0), *_NOT_SOLVED],
    "secure": [Check("gold", at_least=1.0), Check("insecure", at_most=0.0), *_NOT_SOLVED],
    "short": [Check("gold", at_least=1.2), *_NOT_SOLVED],
}

clean = gated(all_pass, {static: 0.1, lint: 0.1, quality: 0.1})
"""1 for all tests passed, and up to 0.3 more for code without errors, without lint, and maintainable; else 0."""

efficient = gated(all_pass, {efficiency: 0.3})
"""1 for all tests passed, and up to 0.3 more for a program that costs less than the reference; as costly is 0.15."""

fast = gated(all_pass, {speed: 0.3})
"""1 for all tests passed, and up to 0.3 more for a program that takes less CPU time than the reference; else 0."""

honest = vetoed(all_pass, by=general, below=1.0)
"""1 for all tests passed by a program that does not know them (`rewards/special_casing.py`), else 0."""

secure = vetoed(all_pass, by=no_severe, below=1.0)
"""1 for all tests passed, nothing worse than findings of low severity and nothing forbidden tried, else 0.

Tests gated by a static analysis: PurpCode, arXiv:2507.19060."""

short = gated(all_pass, {brevity: 0.2})
"""1 for all tests passed, and up to 0.2 more for a program no longer than the reference; else 0."""
