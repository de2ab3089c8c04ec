"""Hard families that enumerate: recursion, backtracking, permutations."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


_QUEENS_GOLD = """\
def $name(size, blocked):
    def place(row, taken):
        if row == size:
            return 1
        count = 0
        for column in range(size):
            if (row, column) not in blocked:
                if all(column != c and abs(column - c) != row - r for r, c in taken):
                    count += place(row + 1, taken + [(row, column)])
        return count

    return place(0, [])
"""


def _queens_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    size = random.randint(4, 6)
    squares = [(r, c) for r in range(size) for c in range(size)]
    return size, sorted(random.sample(squares, random.randint(0, 5)))


_QUEENS = Family(
    key="blocked_queens",
    topic="recursion",
    difficulty="hard",
    signature="size, blocked",
    names=("blocked_queens", "count_placements", "queen_setups", "peaceful_boards"),
    statements=(
        "Write `$name(size, blocked)` that counts the ways to put `size` queens on a `size` by `size` chessboard, one "
        "in each row, so that no two share a column or a diagonal of any length, and none stands on a blocked square. "
        "`size` is an int from 1 to 6 and `blocked` a list of tuples `(row, column)` counted from 0. Mirror images "
        "count separately.",
        "The n-queens problem with holes: define `$name(size, blocked)` returning in how many ways `size` queens fit "
        "on the board with rows and columns 0 to size - 1 (size from 1 to 6) such that no queen attacks another along "
        "a row, a column or a diagonal. The squares in `blocked`, a list of (row, column) tuples, must stay empty, but "
        "attacks pass over them. Solutions that are rotations or reflections of each other are different.",
        "Implement `$name(size, blocked)`: the number of sets of `size` squares of a size-by-size board (1 <= size <= "
        "6, 0-based coordinates) in which no two squares have the same row, the same column or the same diagonal in "
        "either direction, and which contain no square of the list `blocked` of `(row, column)` tuples. The result is "
        "an int, possibly 0.",
        "In my garden of size x size beds I want `size` trees, and no two of them in one row, one column or one "
        "diagonal line, however far apart. Some beds, listed as (row, column) tuples with indices from 0, cannot be "
        "used. In how many different ways can I do it? Call it `$name(size, blocked)`; size is between 1 and 6, and "
        "symmetric arrangements count as different.",
        "Count the lists c of `size` column numbers, c[r] being the column for row r in range(size), all between 0 and "
        "size - 1, that satisfy for all rows r < s: c[r] != c[s] and abs(c[r] - c[s]) != s - r, and for all rows r: "
        "the tuple (r, c[r]) is not in the list `blocked`. `$name(size, blocked)` returns the number of such lists; "
        "size is an int from 1 to 6.",
    ),
    gold=_QUEENS_GOLD,
    inputs=_queens_inputs,
    edges=lambda params: ((6, []), (5, [(0, 0), (2, 2)]), (1, [])),
    wrong=(
        _QUEENS_GOLD.replace("abs(column - c) != row - r", "(row - r != 1 or abs(column - c) != 1)"),
        _QUEENS_GOLD.replace("if (row, column) not in blocked", "if column not in blocked"),
        _QUEENS_GOLD.replace(" and abs(column - c) != row - r", ""),
    ),
)


_PARTITION_GOLD = """\
def $name(n):
    def count(left, largest):
        if left == 0:
            return 1
        total = 0
        for part in range(1, min(left, largest) + 1):
            total += count(left - part, $next)
        return total

    return count(n, $top)
