"""Rewards: from a verdict to a score."""

__all__ = ["REWARDS"]

REWARDS = {
    "tests": "verigrad.rewards.tests:all_pass",
    "fraction": "verigrad.rewards.tests:fraction",
    "corrected": "verigrad.rewards.tests:corrected",
    "power": "verigrad.rewards.tests:power",
    "weighted": "verigrad.rewards.tests:weighted",
    "subtasks": "verigrad.rewards.tests:subtasks",
    "public": "verigrad.rewards.public:public",
    "ladder": "verigrad.rewards.outcome:ladder",
    "adaptive": "verigrad.rewards.outcome:adaptive",
    "ppocoder": "verigrad.rewards.structure:ppocoder",
    "signature": "verigrad.rewards.signature:signature",
    "patch": "verigrad.rewards.patch:patch",
    "syntax": "verigrad.rewards.controls:syntax",
    "static": "verigrad.rewards.lint:static",
    "lint": "verigrad.rewards.lint:lint",
    "style": "verigrad.rewards.lint:style",
    "typed": "verigrad.rewards.typed:typed",
    "quality": "verigrad.rewards.quality:quality",
    "security": "verigrad.rewards.security:security",
    "form": "verigrad.rewards.writing:form",
    "brevity": "verigrad.rewards.writing:brevity",
    "repetition": "verigrad.rewards.writing:repetition",
    "clean": "verigrad.rewards.gated:clean",
    "general": "verigrad.rewards.special_casing:general",
    "honest": "verigrad.rewards.gated:honest",
    "secure": "verigrad.rewards.gated:secure",
    "short": "verigrad.rewards.gated:short",
    "random": "verigrad.rewards.controls:random",
}
