"""The built-in suite: families of small Python functions, cut into four splits.

About one family in six is held out whole for `unseen_families`. Every other family gives instances of `train`,
`validation` and `unseen_instances`, which differ in wording (the 4th statement is only for validation, the 5th
only for unseen instances), in function names (likewise the 3rd and the 4th) and in the streams their parameters
and inputs are drawn from.
"""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import product
from typing import NamedTuple

from verigrad.errors import ConfigError, TaskError
from verigrad.registry import did_you_mean
from verigrad.tasks.base import TaskSet
from verigrad.tasks.builtin import (
    easy_lists,
    easy_logic,
    easy_mappings,
    easy_numbers,
    easy_searching,
    easy_strings,
    hard_algorithms,
    hard_dynamic,
    hard_graphs,
    hard_grids,
    hard_matrices,
    hard_numbers,
    hard_simulation,
    hard_strings,
    hard_structures,
    hard_text,
    medium_numbers,
    medium_sequences,
    medium_simulation,
    medium_structures,
    medium_text,
)
from verigrad.tasks.builtin.easy_subset import EASY_FAMILIES, EASY_INSTANCES
from verigrad.tasks.builtin.family import DIFFICULTIES, Family
from verigrad.tasks.builtin.instance import Instance, draw_hidden, make_instance, random_stream, render
from verigrad.tasks.builtin.prompt import write_prompt
from verigrad.types import CallTest, Oracle, Task

__all__ = [
    "FAMILIES",
    "HELD_OUT",
    "MODULES",
    "SPLITS",
    "VERSION",
    "fresh_oracle",
    "is_builtin",
    "load",
    "load_easy",
    "wrong_programs",
]

VERSION = 1
SPLITS = ("train", "validation", "unseen_instances", "unseen_families")

MODULES = (
    *(easy_numbers, easy_strings, easy_lists, easy_searching, easy_mappings, easy_logic),
    *(medium_numbers, medium_sequences, medium_simulation, medium_structures, medium_text),
    *(hard_algorithms, hard_dynamic, hard_graphs, hard_grids, hard_matrices),
    *(hard_numbers, hard_simulation, hard_strings, hard_structures, hard_text),
)
FAMILIES: dict[str, Family] = {family.key: family for module in MODULES for family in module.FAMILIES}

# Listed, not computed, so that a new family never moves an old one to another split.
HELD_OUT = frozenset(
    (
        *("rectangle_perimeter", "total_minutes", "count_digits", "full_boxes", "full_name", "swap_case"),
        *("ends_with_letter", "longest_word_length", "average_list", "drop_first", "minimum_of_list"),
        *("sum_of_values", "only_in_first", "first_of_pairs", "any_zero", "row_sums", "league_points"),
        *("collatz_steps", "roman_value", "fizzbuzz_list", "rotate_list", "longest_equal_run", "insertion_index"),
        *("bottle_exchange", "triangle_kind", "caesar_shift", "common_prefix", "first_repeat"),
        *("dict_changes", "matrix_product", "mutual_pairs", "nesting_depth"),
        *("remainder_clues", "tower_moves", "largest_square", "fewest_coins", "task_order", "merge_intervals"),
        *("turn_border", "lru_cache", "round_robin", "longest_palindrome", "wrap_words"),
    )
)


class _Place(NamedTuple):
    """Where an instance stands in the suite; decides all that is drawn for it."""

    split: str
    key: str
    number: int
    seed: int

    @property
    def id(self) -> str:
        seed = f"-{self.seed}" if self.seed else ""
        return f"builtin@{VERSION}/{self.split}/{self.key}/{self.number}{seed}"

    @property
    def stream(self) -> tuple[object, ...]:
        return (f"builtin@{VERSION}", self.seed, self.split, self.key, self.number)


def load(
    split: str = "train",
    *,
    difficulty: str | None = None,
    families: tuple[str, ...] | None = None,
    instances: int = 4,
    seed: int = 0,
    num_tests: int = 8,
    num_public: int = 2,
) -> TaskSet:
    """Make the tasks of one split, first instance of every family first.

    Args:
        split: one of `SPLITS`.
        difficulty: only families of this difficulty; None for all.
        families: only these keys, which must belong to the split; None for all.
        instances: of each family.
        seed: other seeds give other instances, whose ids end in `-<seed>`.
        num_tests: hidden tests of an instance; more where a family has many edges.
        num_public: examples in the prompt.

    Raises:
        ConfigError: an unknown split, difficulty or family, or a family of another split.
        TaskError: a family cannot give such instances.
    """
    chosen = _select(split, difficulty, families)
    tasks, oracles = [], {}
    for number in range(instances):
        for family in chosen:
            place = _Place(split, family.key, number, seed)
            instance = _instance(family, place, num_tests, num_public)
            tasks.append(_task(place.id, instance))
            oracles[place.id] = _oracle(place.id, instance)
    return TaskSet(f"builtin@{VERSION}/{split}", tuple(tasks), oracles, {})