"""

_PARTITION_KINDS = (
    {"rule": "the parts are all different", "next": "part - 1", "top": "n", "other": "part", "limit": "n - 1"},
    {"rule": "no part is greater than 4", "next": "part", "top": "4", "other": "part - 1", "limit": "n"},
    {"rule": "no part is greater than 5", "next": "part", "top": "5", "other": "part - 1", "limit": "n"},
    {
        "rule": "any two parts differ by at least 2",
        "next": "part - 2",
        "top": "n",
        "other": "part - 1",
        "limit": "n - 1",
    },
)

_PARTITIONS = Family(
    key="count_partitions",
    topic="recursion",
    difficulty="hard",
    signature="n",
    names=("count_partitions", "sum_ways", "number_splits", "stack_counts"),
    statements=(
        "Write `$name(n)` that counts the ways to write the int n (0 <= n <= 18) as a sum of positive ints where "
        "$rule. The order of the parts does not matter, a single part is allowed, and 0 is written in one way, as the "
        "empty sum.",
        "How many partitions of a given int are there in which $rule? A partition of n is a collection of positive "
        "ints that add up to n, irrespective of order. Define `$name(n)` for n from 0 to 18, returning an int; the "
        "empty partition is the only one of 0.",
        "Implement `$name(n)` recursively: the number of non-increasing lists of positive ints whose sum is n and for "
        "which $rule. The argument is an int with 0 <= n <= 18. The empty list has sum 0, so the result for 0 is 1; "
        "the list with just one element is fine if the rule allows it.",
        "I want to split a pile of n equal coins (n between 0 and 18) into one or more smaller piles, or leave it as "
        "it is, such that $rule, the parts being the pile sizes. `$name(n)` returns in how many ways this can be done "
        "if only the sizes matter and not which pile is which; let it return 1 for no coins.",
        "Count the multisets of positive ints with total n such that $rule (the parts are the members of the multiset, "
        "a repeated member being several equal parts). `$name(n)` takes an int from 0 to 18 and returns the count; "
        "the empty multiset has total 0 and counts.",
    ),
    gold=_PARTITION_GOLD,
    inputs=lambda random, params: (random.randint(1, 18),),
    edges=lambda params: ((0,), (8,)),
    params=lambda random: random.choice(_PARTITION_KINDS),
    wrong=(
        _PARTITION_GOLD.replace("$next", "$other"),
        _PARTITION_GOLD.replace("$top", "$limit"),
        _PARTITION_GOLD.replace("$next", "left"),
    ),
)


_HANOI_GOLD = """\
def $name(n, source, target):
    if n == 0:
        return []
    pegs = ["$a", "$b", "$c"]
    spare = next(peg for peg in pegs if peg not in (source, target))
    first = $name(n - 1, source, spare)
    last = $name(n - 1, spare, target)
    return first + [(n, source, target)] + last
"""


def _hanoi_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    source, target = random.sample((params["a"], params["b"], params["c"]), 2)
    return random.randint(1, 4), source, target


_HANOI = Family(
    key="tower_moves",
    topic="recursion",
    difficulty="hard",
    signature="n, source, target",
    names=("tower_moves", "hanoi_moves", "move_tower", "shift_disks"),
    statements=(
        "Write `$name(n, source, target)` that solves the Tower of Hanoi. The pegs are called `$a`, `$b` and `$c`; n "
        "disks, numbered 1 (smallest) to n (largest), are stacked in order of size on the peg `source` and must get to "
        "the different peg `target`. Only the top disk of a peg can be moved, never onto a smaller one. Return the "
        "shortest list of moves as tuples `(disk, from_peg, to_peg)`; it is empty for n = 0.",
        "Three pegs `$a`, `$b`, `$c` and a tower of n >= 0 disks on peg `source`, disk 1 on top and disk n at the "
        "bottom. Define `$name(n, source, target)` listing the minimal sequence of moves that brings the tower to peg "
        "`target` (another peg), moving one top disk at a time and never putting a larger disk on a smaller one. A "
        "move is a tuple of the disk number, the peg it leaves and the peg it goes to.",
        "Implement `$name(n, source, target)` recursively: to move disks 1 to n from `source` to `target`, move disks "
        "1 to n - 1 to the third peg, then disk n, then disks 1 to n - 1 from the third peg to the target. The peg "
        "names are the strings `$a`, `$b` and `$c`, and source and target differ. Collect every single move as "
        "`(disk, from, to)` in a list, in order; no disks need no moves.",
        "I draw Tower of Hanoi animations and need all moves. `$name(n, source, target)` should return them as a list "
        "of `(disk, from, to)` tuples for the quickest solution, where disks are numbered by size from 1 to n, pegs "
        "are named `$a`, `$b`, `$c`, all disks begin on `source` (1 on top) and finish on `target`, which is a "
        "different peg. As always, a disk may not lie on a smaller one, and only top disks move. n may be 0.",
        "The optimal solution of the Towers of Hanoi is unique; produce it. Pegs: `$a`, `$b`, `$c` (strings). Disks: "
        "ints 1 to n, a bigger number being a bigger disk, at first all on `source` with the biggest at the bottom. "
        "`$name(n, source, target)` returns the list of moves (disk, old peg, new peg), as tuples, that transfers "
        "everything to `target` != `source` in the fewest moves, one top disk at a time and never a bigger disk on a "
        "smaller one. For n = 0 return an empty list.",
    ),
    gold=_HANOI_GOLD,
    inputs=_hanoi_inputs,
    edges=lambda params: ((0, params["a"], params["b"]), (2, params["b"], params["c"])),
    params=lambda random: dict(
        zip("abc", random.choice((("A", "B", "C"), ("left", "middle", "right"), ("x", "y", "z"))), strict=True)
    ),
    wrong=(
        """\
