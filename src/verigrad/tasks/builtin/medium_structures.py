"""Families of medium difficulty over dicts, sets, tuples, matrices, nested lists and small graphs."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints, word, words
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]

_PEOPLE = ("ann", "bob", "cleo", "dan", "eve", "finn", "gil")


def _scores(random: Random, low: int, high: int) -> dict[str, int]:
    """A few people with whole numbers, in random order."""
    return {name: random.randint(low, high) for name in random.sample(_PEOPLE, random.randint(2, 6))}


def _grid(random: Random, rows: int, columns: int) -> list[list[int]]:
    return [ints(random, columns, columns, -9, 9) for _ in range(rows)]


def _two_matrices(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    rows, inner, columns = (random.randint(1, 3) for _ in range(3))
    return _grid(random, rows, inner), _grid(random, inner, columns)


def _grid_and_cell(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    rows, columns = random.randint(1, 4), random.randint(2, 4)
    grid = [[int(random.random() < 0.6) for _ in range(columns)] for _ in range(rows)]
    return grid, random.randrange(rows), random.randrange(columns)


def _intervals(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Half of the time intervals that only touch, else short ones anywhere."""
    if random.random() < 0.5:
        cuts = sorted(random.sample(range(30), random.randint(3, 6)))
        intervals = list(pairwise(cuts))
    else:
        starts = ints(random, 3, 5, 0, 30)
        intervals = [(start, start + random.randint(1, 9)) for start in starts]
    random.shuffle(intervals)
    return (intervals,)


def _nested(random: Random, depth: int) -> list[Any]:
    """Numbers and lists, at most `depth` levels deep."""
    items: list[Any] = []
    for _ in range(random.randint(0, 4)):
        deeper = depth > 1 and random.random() < 0.5
        items.append(_nested(random, depth - 1) if deeper else random.randint(1, 9))
    return items


