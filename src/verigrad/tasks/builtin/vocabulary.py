"""Short English words for inputs that a small model should read with ease."""

from __future__ import annotations

from random import Random

__all__ = ["WORDS", "sentence", "some_words"]

_TEXT = (
    "a i we he it us on up at go big red cat dog sun sea cup hat map old new two bus sky tea ant bee fox owl "
    "blue tree fish bird milk rain wind book door game hand king lake moon nest park ring ship snow star time "
    "apple bread chair cloud dance earth fruit glass green horse house light lemon music night ocean paper "
    "piano river stone table tiger water bridge butter circle family flower garden island kitten letter market "
    "orange pencil planet rabbit school spring summer window winter balloon chicken diamond kitchen morning "
    "picture rainbow station village birthday elephant mountain notebook sandwich umbrella adventure breakfast "
    "butterfly chocolate"
)
WORDS = tuple(_TEXT.split())


def some_words(random: Random, low: int, high: int) -> list[str]:
    """A list of `low` to `high` of the words, perhaps some of them twice."""
    return random.choices(WORDS, k=random.randint(low, high))


def sentence(random: Random, low: int = 2, high: int = 6) -> str:
    """Such words with single spaces between them."""
    return " ".join(some_words(random, low, high))