def $name(n, source, target):
    return [(disk, source, target) for disk in range(1, n + 1)]
""",
        _HANOI_GOLD.replace("first + [(n, source, target)] + last", "last + [(n, source, target)] + first"),
        _HANOI_GOLD.replace("$name(n - 1, spare, target)", "$name(n - 1, source, target)"),
    ),
)


def _combination_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    numbers = random.sample(range(2, 12), random.randint(3, 5))
    return numbers, random.randint(8, 20)


_COMBINATIONS_GOLD = """\
def $name(numbers, target):
    found = []

    def extend(chosen, left, start):
        if left == 0:
            found.append(chosen)
        for i in range(start, len(ordered)):
            if ordered[i] <= left:
                extend(chosen + [ordered[i]], left - ordered[i], i$step)

    ordered = sorted(numbers)
    extend([], target, 0)
    return found
"""

_COMBINATIONS = Family(
    key="sum_combinations",
    topic="recursion",
    difficulty="hard",
    signature="numbers, target",
    names=("sum_combinations", "list_sums", "all_additions", "exact_mixes"),
    statements=(
        "Write `$name(numbers, target)` that returns all combinations of the distinct positive ints in the list "
        "`numbers` that add up to `target`, a positive int. A number may be used $often. Give each combination as an "
        "ascending list, and the combinations in lexicographic (list comparison) order, none twice; return `[]` if "
        "there is none.",
        "Which multisets of values from `numbers` sum to `target`? Every value can be taken $often. Define "
        "`$name(numbers, target)` for a list of different positive ints in any order and a target >= 1, returning the "
        "multisets as sorted lists within a sorted list (compared element by element). Without solution the list is "
        "empty.",
        "Implement `$name(numbers, target)` by backtracking. Find the non-decreasing lists of elements of `numbers` "
        "(distinct positive ints, unsorted), each element used $often, whose sum is exactly the positive int `target`. "
        "Return a list of all of them, ordered as Python orders lists.",
        "I have weights of the sizes in `numbers` (all different, positive ints), each of which can be used $often, "
        "and would like to see every way to make up the total weight `target` (at least 1). "
        "`$name(numbers, target)` should return a list of lists: each inner list sorted from light to heavy, the outer "
        "list in ascending order, no repeats, and `[]` if it cannot be done.",
        "Enumerate the solutions of a sum. Given different positive ints `numbers` and an int `target` > 0, "
        "`$name(numbers, target)` lists all ways to write `target` as a sum of those numbers, order of the terms "
        "ignored, where a number may appear as a term $often. A way is the list of its terms in ascending order; the "
        "ways are sorted ascending as lists.",
    ),
    gold=_COMBINATIONS_GOLD,
    inputs=_combination_inputs,
    edges=lambda params: (([7], 3), ([5, 2, 3], 10), ([4, 8, 6, 2], 12)),
    params=lambda random: random.choice(
        (
            {"often": "any number of times", "step": "", "other": " + 1"},
            {"often": "at most once", "step": " + 1", "other": ""},
        )
    ),
    wrong=(
        _COMBINATIONS_GOLD.replace("$step", "$other"),
        _COMBINATIONS_GOLD.replace("sorted(numbers)", "numbers"),
        _COMBINATIONS_GOLD.replace("return found", "return found[:1]"),
    ),
)


def _search_tree(random: Random, low: int, high: int) -> Any:
    """A search tree over ints in low .. high - 1, as nested tuples; None is the empty tree."""
    if low >= high or random.random() < 0.2:
        return None
    value = random.randrange(low, high)
    return (_search_tree(random, low, value), value, _search_tree(random, value + 1, high))


def _change_value(random: Random, tree: Any, by: int) -> Any:
    """The tree with one value on a random way down changed."""
    left, value, right = tree
    branches = [branch for branch in (left, right) if branch is not None]
    if not branches or random.random() < 0.3:
        return (left, value + by, right)
    if left is not None and (right is None or random.random() < 0.5):
        return (_change_value(random, left, by), value, right)
    return (left, value, _change_value(random, right, by))


def _tree_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    tree = None
    while tree is None or tree[0] is None or tree[2] is None:
        tree = _search_tree(random, 0, 14)
    if random.random() < 0.5:
        tree = _change_value(random, tree, random.choice((-8, -4, 4, 8)))
    return (tree,)


_TREE_GOLD = """\
def $name(tree):
    def fits(node, low, high):
        if node is None:
            return True
        left, value, right = node
        if low is not None and value <= low:
            return False
        if high is not None and value >= high:
            return False
        return fits(left, low, value) and fits(right, value, high)

    return fits(tree, None, None)
