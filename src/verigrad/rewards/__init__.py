"""Rewards: from a verdict to a score."""

__all__ = ["REWARDS"]

REWARDS = {
    "tests": "verigrad.rewards.tests:all_pass",
    "fraction": "verigrad.rewards.tests:fraction",
    "ladder": "verigrad.rewards.outcome:ladder",
    "adaptive": "verigrad.rewards.outcome:adaptive",
    "ppocoder": "verigrad.rewards.structure:ppocoder",
    "syntax": "verigrad.rewards.controls:syntax",
    "random": "verigrad.rewards.controls:random",
}