def load_easy(split: str = "train", *, families: tuple[str, ...] | None = None, seed: int = 0) -> TaskSet:
    """The frozen easy subset `builtin-easy@1` (see `easy_subset`), or some of its families.

    Another seed gives other instances of the same families, for a second look at a result.

    Raises:
        ConfigError: an unknown split, or a family that this split of the subset has not.
    """
    own: tuple[str, ...] = EASY_FAMILIES
    if split == "unseen_families":
        own = tuple(key for key in sorted(HELD_OUT) if FAMILIES[key].difficulty == "easy")
    for key in families or ():
        if key in FAMILIES and key not in own:
            raise ConfigError(f"family {key!r} is not in builtin-easy@{VERSION}/{split}; builtin@{VERSION} may have it")
    families = own if families is None else families
    loaded = load(split, difficulty="easy", families=families, instances=EASY_INSTANCES.get(split, 0), seed=seed)
    return TaskSet(f"builtin-easy@{VERSION}/{split}", loaded.tasks, loaded.oracles, {})


def wrong_programs(task: Task) -> tuple[str, ...]:
    """Plausible wrong programs for a task of this suite, each of which fails at least one hidden test.

    Raises:
        TaskError: the task is not of this suite and version.
    """
    place = _parse(task.id)
    if place is None or place.key not in FAMILIES or task.entry_point is None:
        raise TaskError(f"wanted a task of builtin@{VERSION}, got {task.id!r}")
    family = FAMILIES[place.key]
    params = family.params(random_stream(*place.stream, "params"))
    return tuple(render(template, task.entry_point, params) for template in family.wrong)


def is_builtin(task_id: str) -> bool:
    """Whether a task is of this suite, and so can have its hidden tests drawn anew."""
    place = _parse(task_id)
    return place is not None and place.key in FAMILIES


def fresh_oracle(task: Task, oracle: Oracle, seed: int) -> Oracle:
    """The oracle with other drawn inputs, as many and as telling as before; what the prompt shows stays.

    Raises:
        TaskError: the task is not of this suite and version.
    """
    place = _parse(task.id)
    if place is None or place.key not in FAMILIES:
        raise TaskError(f"wanted a task of builtin@{VERSION}, got {task.id!r}")
    examples = [test for test in task.public_tests if isinstance(test, CallTest)]
    tests, rate = draw_hidden(
        FAMILIES[place.key],
        seed=place.stream,
        fresh=seed,
        examples=examples,
        num_drawn=sum(test.name.startswith("drawn_") for test in oracle.tests),
    )
    return replace(oracle, tests=tests, constant_pass_rate=rate)


def _select(split: str, difficulty: str | None, keys: tuple[str, ...] | None) -> list[Family]:
    if split not in SPLITS:
        raise ConfigError(f"unknown split {split!r}{did_you_mean(split, SPLITS)}; known: {', '.join(SPLITS)}")
    if difficulty not in (None, *DIFFICULTIES):
        raise ConfigError(f"unknown difficulty {difficulty!r}; known: {', '.join(DIFFICULTIES)}")
    members = {key: family for key, family in FAMILIES.items() if (key in HELD_OUT) == (split == "unseen_families")}
    for key in keys or ():
        if key not in FAMILIES:
            raise ConfigError(f"unknown family {key!r}{did_you_mean(key, FAMILIES)}")
        if key not in members:
            raise ConfigError(f"family {key!r} is not in split {split!r}")
    return [
        family
        for key, family in members.items()
        if difficulty in (None, family.difficulty) and (keys is None or key in keys)
    ]


def _instance(family: Family, place: _Place, num_tests: int, num_public: int) -> Instance:
    wordings = _wordings(family, place.split)
    random_stream(f"builtin@{VERSION}", place.seed, place.split, place.key, "wordings").shuffle(wordings)
    statement, name = wordings[place.number % len(wordings)]
    return make_instance(
        family, name=name, statement=statement, seed=place.stream, num_tests=num_tests, num_public=num_public
    )


def _wordings(family: Family, split: str) -> list[tuple[str, str]]:
    """The pairs of statement and function name that a split may use."""
    statements, names = family.statements, family.names
    if split == "train":
        statements, names = statements[:3] + statements[5:], names[:2] + names[4:]
    elif split == "validation":
        statements, names = statements[3:4], names[2:3]
    elif split == "unseen_instances":
        statements, names = statements[4:5], names[3:4]
    return list(product(statements, names))


def _task(task_id: str, instance: Instance) -> Task:
    family = instance.family
    return Task(
        id=task_id,
        prompt=write_prompt(instance.name, family.signature, instance.statement, instance.examples),
        entry_point=instance.name,
        public_tests=instance.examples,
        tags=("source:builtin", f"family:{family.key}", f"topic:{family.topic}"),
        difficulty=family.difficulty,
    )


def _oracle(task_id: str, instance: Instance) -> Oracle:
    return Oracle(
        task_id=task_id,
        tests=instance.hidden,
        gold=instance.gold,
        comparator=instance.family.comparator,
        constant_pass_rate=instance.constant_pass_rate,
    )


def _parse(task_id: str) -> _Place | None:
    match = re.fullmatch(rf"builtin@{VERSION}/(\w+)/(\w+)/(\d+)(?:-(-?\d+))?", task_id)
    if match is None:
        return None
    split, key, number, seed = match.groups()
    return _Place(split, key, int(number), int(seed or 0))
