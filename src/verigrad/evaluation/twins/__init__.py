"""Diffusion models beside causal ones that learned the same: measured part by part, told on one page."""

__all__: list[str] = []