"""

_VALID_TREE = Family(
    key="is_search_tree",
    topic="tuples",
    difficulty="hard",
    signature="tree",
    names=("is_search_tree", "valid_bst", "check_ordering", "is_sorted_tree"),
    statements=(
        "Write `$name(tree)` that tells whether a binary tree is a search tree. A tree is either None (empty) or a "
        "tuple `(left, value, right)` of a tree, an int and a tree. At every node all values in the left subtree must "
        "be smaller than the node's value and all values in the right subtree greater. Return a bool; the empty tree "
        "qualifies.",
        "Binary trees are given as nested tuples `(left, value, right)`, with None for a missing subtree and an int as "
        "value. Define `$name(tree)` returning True if reading the values in order (left subtree, node, right subtree) "
        "gives a strictly increasing sequence, and False otherwise. For None return True.",
        "Implement `$name(tree)`: validate a binary search tree without duplicates. A node is the tuple `(left, value, "
        "right)`, where left and right are nodes or None and value is an int. It is valid if each value is greater "
        "than every value to its left below it, and less than every value to its right below it, not only than its "
        "children. An empty tree (None) is valid; the answer is True or False.",
        "I store sorted data in trees of tuples, `(left, value, right)`, None meaning nothing is there, and I suspect "
        "that some of them are corrupt. `$name(tree)` should return True exactly when at each node everything in its "
        "left part is less, and everything in its right part is more, than its int value, equal values being an "
        "error. None itself is fine.",
        "Let the traversal of None be the empty list and that of `(left, value, right)` the traversal of left, then "
        "value, then the traversal of right. Does the traversal of a given tree with int values increase strictly from "
        "each element to the next? `$name(tree)` returns the answer as a bool (True for fewer than two elements).",
    ),
    gold=_TREE_GOLD,
    inputs=_tree_inputs,
    edges=lambda params: (
        (((None, 1, (None, 9, None)), 5, None),),
        (((None, 5, None), 5, None),),
        ((None, 5, ((None, 6, None), 7, None)),),
        (None,),
    ),
    wrong=(
        """\
def $name(tree):
    if tree is None:
        return True
    left, value, right = tree
    if left is not None and left[1] >= value:
        return False
    if right is not None and right[1] <= value:
        return False
    return $name(left) and $name(right)
