"""Proofs: answers whose judge is a solver or a proof checker, and no test."""

__all__ = ["OutOfTime"]


class OutOfTime(Exception):
    """A proof assistant did not come to the end of an answer in its time, which a busy machine may be the reason of."""
