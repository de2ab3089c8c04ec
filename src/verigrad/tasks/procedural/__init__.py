"""Short Python functions from a grammar, held out by structure, for models of a few million parameters."""

from verigrad.tasks.procedural.suite import SPLITS, VERSION, load

__all__ = ["SPLITS", "VERSION", "load"]