""",
        _TREE_GOLD.replace("value <= low", "value < low").replace("value >= high", "value > high"),
    ),
)


_NEXT_GOLD = """\
def $name(items):
    result = list(items)
    i = len(result) - 2
    while i >= 0 and result[i] $stop result[i + 1]:
        i -= 1
    if i >= 0:
        j = len(result) - 1
        while result[j] $skip result[i]:
            j -= 1
        result[i], result[j] = result[j], result[i]
    result[i + 1 :] = reversed(result[i + 1 :])
    return result
"""


def _next_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    items = ints(random, 1, 3, 1, 6)
    tail = sorted(ints(random, 1, 4, 1, 6), reverse=params["stop"] == ">=")
    return (items + tail,)


_NEXT_PERMUTATION = Family(
    key="step_permutation",
    topic="lists",
    difficulty="hard",
    signature="items",
    names=("step_permutation", "neighbour_permutation", "advance_order", "adjacent_arrangement"),
    statements=(
        "Write `$name(items)` that returns the $which permutation of a list of ints in lexicographic order, that is, "
        "the $extreme rearrangement that is $compare than the list itself. The list may contain equal numbers. If the "
        "list is already the $last arrangement, return the $wrap one. Return a new list; `[]` gives `[]`.",
        "All distinct arrangements of the numbers in a list of ints, sorted as Python sorts lists, form a ring in "
        "which the largest and the smallest one are neighbours. Define `$name(items)`, which returns the arrangement "
        "that comes $side `items` in this ring, as a new list. Repeated numbers and an empty list are possible; a list "
        "with only one arrangement gives itself.",
        "Implement `$name(items)` without changing its argument: among the reorderings of the int list `items` that "
        "compare $compare than it (list comparison), return the $extreme; if there is no such reordering, return the "
        "$wrap of all reorderings. Duplicates may occur, and for an empty list the result is `[]`.",
        "I step through the orders of a hand of numbered cards. Please write `$name(items)` that takes the present "
        "order (a list of ints, perhaps with repeats, perhaps empty) and returns the $which order in lexicographic "
        "sequence as a new list, wrapping around from the $last to the $wrap order. Orders that look the same count "
        "as one.",
        "Let P be the sorted list of all different permutations of `items`, a list of ints that can have repeats, and "
        "k the index of `items` in P. Return the $which entry of P, namely P[(k $sign 1) % len(P)], as a list from "
        "`$name(items)`. The only permutation of the empty list is the empty list.",
    ),
    gold=_NEXT_GOLD,
    inputs=_next_inputs,
    edges=lambda params: (([],), ([3, 2, 2, 1],), ([1, 2, 2, 3],), ([1, 3, 2],), ([3, 1, 2],)),
    params=lambda random: random.choice(
        (
            {
                "which": "next",
                "side": "right after",
                "extreme": "smallest",
                "compare": "greater",
                "last": "largest",
                "wrap": "smallest",
                "sign": "+",
                "stop": ">=",
                "skip": "<=",
            },
            {
                "which": "previous",
                "side": "right before",
                "extreme": "largest",
                "compare": "smaller",
                "last": "smallest",
                "wrap": "largest",
                "sign": "-",
                "stop": "<=",
                "skip": ">=",
            },
        )
    ),
    wrong=(
        _NEXT_GOLD.replace("    result[i + 1 :] = reversed(result[i + 1 :])\n", ""),
        """\
def $name(items):
    result = list(items)
    for i in range(len(result) - 2, -1, -1):
        if not result[i] $stop result[i + 1]:
            result[i], result[i + 1] = result[i + 1], result[i]
            return result
    return result[::-1]
""",
        _NEXT_GOLD.replace("    if i >= 0:\n", "    if i < 0:\n        return result\n    if i >= 0:\n"),
    ),
)


FAMILIES: tuple[Family, ...] = (
    _QUEENS,
    _PARTITIONS,
    _HANOI,
    _COMBINATIONS,
    _VALID_TREE,
    _NEXT_PERMUTATION,
)
