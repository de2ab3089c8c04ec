"""Proofs: answers whose judge is a solver or a proof checker, and no test."""

__all__: list[str] = []