def _deep(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """A list of one to six levels, with shallower lists beside the deepest."""
    items: list[Any] = []
    for _ in range(random.randint(0, 5)):
        items = [*ints(random, 0, 2, 1, 9), items, *random.choice(([], [[]], [[4]], [[[7], 2]]))]
        random.shuffle(items)
    return (items,)


def _tree_and_path(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """A tree of dicts and a path that exists in most cases."""

    def tree(depth: int) -> dict[str, Any]:
        keys = random.sample("abc", random.randint(1, 3))
        return {key: tree(depth - 1) if depth and random.random() < 0.6 else random.randint(0, 9) for key in keys}

    data = tree(2)
    path: list[str] = []
    value: Any = data
    while isinstance(value, dict) and (not path or random.random() < 0.8):
        path.append(random.choice([*value, *value, *value, "z"]))
        value = value.get(path[-1])
    if random.random() < 0.1:
        path.append("a")
    return data, path


def _edges(random: Random, low: int, high: int) -> list[tuple[int, int]]:
    pairs = [(random.randint(1, 5), random.randint(1, 5)) for _ in range(random.randint(low, high))]
    return [(a, b) for a, b in pairs if a != b]


def _roads_and_route(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """A route over two-way roads; half of the time one of its roads is missing."""
    route = [random.randint(1, 5)]
    for _ in range(random.randint(1, 4)):
        route.append(random.choice([town for town in range(1, 6) if town != route[-1]]))
    roads = [random.choice(((a, b), (b, a))) for a, b in pairwise(route)]
    if random.random() < 0.5:
        roads = [road for road in roads if set(road) != set(roads[0])]
    roads += [road for road in _edges(random, 0, 2) if set(road) != set(route[:2])]
    random.shuffle(roads)
    return roads, route


def _password(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Strong, or lacking one of what is wanted."""
    least = params["least"]
    lacking = random.choice((None, None, None, "upper", "lower", "digit", "length"))
    kinds = {"upper": "ABC", "lower": "xyz", "digit": "0123456789"}
    kinds.pop(lacking or "", None)
    size = least - 1 if lacking == "length" else random.randint(least, least + 3)
    chars = [random.choice(kind) for kind in kinds.values()]
    chars += list(word(random, size - len(chars), size - len(chars), "".join(kinds.values()) + "-_"))
    random.shuffle(chars)
    return ("".join(chars),)


def _two_versions(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return _scores(random, 1, 3), _scores(random, 1, 3)


FAMILIES: tuple[Family, ...] = (
    Family(
        key="group_by_letter",
        topic="dicts",
        difficulty="medium",
        signature="words",
        names=("group_words", "group_by_letter", "index_words", "sort_into_boxes"),
        statements=(
            "Write a function `$name(words)` that groups a list of non-empty lower-case words by their $end letter. "
            "Return a dict from letter to the list of words with that $end letter, in the order given.",
            "Build a dictionary whose keys are the $end letters of the strings in `words` and whose values are lists "
            "of the words that have the key as their $end letter, keeping their order (and repeats). "
            "`$name([])` is {}. No word is empty.",
            "`$name(words)` should return a dict. For each word w of the list, the entry for the $end letter of w is a "
            "list that contains w; words sharing this letter stand in one list, first come, first served.",
            "An index for a dictionary, please: under each letter I want the words with this $end letter, as a list in "
            "original order, duplicates included. `$name` takes a list of non-empty words and returns a dict, which is "
            "empty for no words.",
            "Distribute non-empty words into boxes labelled by their $end letter. The boxes are the values of a dict, "
            "each a list filled in the order of `words`, and the labels are its keys. Implement it as `$name(words)`.",
        ),
        gold="""\
def $name(words):
    groups = {}
    for word in words:
        groups.setdefault(word[$index], []).append(word)
    return groups
""",
        inputs=lambda random, params: (words(random, 1, 7, 1, 4, "abc"),),
        edges=lambda params: (([],), (["ba", "ab", "ba", "bb"],)),
        params=lambda random: random.choice(({"end": "first", "index": 0}, {"end": "last", "index": -1})),
        wrong=(
            """\
def $name(words):
    return {word[$index]: [word] for word in words}
""",
            """\
def $name(words):
    groups = {}
    for word in words:
        groups[word[$index]] = groups.get(word[$index], 0) + 1
    return groups
""",
            """\
def $name(words):
    groups = {}
    for word in sorted(set(words)):
        groups.setdefault(word[$index], []).append(word)
    return groups
""",
        ),
    ),
    Family(
        key="invert_mapping",
        topic="dicts",
        difficulty="medium",
        signature="mapping",
        names=("invert", "invert_mapping", "keys_by_value", "flip_dict"),
        statements=(
            "Write `$name(mapping)` that inverts a dict from strings to integers: the result maps each value to the "
            "list of all keys that have it, sorted alphabetically.",
            "Given a dictionary of names and numbers, return one that leads from each number to the sorted list of "
            "names with that number. `$name({})` is {}.",
            "`$name(mapping)`: turn {'a': 1, 'b': 2, 'c': 1} into {1: ['a', 'c'], 2: ['b']}. Keys are strings, values "
            "are ints, and every list in the result is in ascending order.",
            "People (strings) have chosen rooms (ints); `mapping` tells who is where. I need to know for each room "
            "that is used who is in it, as a dict from room to an alphabetical list. Implement `$name(mapping)`.",
            "Swap the roles of keys and values of a dict. As several keys may share a value, the values of the new "
            "dict are lists of the old keys, arranged alphabetically. The function `$name` returns the new dict.",
        ),
        gold="""\
def $name(mapping):
    inverted = {}
    for key in sorted(mapping):
        inverted.setdefault(mapping[key], []).append(key)
    return inverted
""",
        inputs=lambda random, params: (_scores(random, 1, 4),),
        edges=lambda params: (({},), ({"c": 1, "b": 2, "a": 1},)),
        wrong=(
            """\
def $name(mapping):
    return {value: key for key, value in mapping.items()}
""",
            """\
def $name(mapping):
    inverted = {}
    for key, value in mapping.items():
        inverted.setdefault(value, []).append(key)
    return inverted
""",
            """\
def $name(mapping):
    return {value: [key] for key, value in sorted(mapping.items())}
""",
        ),
    ),
    Family(
        key="merge_counts",
        topic="dicts",
        difficulty="medium",
        signature="first, second",
        names=("merge_counts", "add_dicts", "combine_totals", "sum_up_dicts"),
        statements=(
            "Write `$name(first, second)` that merges two dicts from names to integers into a new one. A name in both "
            "gets the sum of its values; names whose result is 0 are left out.",
            "Add two dictionaries with integer values key by key, treating a missing key as 0, and drop every key "
            "whose total is 0. `$name(first, second)` returns a new dict.",
            "`$name(first, second)` combines two tallies (dict of str to int, values may be negative): the result "
            "holds each key found in either, with the total of its values, unless that total is zero.",
            "Two cash books record for each person what was paid (positive) or owed (negative), as dicts of ints. Make "
            "one book out of `first` and `second` which lists only people whose balance is not 0. Name it `$name`.",
            "For all keys of the dicts `first` and `second` compute first value plus second value (0 where a dict "
            "lacks the key). Collect the non-zero sums in a dict and return it from `$name`. Do not change the "
            "arguments.",
        ),
        gold="""\
def $name(first, second):
    totals = dict(first)
    for key, value in second.items():
        totals[key] = totals.get(key, 0) + value
    return {key: total for key, total in totals.items() if total != 0}
""",
        inputs=lambda random, params: (_scores(random, -3, 3), _scores(random, -3, 3)),
        edges=lambda params: (({}, {}), ({"a": 2, "b": 1}, {"b": 4, "c": -1}), ({"a": 2, "b": 0}, {"a": -2})),
        wrong=(
            """\
def $name(first, second):
    return {**first, **second}
""",
            """\
def $name(first, second):
    totals = dict(first)
    for key, value in second.items():
        totals[key] = totals.get(key, 0) + value
    return totals
""",
            """\
def $name(first, second):
    return {key: first[key] + second[key] for key in first if key in second and first[key] + second[key]}
""",
        ),
    ),
    Family(
        key="best_of_scores",
        topic="dicts",
        difficulty="medium",
        signature="scores",
        names=("best_player", "winner", "leader", "front_runner"),
        statements=(
            "Write `$name(scores)` that returns the name with the $most score in a dict from names to integers. If "
            "several have it, return the alphabetically first of them; for an empty dict return None.",
            "In `scores`, a dict of player names and points, who has the $most points? `$name(scores)` returns the "
            "name. A tie is decided by alphabetical order (the earlier name wins), and without players the answer is "
            "None.",
            "`$name(scores)`: find the key whose int value is $most. Among equal ones choose the smallest key by "
            "string comparison. Return None if there are no keys.",
            "The prize goes to the person with the $most result, and if more than one person has it, to the one whose "
            "name comes first in the alphabet. Given the dict of results, `$name` returns the lucky name (or None when "
            "nobody took part).",
            "Return a key k of the dict `scores` such that no value is $more than scores[k]; of all such keys the one "
            "that sorts first, and None for {}. Keys are strings, values integers. Call the function `$name`.",
        ),
        gold="""\
def $name(scores):
    best = None
    for name in sorted(scores):
        if best is None or scores[name] $op scores[best]:
            best = name
    return best
""",
        inputs=lambda random, params: (_scores(random, 1, 4),),
        edges=lambda params: (
            ({},),
            ({"zoe": 5, "ida": 3, "bo": 3, "kit": 7, "jo": 7},),
        ),
        params=lambda random: random.choice(
            (
                {"most": "highest", "more": "higher", "op": ">", "pick": "max"},
                {"most": "lowest", "more": "lower", "op": "<", "pick": "min"},
            )
        ),
        wrong=(
            """\
def $name(scores):
    return $pick(scores, key=scores.get) if scores else None
""",
            """\
def $name(scores):
    best = None
    for name in sorted(scores):
        if best is None or scores[name] $op= scores[best]:
            best = name
    return best
""",
            """\
def $name(scores):
    return $pick(scores.values()) if scores else None
""",
        ),
    ),
    Family(
        key="dict_changes",
        topic="dicts",
        difficulty="medium",
        signature="old, new",
        names=("dict_changes", "compare_versions", "diff", "what_changed"),
        statements=(
            "Write `$name(old, new)` that compares two dicts and returns a tuple of three alphabetically sorted lists "
            "of keys: those added in `new`, those removed from `old`, and those in both whose values differ.",
            "Given two versions of a dictionary (string keys), return `(added, removed, changed)`: keys only in `new`, "
            "keys only in `old`, keys in both with different values. Each is a sorted list. Name: `$name(old, new)`.",
            "`$name(old, new)` reports differences between dicts with string keys as a tuple of sorted lists: new "
            "keys, missing keys, and common keys with an altered value, in this order.",
            "Yesterday's price list is `old`, today's is `new` (dicts from product to price). Which products are new, "
            "which are gone, and which changed their price? `$name` answers with a tuple of three lists, in this "
            "order, each sorted alphabetically.",
            "Determine what happened on the way from the dict `old` to the dict `new`. The result of `$name` is a "
            "3-tuple of key lists in ascending order; first the keys that appeared, then the keys that disappeared, "
            "then the keys that stayed but with another value.",
        ),
        gold="""\
def $name(old, new):
    added = sorted(key for key in new if key not in old)
    removed = sorted(key for key in old if key not in new)
    changed = sorted(key for key in old if key in new and old[key] != new[key])
    return (added, removed, changed)
""",
        inputs=_two_versions,
        edges=lambda params: (({}, {}), ({"b": 1, "a": 2, "d": 4}, {"c": 3, "b": 5, "a": 2, "aa": 1})),
        wrong=(
            """\
def $name(old, new):
    added = sorted(key for key in old if key not in new)
    removed = sorted(key for key in new if key not in old)
    changed = sorted(key for key in old if key in new and old[key] != new[key])
    return (added, removed, changed)
""",
            """\
def $name(old, new):
    added = sorted(set(new) - set(old))
    removed = sorted(set(old) - set(new))
    return (added, removed, sorted(set(old) & set(new)))
""",
        ),
    ),
    Family(
        key="rotate_grid",
        topic="matrices",
        difficulty="medium",
        signature="grid",
        names=("rotate_grid", "turn_matrix", "quarter_turn", "spin"),
        statements=(
            "Write `$name(grid)` that rotates a matrix by 90 degrees $sense and returns it as a new list of rows. The "
            "matrix is a list of equally long, non-empty rows and need not be square.",
            "Turn a picture, given as a non-empty list of rows of equal length, a quarter turn $sense. `$name(grid)` "
            "returns the turned picture as a list of lists.",
            "`$name(grid)`: a table with r rows and c columns (both at least 1) becomes one with c rows and r columns "
            "by a rotation of 90 degrees $sense. Return the new table; do not modify the old one.",
            "I hold a sheet with a rectangular grid of ints and turn it $sense by a right angle. What do the rows look "
            "like now? Write `$name(grid)` that takes and returns a list of row lists. There is at least one number.",
            "Compute the $sense 90-degree rotation of `grid`, which is a non-empty rectangular list of lists: its "
            "first row becomes the $becomes column. The function is called `$name`.",
        ),
        gold="""\
def $name(grid):
    turned = []
    for column in $columns:
        turned.append([row[column] for row in $rows])
    return turned
""",
        inputs=lambda random, params: (_grid(random, random.randint(1, 3), random.randint(1, 4)),),
        edges=lambda params: (([[7]],), ([[1, 2], [3, 4]],), ([[1, 2, 3], [4, 5, 6]],)),
        params=lambda random: random.choice(
            (
                {"sense": "clockwise", "becomes": "last", "columns": "range(len(grid[0]))", "rows": "reversed(grid)"},
                {
                    "sense": "counter-clockwise",
                    "becomes": "first",
                    "columns": "reversed(range(len(grid[0])))",
                    "rows": "grid",
                },
            )
        ),
        wrong=(
            """\
def $name(grid):
    return [list(column) for column in zip(*grid)]
""",
            """\
def $name(grid):
    turned = []
    for column in $columns:
        turned.append([row[column] for row in $rows])
    return [row[::-1] for row in turned[::-1]]
""",
        ),
    ),
    Family(
        key="both_diagonals",
        topic="matrices",
        difficulty="medium",
        signature="matrix",
        names=("diagonal_sum", "both_diagonals", "cross_sum", "sum_of_diagonals"),
        statements=(
            "Write `$name(matrix)` that returns the sum of all elements on the two diagonals of a square matrix, a "
            "list of lists of integers. If the size is odd, the element in the centre is counted once. "
            "The empty matrix [] has sum 0.",
            "Add the numbers lying on the main diagonal or on the anti-diagonal (top right to bottom left) of an n x n "
            "list of lists; no element counts twice. `$name(matrix)` returns the total, 0 for n = 0.",
            "`$name(matrix)`: total of the X formed by both diagonals of a square grid of ints. The middle cell, which "
            "lies on both when there is an odd number of rows, must be added only once. For [] return 0.",
            "On a square board of numbers, paint each field that lies on one of the two diagonals through corners. "
            "What do the painted fields add up to? `$name(matrix)` gets the rows as lists and returns an int (0 "
            "without any rows).",
            "For a square matrix m, sum all m[i][j] with i == j or i + j == n - 1, where n is the number of rows (0 is "
            "possible), visiting every pair (i, j) once. Implement this as `$name(matrix)`.",
        ),
        gold="""\
def $name(matrix):
    total = 0
    size = len(matrix)
    for i in range(size):
        total += matrix[i][i]
        if i != size - 1 - i:
            total += matrix[i][size - 1 - i]
    return total
""",
        inputs=lambda random, params: ((lambda size: _grid(random, size, size))(random.randint(1, 5)),),
        edges=lambda params: (([],), ([[5]],), ([[1, 2], [3, 4]],), ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],)),
        wrong=(
            """\
def $name(matrix):
    size = len(matrix)
    return sum(matrix[i][i] + matrix[i][size - 1 - i] for i in range(size))
""",
            """\
def $name(matrix):
    return sum(matrix[i][i] for i in range(len(matrix)))
""",
        ),
    ),
    Family(
        key="border_total",
        topic="matrices",
        difficulty="medium",
        signature="matrix",
        names=("border_total", "frame_sum", "edge_sum", "outer_ring"),
        statements=(
            "Write `$name(matrix)` that adds up the elements on the border of a matrix, that is in its first or last "
            "row or its first or last column, each counted once. The matrix is a non-empty list of equally long "
            "non-empty rows of integers.",
            "Sum the outermost ring of a rectangular grid of ints with at least one row and one column. In a grid of "
            "one row or one column everything is on the rim. `$name(matrix)` returns the sum; corners count once.",
            "`$name(matrix)`: which total do the cells have that touch the outside of the table? Use every such cell "
            "exactly once. The table is a list of rows, all of the same length, at least 1 x 1.",
            "Trees stand in rows, `matrix` says how many apples each bears. Only the trees at the edge of the orchard "
            "are picked. How many apples is that? `$name` handles any rectangle, even a single row or a single tree.",
            "Given a rectangular, non-empty list of lists, return the sum over all positions in row 0, the last row, "
            "column 0 or the last column, without adding any position twice. Name the function `$name`.",
        ),
        gold="""\
def $name(matrix):
    total = 0
    for i, row in enumerate(matrix):
        for j, value in enumerate(row):
            if i in (0, len(matrix) - 1) or j in (0, len(row) - 1):
                total += value
    return total
""",
        inputs=lambda random, params: (_grid(random, random.randint(1, 5), random.randint(1, 5)),),
        edges=lambda params: (([[5]],), ([[1, 2, 3]],), ([[1], [2], [4]],), ([[1, 2, 3], [4, 5, 6], [7, 8, 9]],)),
        wrong=(
            """\
def $name(matrix):
    return sum(matrix[0]) + sum(matrix[-1]) + sum(row[0] + row[-1] for row in matrix[1:-1])
""",
            """\
def $name(matrix):
    return sum(matrix[0]) + sum(matrix[-1]) + sum(row[0] + row[-1] for row in matrix)
""",
        ),
    ),
    Family(
        key="matrix_product",
        topic="matrices",
        difficulty="medium",
        signature="a, b",
        names=("matmul", "matrix_product", "multiply_matrices", "times"),
        statements=(
            "Write `$name(a, b)` that multiplies two integer matrices given as lists of rows. The number of columns of "
            "`a` equals the number of rows of `b`; both are non-empty. Return the product as a list of lists.",
            "Compute the matrix product of `a` (n x m) and `b` (m x p), n, m and p being at least 1: entry (i, j) is "
            "the sum over k of a[i][k] * b[k][j]. `$name(a, b)` returns n rows with p ints each.",
            "`$name(a, b)`: multiply matrices by hand, without libraries. Matrices are non-empty lists of equally long "
            "lists of ints, and their sizes fit. The result has as many rows as `a` and as many columns as `b`.",
            "For each row of the table `a` and each column of the table `b`, multiply the corresponding numbers and "
            "add the products. Arrange the results in a table with a row for each row of `a`. `$name` returns it as a "
            "list of lists; rows of `a` are as long as columns of `b`, and nothing is empty.",
            "Linear algebra without numpy: implement the product a times b (in this order) of two non-empty matrices "
            "of matching shapes, stored row by row in nested lists of integers. The function is `$name(a, b)`.",
        ),
        gold="""\
def $name(a, b):
    product = []
    for row in a:
        entries = []
        for column in zip(*b):
            entries.append(sum(x * y for x, y in zip(row, column)))
        product.append(entries)
    return product
""",
        inputs=_two_matrices,
        edges=lambda params: (([[3]], [[4]]), ([[1, 2], [3, 4]], [[0, 1], [1, 1]]), ([[1, 2, 3]], [[4], [5], [6]])),
        wrong=(
            """\
def $name(a, b):
    return [[x * y for x, y in zip(row, other)] for row, other in zip(a, b)]
""",
            """\
def $name(a, b):
    return [[sum(x * y for x, y in zip(row, column)) for row in a] for column in zip(*b)]
""",
        ),
    ),
    Family(
        key="mines_around",
        topic="matrices",
        difficulty="medium",
        signature="grid, row, column",
        names=("mines_around", "count_around", "nearby_ones", "adjacent_mines"),
        statements=(
            "Write `$name(grid, row, column)` that counts the ones among the up to eight neighbours (horizontal, "
            "vertical and diagonal) of a cell in a rectangular grid of zeros and ones. The cell itself does not count.",
            "Minesweeper: `grid` is a list of rows with 1 for a mine and 0 for none. How many mines are next to the "
            "field in line `row` and column `column` (0-based), diagonals included, the field itself excluded? "
            "`$name` returns the number.",
            "`$name(grid, row, column)` looks at all positions that differ from (row, column) by at most 1 in both "
            "coordinates, without the position itself, and returns how many of those inside the grid hold 1 "
            "(the others hold 0).",
            "Seats in a hall are a list of rows; 1 means taken, 0 free. For the seat at index `column` of row `row`, "
            "return the number of taken seats directly around it, also diagonally. At the rim there are just fewer "
            "seats around. Implement `$name(grid, row, column)`.",
            "Sum the entries (0 or 1) of the cells adjacent by side or corner to grid[row][column]; do not wrap around "
            "the borders, and leave out the cell in the middle. The function `$name` gets a non-empty rectangular list "
            "of lists and two valid indexes.",
        ),
        gold="""\
def $name(grid, row, column):
    count = -grid[row][column]
    for i in range(max(0, row - 1), min(len(grid), row + 2)):
        for j in range(max(0, column - 1), min(len(grid[0]), column + 2)):
            count += grid[i][j]
    return count
""",
        inputs=_grid_and_cell,
        edges=lambda params: (
            ([[1]], 0, 0),
            ([[1, 1, 0], [1, 1, 0], [0, 0, 1]], 1, 1),
            ([[1, 0, 1], [0, 0, 0], [1, 1, 1]], 0, 0),
        ),
        wrong=(
            """\
def $name(grid, row, column):
    count = 0
    for i in range(max(0, row - 1), min(len(grid), row + 2)):
        for j in range(max(0, column - 1), min(len(grid[0]), column + 2)):
            count += grid[i][j]
    return count
""",
            """\
def $name(grid, row, column):
    count = 0
    for i, j in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
        if 0 <= i < len(grid) and 0 <= j < len(grid[0]):
            count += grid[i][j]
    return count
""",
            """\
def $name(grid, row, column):
    steps = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
    return sum(grid[row + i][column + j] for i, j in steps)
""",
        ),
    ),
    Family(
        key="any_overlap",
        topic="intervals",
        difficulty="medium",
        signature="intervals",
        names=("any_overlap", "has_conflict", "double_booked", "times_collide"),
        statements=(
            "Write `$name(intervals)` that returns True if any two of the given intervals overlap and False otherwise. "
            "An interval is a tuple (start, end) of integers with start < end; intervals that only touch at an end do "
            "not overlap. The list is in no particular order and may be empty.",
            "Is a room double-booked? `intervals` lists bookings (start, end), start < end, unsorted. One booking may "
            "begin at the very moment another ends. `$name(intervals)` returns a bool: True if two bookings clash.",
            "`$name(intervals)` gets a list of (start, end) tuples with start < end in arbitrary order and decides "
            "whether some point lies strictly inside two of them. Return True or False; no intervals means False.",
            "I want to attend all talks on my list, given as tuples of begin and end (ints, begin before end), not "
            "sorted by time. Do any of them collide, going straight from one to the next being no problem? `$name` "
            "answers True if so, False if not.",
            "Check half-open ranges [start, end) with start < end, given as a possibly empty list of tuples of ints, "
            "for common elements: `$name(intervals)` is True as soon as one number belongs to two of the ranges.",
        ),
        gold="""\
def $name(intervals):
    ordered = sorted(intervals)
    for (_, end), (start, _) in zip(ordered, ordered[1:]):
        if start < end:
            return True
    return False
""",
        inputs=_intervals,
        edges=lambda params: (([],), ([(5, 8), (1, 5)],), ([(1, 10), (12, 13), (3, 4)],), ([(2, 4), (2, 4)],)),
        wrong=(
            """\
def $name(intervals):
    ordered = sorted(intervals)
    return any(second[0] <= first[1] for first, second in zip(ordered, ordered[1:]))
""",
            """\
def $name(intervals):
    return any(second[0] < first[1] for first, second in zip(intervals, intervals[1:]))
""",
            """\
def $name(intervals):
    starts = [start for start, _ in intervals]
    return len(set(starts)) < len(starts)
""",
        ),
    ),
    Family(
        key="in_several_lists",
        topic="sets",
        difficulty="medium",
        signature="groups",
        names=("in_several", "shared_by_many", "frequent_members", "popular_items"),
        statements=(
            "Write `$name(groups)` that takes a list of lists of integers and returns the sorted list of all values "
            "that occur in at least $least of the inner lists. Repeats within one list count once.",
            "Which numbers are in $least or more of the lists in `groups`? How often a number stands in one and the "
            "same list does not matter. `$name(groups)` returns them in ascending order, each once.",
            "`$name(groups)`: treat each inner list as a set and find the elements contained in no fewer than $least "
            "of the sets. The result is a sorted list of ints, possibly empty.",
            "Every list in `groups` holds the member numbers of one club (some numbers by mistake more than once). "
            "Return those who are in at least $least clubs, as a list from the smallest number to the largest: "
            "`$name(groups)`.",
            "Count for every integer how many of the given lists contain it, and return the ones with a count of "
            "$least or above, without duplicates and in increasing order. `$name` gets a list of lists, which can be "
            "empty.",
        ),
        gold="""\
def $name(groups):
    counts = {}
    for group in groups:
        for item in set(group):
            counts[item] = counts.get(item, 0) + 1
    return sorted(item for item in counts if counts[item] >= $least)
""",
        inputs=lambda random, params: ([ints(random, 1, 5, 1, 7) for _ in range(random.randint(params["least"], 5))],),
        edges=lambda params: (([],), ([[9, 9, 9, 2], [2, 1], [1, 2]],), ([[3, 1]] * params["least"] + [[2]],)),
        params=lambda random: {"least": random.choice((2, 3))},
        wrong=(
            """\
def $name(groups):
    everything = [item for group in groups for item in group]
    return sorted(item for item in set(everything) if everything.count(item) >= $least)
""",
            """\
def $name(groups):
    everything = [item for group in groups for item in set(group)]
    return sorted(item for item in set(everything) if everything.count(item) > $least)
""",
            """\
def $name(groups):
    return sorted(set.intersection(*map(set, groups))) if groups else []
""",
        ),
    ),
    Family(
        key="mutual_pairs",
        topic="sets",
        difficulty="medium",
        signature="follows",
        names=("mutual_pairs", "mutual_follows", "friend_pairs", "both_ways"),
        statements=(
            "`follows` is a list of tuples (a, b) of different integers meaning that user a follows user b; tuples may "
            "be repeated. Write `$name(follows)` that returns the pairs of users who follow each other, each once as a "
            "tuple (smaller, larger), in a sorted list.",
            "From directed links (a, b), given as a list of tuples of two different ints, pick the pairs linked in "
            "both directions. `$name(follows)` returns them as a list of tuples in ascending order, the smaller number "
            "first in each, without repetition.",
            "`$name(follows)`: find all x < y such that both (x, y) and (y, x) are in the list. Return the tuples (x, "
            "y) sorted. The list may contain the same tuple several times; both numbers of a tuple always differ.",
            "Letters were sent: (a, b) says that person a wrote to person b (not to themselves), maybe more than once. "
            "Which people have written to each other, both ways? Give each such couple once as (lower number, higher "
            "number), sorted, from a function `$name(follows)`.",
            "A relation is a list of ordered pairs of distinct ints. Return its symmetric part: pairs whose reverse is "
            "there as well, reported only in the form with the smaller int first, free of duplicates, in a sorted list "
            "of tuples. Call it `$name`.",
        ),
        gold="""\
def $name(follows):
    known = set(follows)
    mutual = []
    for a, b in known:
        if a < b and (b, a) in known:
            mutual.append((a, b))
    return sorted(mutual)
""",
        inputs=lambda random, params: (_edges(random, 5, 12),),
        edges=lambda params: (([],), ([(2, 1), (1, 2), (1, 2), (3, 1)],), ([(4, 5), (4, 5)],)),
        wrong=(
            """\
def $name(follows):
    return sorted(pair for pair in set(follows) if pair[::-1] in follows)
""",
            """\
def $name(follows):
    return sorted((a, b) for a, b in follows if a < b and (b, a) in follows)
""",
            """\
def $name(follows):
    pairs = [tuple(sorted(pair)) for pair in follows]
    return sorted(pair for pair in set(pairs) if pairs.count(pair) > 1)
""",
        ),
    ),
    Family(
        key="competition_ranks",
        topic="tuples",
        difficulty="medium",
        signature="results",
        names=("ranking", "competition_ranks", "places", "standings"),
        statements=(
            "Write `$name(results)` that takes a list of tuples (name, points) with different names and returns a dict "
            "from name to rank. Rank 1 has the $most points; equal points share a rank, and the next rank is skipped "
            "accordingly (1, 2, 2, 4).",
            "Rank the participants of a contest given as (name, points) tuples: the rank is 1 plus the number of "
            "participants whose points are strictly $more. `$name(results)` returns a dict name -> rank; {} for an "
            "empty list. Names are unique.",
            "`$name(results)`: standard competition ranking. Whoever has the $most points gets 1; people with the same "
            "points get the same rank, and as many ranks are left out after them as there are ties. Input: a list of "
            "(name, int) tuples with distinct names; output: a dict.",
            "After a race we have a list of (runner, points), $most points being best. Which place did everybody take? "
            "Runners with equal points take the same place, namely the number of runners better than them plus one. "
            "Return a dict from runner to place; `$name` is the name of the function.",
            "For each tuple (name, points) in `results` store under the name how many tuples have points that are "
            "$more, plus 1. The dict of these numbers is what `$name(results)` returns. No name occurs twice.",
        ),
        gold="""\
def $name(results):
    ranks = {}
    for name, points in results:
        better = [other for _, other in results if other $op points]
        ranks[name] = len(better) + 1
    return ranks
""",
        inputs=lambda random, params: (list(_scores(random, 1, 5).items()),),
        edges=lambda params: (([],), ([("a", 3), ("b", 5), ("c", 5), ("d", 9), ("e", 1)],)),
        params=lambda random: random.choice(
            (
                {"most": "highest", "more": "higher", "op": ">", "reverse": True},
                {"most": "lowest", "more": "lower", "op": "<", "reverse": False},
            )
        ),
        wrong=(
            """\
def $name(results):
    ordered = sorted(results, key=lambda result: result[1], reverse=$reverse)
    return {name: rank for rank, (name, _) in enumerate(ordered, 1)}
""",
            """\
def $name(results):
    levels = sorted({points for _, points in results}, reverse=$reverse)
    return {name: levels.index(points) + 1 for name, points in results}
""",
        ),
    ),
    Family(
        key="closest_point",
        topic="tuples",
        difficulty="medium",
        signature="points, target",
        names=("closest_point", "nearest", "pick_nearest", "next_station"),
        statements=(
            "Write `$name(points, target)` that returns the point of a list closest to `target`. Points are tuples (x, "
            "y) of integers and the distance is the Manhattan distance |x1 - x2| + |y1 - y2|. On a tie return the one "
            "that comes first in the list; for an empty list return None.",
            "Which of the `points`, a list of (x, y) int tuples, is nearest to the point `target` if you can only go "
            "along grid lines (so distances are |dx| + |dy|)? `$name` returns that tuple, the earliest if several "
            "are equally near, or None if there are no points.",
            "`$name(points, target)`: minimize |x - tx| + |y - ty| over the tuples (x, y) in `points`, where target is "
            "(tx, ty). Return the minimizing tuple with the lowest index. Empty input gives None.",
            "A taxi at `target` is called; in a city with streets only north-south and east-west, the way from (a, b) "
            "to (c, d) is |a - c| + |b - d|. Find the customer with the shortest way among the coordinate tuples in "
            "`points`, the one listed first if ways are equal. `$name` returns None when nobody called.",
            "Given integer coordinates as tuples, return the element of `points` with the smallest city-block distance "
            "(sum of the absolute coordinate differences) from `target`. Earlier elements win ties; without elements "
            "return None. Name the function `$name`.",
        ),
        gold="""\
def $name(points, target):
    best = None
    shortest = None
    for x, y in points:
        distance = abs(x - target[0]) + abs(y - target[1])
        if best is None or distance < shortest:
            best, shortest = (x, y), distance
    return best
""",
        inputs=lambda random, params: (
            [(random.randint(-6, 6), random.randint(-6, 6)) for _ in range(random.randint(2, 7))],
            (random.randint(-4, 4), random.randint(-4, 4)),
        ),
        edges=lambda params: (
            ([], (0, 0)),
            ([(5, 0), (3, 3)], (0, 0)),
            ([(2, 0), (0, 2), (-1, 1)], (0, 0)),
            ([(0, 1), (6, 6)], (7, 7)),
        ),
        wrong=(
            """\
def $name(points, target):
    return min(points, key=lambda p: (p[0] - target[0]) ** 2 + (p[1] - target[1]) ** 2, default=None)
""",
            """\
def $name(points, target):
    return min(points, key=lambda p: abs(p[0]) + abs(p[1]), default=None)
""",
            """\
def $name(points, target):
    return min(sorted(points), key=lambda p: abs(p[0] - target[0]) + abs(p[1] - target[1]), default=None)
""",
        ),
    ),
    Family(
        key="adjacency_lists",
        topic="graphs",
        difficulty="medium",
        signature="edges",
        names=("adjacency", "neighbour_lists", "build_graph", "who_is_next_to"),
        statements=(
            "Write `$name(edges)` that builds the adjacency lists of an undirected graph. `edges` is a list of tuples "
            "of two different integers, maybe with repeats; return a dict from each node to the sorted list of its "
            "neighbours without duplicates.",
            "An undirected graph is given as a list of edges (a, b) with a != b. `$name(edges)` returns a dict that "
            "maps every node occurring in an edge to the list of nodes it is joined to, ascending, each once.",
            "`$name(edges)` turns two-way links between numbered places into a dict: for each place, all places linked "
            "to it in increasing order. The same link may appear more than once and in either direction; list it once.",
            "Handshakes at a party are recorded as tuples (p, q) of two different guests' numbers. Make a dict which "
            "tells for everyone who shook a hand the sorted list of those they shook hands with, without repetition. "
            "Write it as `$name(edges)`; no handshakes give {}.",
            "Represent a simple graph by neighbour lists: from tuples of two distinct ints (order irrelevant, "
            "duplicates possible) compute, for every int that appears, the ascending list of its partners, and return "
            "all this as a dict from `$name(edges)`.",
        ),
        gold="""\
def $name(edges):
    neighbours = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    return {node: sorted(others) for node, others in neighbours.items()}
""",
        inputs=lambda random, params: (_edges(random, 2, 7),),
        edges=lambda params: (([],), ([(3, 1), (1, 2), (2, 1)],), ([(5, 4)],)),
        wrong=(
            """\
def $name(edges):
    neighbours = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
    return {node: sorted(others) for node, others in neighbours.items()}
""",
            """\
def $name(edges):
    neighbours = {}
    for a, b in edges:
        neighbours.setdefault(a, []).append(b)
        neighbours.setdefault(b, []).append(a)
    return {node: sorted(others) for node, others in neighbours.items()}
""",
        ),
    ),
    Family(
        key="route_exists",
        topic="graphs",
        difficulty="medium",
        signature="roads, route",
        names=("route_exists", "is_valid_route", "can_drive", "check_trip"),
        statements=(
            "Write `$name(roads, route)`. `roads` is a list of tuples (a, b) of two towns (integers) joined by a "
            "two-way road, and `route` a list of towns. Return True if each two consecutive towns of the route are "
            "joined by a road, else False. A route of fewer than two towns is always fine.",
            "Can the towns in `route` be visited in this order using only the roads given? A road (a, b) can be used "
            "from a to b and from b to a; every step of the route must be a road. `$name(roads, route)` returns a "
            "bool, True for a route without steps.",
            "`$name(roads, route)` checks a walk in an undirected graph: `roads` holds its edges as tuples, `route` "
            "the sequence of nodes. It returns True exactly if all pairs of neighbouring nodes in the sequence are "
            "edges (in either direction).",
            "A driver plans to pass the places numbered as in `route`, one after another, without places in between. "
            "Streets are tuples of the two places at their ends and allow traffic both ways. Is there a street for "
            "each leg? Implement `$name(roads, route)` returning True or False; with no legs, True.",
            "For every i, the places route[i] and route[i+1] must be the ends of some element of `roads` (tuples "
            "without direction). Return whether that holds, as a boolean, from the function `$name`; it holds "
            "trivially for an empty route and for one place.",
        ),
        gold="""\
def $name(roads, route):
    for a, b in zip(route, route[1:]):
        if (a, b) not in roads and (b, a) not in roads:
            return False
    return True
""",
        inputs=_roads_and_route,
        edges=lambda params: (
            ([], [3]),
            ([(1, 2), (3, 2)], [1, 2, 3, 2]),
            ([(1, 2), (2, 3)], [1, 3]),
            ([(1, 2), (3, 4)], [1, 2, 3, 4]),
        ),
        wrong=(
            """\
def $name(roads, route):
    return all(step in roads for step in zip(route, route[1:]))
""",
            """\
def $name(roads, route):
    towns = {town for road in roads for town in road}
    return all(town in towns for town in route)
""",
            """\
def $name(roads, route):
    if len(route) < 2:
        return True
    return tuple(route[:2]) in roads or tuple(route[1::-1]) in roads
""",
        ),
    ),
    Family(
        key="weighted_nested_sum",
        topic="recursion",
        difficulty="medium",
        signature="items",
        names=("weighted_sum", "depth_sum", "nested_total", "layered_sum"),
        statements=(
            "Write `$name(items)` that adds up all integers in an arbitrarily nested list, each multiplied by its "
            "depth. Integers directly in `items` have depth 1, those in a list inside it depth 2, and so on. "
            "Empty lists add 0.",
            "`items` contains ints and lists which again contain ints and lists. `$name(items)` returns the sum of all "
            "the ints times the number of lists each of them is inside of (the outermost list included).",
            "`$name([4, [5, [6]]])` is 4*1 + 5*2 + 6*3 = 32. Implement this depth-weighted sum of nested lists of "
            "integers for any nesting; an empty list counts nothing.",
            "Boxes contain numbers and further boxes. A number lying in the outer box counts once, a number in a box "
            "in it twice, one more level down three times... What is the total? Boxes are Python lists, possibly "
            "empty; write `$name(items)`.",
            "Recursively total a nested list: the value of an int at nesting level d is d times the int, the level of "
            "the elements of the argument itself being 1, and lists raise the level of their elements by one. Return "
            "the sum of the values from `$name(items)`.",
        ),
        gold="""\
def $name(items):
    def total(part, depth):
        result = 0
        for item in part:
            result += total(item, depth + 1) if isinstance(item, list) else depth * item
        return result

    return total(items, 1)
""",
        inputs=lambda random, params: ([*_nested(random, 4), random.randint(1, 9)],),
        edges=lambda params: (([],), ([4, [5, [6]]],), ([[[]], 3],)),
        wrong=(
            """\
def $name(items):
    return sum($name(item) if isinstance(item, list) else item for item in items)
""",
            """\
def $name(items):
    return sum(2 * sum(item) if isinstance(item, list) else item for item in items)
""",
            """\
def $name(items):
    return sum(2 * $name(item) if isinstance(item, list) else item for item in items)
""",
        ),
    ),
    Family(
        key="nesting_depth",
        topic="recursion",
        difficulty="medium",
        signature="items",
        names=("nesting_depth", "depth", "levels", "how_deep"),
        statements=(
            "Write `$name(items)` that returns the nesting depth of a list: 1 if it contains no lists (even if it is "
            "empty), otherwise 1 more than the greatest depth of the lists it contains. Other elements are integers.",
            "How deeply are lists nested in `items`? A list without inner lists has depth 1, [1, [2]] has depth 2, "
            "[[], [[]]] has depth 3. `$name(items)` returns the depth as an int.",
            "`$name(items)`: the elements of a list are ints or lists of the same kind. Return the largest number of "
            "list levels one inside another, counting the outermost list as 1 and empty lists like any others.",
            "Parcels can contain parcels. A parcel is a list; its elements are ints (goods) or parcels. How many "
            "parcels must one open, the outer one included, to get into the innermost one? Implement `$name(items)`.",
            "Determine the maximum number of square brackets that are open at the same time when the nested list of "
            "integers `items` is written down. The function is called `$name` and returns an int of at least 1.",
        ),
        gold="""\
def $name(items):
    deepest = 0
    for item in items:
        if isinstance(item, list):
            deepest = max(deepest, $name(item))
    return deepest + 1
""",
        inputs=_deep,
        edges=lambda params: (([],), ([1, [2]],), ([[], [[]]],), ([[1], [2], 3, [4, [5, [6]]], [7]],)),
        wrong=(
            """\
def $name(items):
    depth = 1
    for item in items:
        if isinstance(item, list):
            depth += $name(item)
    return depth
""",
            """\
def $name(items):
    if items and isinstance(items[0], list):
        return 1 + $name(items[0])
    return 1
""",
            """\
def $name(items):
    return 1 + max($name(item) if isinstance(item, list) else 0 for item in items)
""",
        ),
    ),
    Family(
        key="nested_lookup",
        topic="dicts",
        difficulty="medium",
        signature="data, path",
        names=("lookup", "get_path", "dig", "find_setting"),
        statements=(
            "Write `$name(data, path)` that looks up a value in nested dicts: `path` is a list of keys to follow one "
            "after another, starting in `data`. If a key is missing, or a value on the way is not a dict, return "
            "$default. An empty path returns `data` itself.",
            "Follow the strings in the list `path` into a tree of dicts (leaves are ints): data[path[0]][path[1]]... "
            "and return what is there, a dict or an int. Return $default when the path cannot be followed to its end. "
            "Name: `$name(data, path)`; no keys lead to `data`.",
            "`$name(data, path)` descends in a dictionary of dictionaries. For each key in `path` go to its value, "
            "provided the current value is a dict containing the key; otherwise the answer is $default. After the last "
            "key (or at once, for an empty list) return the current value.",
            "Our settings are dicts within dicts, with integers at the ends. To read one we give the list of names on "
            "the way to it. Write `$name(data, path)` which returns the setting (or sub-dict) found and never fails: "
            "anything that does not exist gives $default. An empty list of names means everything.",
            "Safe access to nested mappings: return the value reached from `data` via the successive keys of the list "
            "`path`. Should a step lead nowhere, since the key is absent or there is an int in place of a dict, return "
            "$default. With zero steps return `data`. Call the function `$name`.",
        ),
        gold="""\
def $name(data, path):
    for key in path:
        if not isinstance(data, dict) or key not in data:
            return $default
        data = data[key]
    return data
""",
        inputs=_tree_and_path,
        edges=lambda params: (
            ({"a": 1}, []),
            ({"a": {"b": {"c": 7}}}, ["a", "b", "c"]),
            ({"a": 5}, ["a", "b"]),
            ({"a": {"b": 0}}, ["a", "b"]),
        ),
        params=lambda random: {"default": random.choice(("None", "-1"))},
        wrong=(
            """\
def $name(data, path):
    for key in path:
        data = data.get(key, {})
    return data or $default
""",
            """\
def $name(data, path):
    for key in path:
        if key not in data:
            return $default
        data = data[key]
    return data
""",
            """\
def $name(data, path):
    return data.get(path[-1], $default) if path else data
""",
        ),
    ),
    Family(
        key="update_stock",
        topic="simulation",
        difficulty="medium",
        signature="stock, orders",
        names=("update_stock", "process_orders", "run_warehouse", "fulfil"),
        statements=(
            "Write `$name(stock, orders)` that processes orders on a stock, a dict from item to quantity. `orders` is "
            "a list of tuples (item, amount), amount >= 1; an order is carried out only if at least that amount is in "
            "stock, otherwise skipped. Items that reach 0 are removed. Return the new dict without changing `stock`.",
            "A shop has `stock` (dict: item -> positive int). Serve the orders (item, amount) in their order: reduce "
            "the quantity if there is enough, ignore the order if not (or if the item is unknown). Sold-out items "
            "leave the dict. `$name(stock, orders)` returns the resulting stock as a new dict.",
            "`$name(stock, orders)`: for every tuple (item, amount), subtract the amount from the item's quantity when "
            "the quantity is large enough, deleting the item at exactly 0; do nothing when it is too small or the item "
            "does not exist. Give back a new dict of what is left.",
            "Customers queue at our warehouse. Each wants some amount (a positive int) of an item and either gets all "
            "of it or goes away empty-handed. Given the initial quantities as a dict and the wishes as (item, amount) "
            "tuples in order, `$name` returns a new dict of the remaining quantities above 0.",
            "Simulate sales. There are never partial deliveries: an order larger than what is left of its item is "
            "rejected as a whole. Start with a copy of the dict `stock` of positive quantities, go through the list "
            "`orders` of (item, amount), and return the final quantities, leaving out items that are used up. "
            "The function is `$name`.",
        ),
        gold="""\
def $name(stock, orders):
    left = dict(stock)
    for item, amount in orders:
        if left.get(item, 0) >= amount:
            left[item] -= amount
            if left[item] == 0:
                del left[item]
    return left
""",
        inputs=lambda random, params: (
            {item: random.randint(1, 9) for item in random.sample("abcd", random.randint(1, 4))},
            [(random.choice("abcd"), random.randint(1, 5)) for _ in range(random.randint(2, 8))],
        ),
        edges=lambda params: (
            ({"a": 2}, []),
            ({"a": 3, "b": 5}, [("a", 4), ("b", 5), ("a", 1), ("c", 1)]),
            ({"x": 5}, [("x", 4), ("x", 3), ("x", 1)]),
        ),
        wrong=(
            """\
def $name(stock, orders):
    left = dict(stock)
    for item, amount in orders:
        if left.get(item, 0) >= amount:
            left[item] -= amount
    return left
""",
            """\
def $name(stock, orders):
    left = dict(stock)
    for item, amount in orders:
        left[item] = max(left.get(item, 0) - amount, 0)
    return {item: amount for item, amount in left.items() if amount}
""",
            """\
def $name(stock, orders):
    left = dict(stock)
    for item, amount in orders:
        if left.get(item, 0) > amount:
            left[item] -= amount
    return left
""",
        ),
    ),
    Family(
        key="election_result",
        topic="dicts",
        difficulty="medium",
        signature="votes",
        names=("election", "elected", "count_votes", "chosen_candidate"),
        statements=(
            "Write `$name(votes)` that returns the name occurring most often in a list of names. If two or more names "
            "share the first place, or there are no votes, return '$tie'.",
            "Count the votes (a list of candidates' names) and return the candidate with strictly more votes than "
            "every other candidate, or the string '$tie' if nobody has. `$name([])` is '$tie', too.",
            "`$name(votes)`: find the most common string of the list. Only a sole winner counts; when several strings "
            "are equally common at the top, or the list is empty, the result is '$tie'.",
            "Our class votes on where to go, `votes` being the list of all proposals handed in. Return the proposal "
            "with the most votes. When the first place is shared, or nobody voted, we must decide otherwise; return "
            "'$tie' then. Name the function `$name`.",
            "Determine the winner of a plurality election from the list of ballots, each a name. A unique highest "
            "count is needed to win; without one, for example without any ballots, `$name(votes)` returns '$tie'.",
        ),
        gold="""\
def $name(votes):
    counts = {}
    for vote in votes:
        counts[vote] = counts.get(vote, 0) + 1
    most = max(counts.values(), default=0)
    leaders = [name for name in counts if counts[name] == most]
    return leaders[0] if len(leaders) == 1 else "$tie"
""",
        inputs=lambda random, params: (
            (lambda names: [random.choice(names) for _ in range(random.randint(2, 9))])(random.sample(_PEOPLE, 3)),
        ),
        edges=lambda params: (([],), (["bob", "ann", "ann", "bob", "dan"],), (["dan", "eve", "eve", "bob", "ann"],)),
        params=lambda random: {"tie": random.choice(("tie", "nobody", "draw", "undecided"))},
        wrong=(
            """\
def $name(votes):
    return max(votes, key=votes.count) if votes else "$tie"
""",
            """\
def $name(votes):
    for vote in votes:
        if 2 * votes.count(vote) > len(votes):
            return vote
    return "$tie"
""",
        ),
    ),
    Family(
        key="strong_password",
        topic="logic",
        difficulty="medium",
        signature="password",
        names=("is_strong", "acceptable", "check_password", "meets_rules"),
        statements=(
            "Write `$name(password)` that returns True if a string has at least $least characters and contains at "
            "least one upper-case letter, one lower-case letter and one digit; otherwise return False.",
            "A password is strong when all of this holds: it is $least or more characters long, some character is a "
            "digit, some is a capital letter and some is a small letter. `$name(password)` returns a bool.",
            "`$name(password)` enforces our rules and returns True or False: minimum length $least; at least one each "
            "of A-Z, a-z and 0-9. Any other characters are permitted but not required.",
            "May a new user take this password? It must not be shorter than $least characters and must mix capital "
            "letters, small letters and digits (each at least once). `$name` answers with a boolean.",
            "Implement a validator `$name(password)`. Reject (False) strings with fewer than $least characters, "
            "without any digit, without any upper-case or without any lower-case letter; accept (True) all others.",
        ),
        gold="""\
def $name(password):
    if len(password) < $least:
        return False
    upper = any(char.isupper() for char in password)
    lower = any(char.islower() for char in password)
    digit = any(char.isdigit() for char in password)
    return upper and lower and digit
""",
        inputs=_password,
        edges=lambda params: (
            ("Aa1" * 9,),
            (("Aa1" * 9)[: params["least"]],),
            ("aa1" * 9,),
            ("Aaa" * 9,),
            (("Aa1" * 9)[: params["least"] - 1],),
        ),
        params=lambda random: {"least": random.randint(5, 10)},
        wrong=(
            """\
def $name(password):
    return len(password) >= $least and any(char.isdigit() for char in password)
""",
            """\
def $name(password):
    return (
        len(password) > $least
        and any(char.isupper() for char in password)
        and any(char.islower() for char in password)
        and any(char.isdigit() for char in password)
    )
""",
            """\
def $name(password):
    return len(password) >= $least and password != password.lower() and password != password.upper()
""",
        ),
    ),
    Family(
        key="extreme_slice_sum",
        topic="dynamic_programming",
        difficulty="medium",
        signature="numbers",
        names=("best_slice", "extreme_slice_sum", "best_run_sum", "slice_record"),
        statements=(
            "Write `$name(numbers)` that returns the $most sum of any non-empty slice of consecutive elements of a "
            "list of integers. For an empty list return 0.",
            "Over all contiguous, non-empty parts of the list of ints `numbers`, find the $most total. "
            "`$name(numbers)` returns it (the elements may be negative), or 0 when the list is empty.",
            "`$name(numbers)`: pick one or more integers that stand side by side in the list so that their sum is as "
            "$extent as possible, and return this sum. From an empty list nothing can be picked; return 0 then.",
            "The list `numbers` holds the daily gains (negative for losses) of a shop. What is the $most total over "
            "any period of one or more days in a row? `$name(numbers)` returns an int, and 0 for no days at all.",
            "Use Kadane's idea: the $most sum ending at an element is the element alone or the element added to the "
            "$most sum ending just before it. Return the $most of all these sums, 0 if `numbers` is empty. Name: "
            "`$name`.",
        ),
        gold="""\
def $name(numbers):
    if not numbers:
        return 0
    best = ending = numbers[0]
    for number in numbers[1:]:
        ending = $pick(number, ending + number)
        best = $pick(best, ending)
    return best
""",
        inputs=lambda random, params: (ints(random, 1, 8, -9, 9),),
        edges=lambda params: (([],), ([-3, -1, -2],), ([3, 1, 2],), ([5, 6, -9, -8, 2],)),
        params=lambda random: random.choice(
            (
                {"most": "largest", "extent": "large", "pick": "max"},
                {"most": "smallest", "extent": "small", "pick": "min"},
            )
        ),
        wrong=(
            """\
def $name(numbers):
    best = ending = 0
    for number in numbers:
        ending = $pick(0, ending + number)
        best = $pick(best, ending)
    return best
""",
            """\
def $name(numbers):
    return $pick(sum(numbers), $pick(numbers)) if numbers else 0
""",
        ),
    ),
    Family(
        key="ways_up_the_stairs",
        topic="dynamic_programming",
        difficulty="medium",
        signature="n",
        names=("ways_up", "climb_ways", "stair_routes", "count_climbs"),
        statements=(
            "Write `$name(n)` that returns the number of ways to climb a staircase of `n` steps if every stride takes "
            "$small or $large steps. The order of the strides matters; for n = 0 there is 1 way, and there may be "
            "none.",
            "In how many different orders can the numbers $small and $large, each used as often as you like, be added "
            "to give exactly `n`? `$name(n)` returns the count (1 for n = 0, as the empty sum counts). n >= 0.",
            "`$name(n)` counts the sequences made of $small's and $large's with sum `n`, a non-negative int. Sequences "
            "in a different order are different; the empty sequence is the only one for 0.",
            "A frog leaps $small or $large metres at a time. How many different series of leaps take it exactly `n` "
            "metres far? Standing still is the one way for 0 metres; some distances cannot be reached at all (0 ways). "
            "Implement `$name(n)`.",
            "A wall of length `n` is built of bricks of length $small and $large in one row. Count the possible rows "
            "(as sequences of bricks, no gaps) in `$name(n)`. There is exactly one empty row for n = 0; n is an int >= "
            "0.",
        ),
        gold="""\
def $name(n):
    ways = [1]
    for total in range(1, n + 1):
        count = 0
        for stride in ($small, $large):
            if stride <= total:
                count += ways[total - stride]
        ways.append(count)
    return ways[n]
""",
        inputs=lambda random, params: (random.randint(2, 22),),
        edges=lambda params: ((0,), (1,), (params["large"],), (params["small"] + params["large"],)),
        params=lambda random: dict(
            zip(("small", "large"), random.choice(((1, 2), (1, 3), (2, 3), (1, 4), (2, 5), (3, 4))), strict=True)
        ),
        wrong=(
            """\
def $name(n):
    return sum((n - $large * count) % $small == 0 for count in range(n // $large + 1))
""",
            """\
def $name(n):
    ways = [0]
    for total in range(1, n + 1):
        ways.append(sum(1 + ways[total - stride] for stride in ($small, $large) if stride <= total))
    return ways[n]
""",
        ),
    ),
)
