"""Families of medium difficulty over lists: runs, windows, searching, rearranging."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _order(random: Random) -> Mapping[str, Any]:
    """A direction and the comparison, function and flag that go with it."""
    return random.choice(
        (
            {"way": "increasing", "most": "largest", "more": "greater", "op": ">", "pick": "max", "reverse": True},
            {"way": "decreasing", "most": "smallest", "more": "smaller", "op": "<", "pick": "min", "reverse": False},
        )
    )


def _side(random: Random) -> Mapping[str, Any]:
    return random.choice(({"side": "left", "sign": 1}, {"side": "right", "sign": -1}))


def _nested(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """A list of numbers, lists, and lists that hold lists."""
    items: list[Any] = []
    for _ in range(random.randint(0, 6)):
        number = random.randint(0, 9)
        items.append(random.choice((number, ints(random, 0, 3, 0, 9), [number, ints(random, 1, 2, 0, 9)])))
    return (items,)


def _pair_and_target(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Numbers, and a target that two of them make in most cases."""
    numbers = ints(random, 3, 8, 0, 9)
    return numbers, sum(random.sample(numbers, 2)) + random.choice((0, 0, 0, 7))


def _with_majority(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Votes of which one value has half, or just over or under it."""
    others = [random.choice((4, 7, 9)) for _ in range(random.randint(1, 5))]
    votes = others + [random.randint(1, 3)] * (len(others) + random.choice((-1, 0, 1, 1, 2)))
    random.shuffle(votes)
    return (votes,)


def _balanced_sums(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """A list with a balance point in about two cases of three."""
    left = ints(random, 0, 4, -4, 9)
    if random.random() < 0.3:
        return (left,)
    right = ints(random, 0, 3, -4, 9)
    right.append(sum(left) - sum(right))
    return ([*left, random.randint(-5, 5), *right],)


FAMILIES: tuple[Family, ...] = (
    Family(
        key="second_distinct",
        topic="lists",
        difficulty="medium",
        signature="numbers",
        names=("second_distinct", "runner_up_value", "second_place", "find_second"),
        statements=(
            "Write a function `$name(numbers)` that returns the second $most distinct value in a list of integers. "
            "Duplicates count once. Return None if there are fewer than two distinct values.",
            "Given a list of ints `numbers`, `$name` should give back the second $most of its different values, or "
            "None when the list has no two different values (an empty list included).",
            "I need `$name(numbers)`: ignoring repeats, which integer in the list comes second when we look for the "
            "$most? If there is no such integer, return None.",
            "Implement `$name`, which takes a list of integers and finds the $most value once every copy of the "
            "overall $most one has been set aside. The answer is None if nothing is left.",
            "Please complete `$name(numbers)`. Among the distinct integers of the list, pick the one that is second "
            "$most; an empty list, or one holding a single repeated value, has none, so return None then.",
        ),
        gold="""\
def $name(numbers):
    distinct = sorted(set(numbers), reverse=$reverse)
    if len(distinct) < 2:
        return None
    return distinct[1]
""",
        inputs=lambda random, params: (ints(random, 0, 7, -6, 6),),
        edges=lambda params: (([],), ([5, 5],), ([3, 1, 3, 1, 2],)),
        params=_order,
        wrong=(
            """\
def $name(numbers):
    if len(numbers) < 2:
        return None
    return sorted(numbers, reverse=$reverse)[1]
""",
            """\
def $name(numbers):
    best = $pick(numbers)
    return $pick(n for n in numbers if n != best)
""",
        ),
    ),
    Family(
        key="rotate_list",
        topic="lists",
        difficulty="medium",
        signature="items, k",
        names=("rotate", "rotate_list", "cycle_items", "shift_around"),
        statements=(
            "Write `$name(items, k)` that returns a new list with the elements of `items` rotated $side by `k` places. "
            "`k` is a non-negative integer and may be larger than the list; an empty list stays empty.",
            "Rotate a list to the $side: `$name(items, k)` moves every element `k` positions to the $side, and those "
            "that fall off come back in at the other end. k >= 0 can exceed the length. Return a new list.",
            "Create a function `$name` taking a list `items` and an integer `k` >= 0. It returns the list you get by "
            "doing `k` single-step rotations to the $side. For an empty list the result is an empty list.",
            "`$name(items, k)`: a circular shift. Return a list in which all elements have moved `k` steps to the "
            "$side, wrapping around. Large `k` (more than the length) must work, and so must `[]`.",
            "Our carousel turns $side. Given the list `items` of what it shows and a number of steps `k` (zero or "
            "more, possibly more than there are items), let `$name` return the items in their new order; no items, "
            "no result but `[]`.",
        ),
        gold="""\
def $name(items, k):
    if not items:
        return []
    cut = ($sign * k) % len(items)
    return items[cut:] + items[:cut]
""",
        inputs=lambda random, params: (ints(random, 0, 6, 0, 20), random.randint(0, 12)),
        edges=lambda params: (([], 3), ([1, 2, 3, 4, 5], 2), ([1, 2, 3], 7)),
        params=_side,
        wrong=(
            """\
def $name(items, k):
    cut = $sign * k
    return items[cut:] + items[:cut]
""",
            """\
def $name(items, k):
    if not items:
        return []
    cut = (-$sign * k) % len(items)
    return items[cut:] + items[:cut]
""",
        ),
    ),
    Family(
        key="keep_last_occurrences",
        topic="lists",
        difficulty="medium",
        signature="items",
        names=("keep_last", "last_occurrences", "unique_from_end", "drop_earlier_copies"),
        statements=(
            "Write a function `$name(items)` that removes duplicates from a list of integers, keeping only the last "
            "occurrence of each value. The values kept stay in the order of those last occurrences.",
            "Given a list `items` of ints, return a new list without repeats. When a value appears more than once, "
            "all of its appearances except the final one are dropped; nothing else moves. Name it `$name`.",
            "`$name(items)` should return the integers of `items` that do not occur again later in the list, in their "
            "original order. An empty list gives an empty list.",
            "I want to deduplicate a list of integers, but it is the most recent (rightmost) copy of each that must "
            "survive, in place. Write `$name(items)` returning the new list.",
            "Make `$name`, a function from a list of integers to a list of integers: every element that has an equal "
            "element somewhere to its right is left out, the others are returned in order.",
        ),
        gold="""\
def $name(items):
    kept = []
    for index, item in enumerate(items):
        if item not in items[index + 1:]:
            kept.append(item)
    return kept
""",
        inputs=lambda random, params: (ints(random, 2, 9, 1, 5),),
        edges=lambda params: (([],), ([1, 2, 1],), ([3, 3, 2, 3, 1],)),
        wrong=(
            """\
def $name(items):
    return list(dict.fromkeys(items))
""",
            """\
def $name(items):
    return sorted(set(items))
""",
            """\
def $name(items):
    return list(dict.fromkeys(reversed(items)))
""",
        ),
    ),
    Family(
        key="limit_repeats",
        topic="lists",
        difficulty="medium",
        signature="items",
        names=("limit_repeats", "cap_copies", "at_most", "trim_repeats"),
        statements=(
            "Write `$name(items)` that returns a list in which no value of `items` (a list of integers) appears more "
            "than $limit times: extra copies beyond the first $limit are dropped, and the order is kept.",
            "From a list of integers, keep the first $limit occurrences of every value and drop any later ones, "
            "wherever in the list they are. `$name(items)` returns the remaining elements in order.",
            "Implement `$name(items)`. Walk through the integers from left to right and copy each to the result unless "
            "that value has been copied $limit times already. Return the result (empty for an empty list).",
            "In our feed nobody may show up more than $limit times in total. `$name(items)` gets the list of user "
            "numbers in order and returns it without the surplus appearances (the later ones go).",
            "Please define `$name`: input a list of ints, output a new list with the same order where each number "
            "occurs at most $limit times overall, the earliest ones being kept.",
        ),
        gold="""\
def $name(items):
    counts = {}
    kept = []
    for item in items:
        counts[item] = counts.get(item, 0) + 1
        if counts[item] <= $limit:
            kept.append(item)
    return kept
""",
        inputs=lambda random, params: (ints(random, 3, 14, 1, 3),),
        edges=lambda params: (([],), ([7, 8] * 5,), ([4] * 6 + [5],)),
        params=lambda random: {"limit": random.choice((2, 3))},
        wrong=(
            """\
def $name(items):
    kept = []
    for item in items:
        if kept[-$limit:] != [item] * $limit:
            kept.append(item)
    return kept
""",
            """\
def $name(items):
    return [item for item in items if items.count(item) <= $limit]
""",
        ),
    ),
    Family(
        key="common_with_repeats",
        topic="searching",
        difficulty="medium",
        signature="first, second",
        names=("common_with_repeats", "shared_items", "overlap_of_lists", "in_both"),
        statements=(
            "Write `$name(first, second)` that returns the elements two lists of integers have in common, counting "
            "repeats: a value occurring m times in one and n times in the other appears min(m, n) times. "
            "The result is sorted in ascending order.",
            "Given two lists of ints, `$name(first, second)` pairs up equal elements, each element being used at most "
            "once, and returns the values of the pairs in ascending order (an empty list if nothing matches).",
            "Implement the multiset intersection of two integer lists as `$name(first, second)`. [2, 2, 3] and "
            "[2, 2, 2] share [2, 2]. Return a list sorted from small to large.",
            "Two people hold cards with numbers on them, `first` and `second`. `$name` lays down pairs of equal cards, "
            "one from each, as long as it can, and returns the numbers of the pairs as a sorted list.",
            "I have two lists of integers, not sorted, with duplicates. `$name(first, second)` should list what they "
            "share, smallest first; when both hold a value several times it is listed as often as the list with "
            "fewer copies holds it.",
        ),
        gold="""\
def $name(first, second):
    left = list(second)
    common = []
    for item in first:
        if item in left:
            left.remove(item)
            common.append(item)
    return sorted(common)
""",
        inputs=lambda random, params: (ints(random, 0, 7, 1, 5), ints(random, 0, 7, 1, 5)),
        edges=lambda params: (([], [1]), ([2, 2, 1], [2, 1, 2, 2]), ([3, 3, 3, 5], [5, 3])),
        wrong=(
            """\
def $name(first, second):
    return sorted(set(first) & set(second))
""",
            """\
def $name(first, second):
    return sorted(item for item in first if item in second)
""",
        ),
    ),
    Family(
        key="padded_chunks",
        topic="lists",
        difficulty="medium",
        signature="items, size",
        names=("padded_chunks", "chunk", "split_in_groups", "to_rows"),
        statements=(
            "Write `$name(items, size)` that cuts a list of integers into consecutive chunks of exactly `size` "
            "elements (size >= 1). If the last chunk is too short, fill it up with $fill. Return a list of lists.",
            "Split `items` into rows of length `size`, in order; when the elements do not fill the last row, append "
            "$fill to it until they do. `$name(items, size)` returns the list of rows, `[]` for an empty list.",
            "Given a list of ints and a positive integer `size`, `$name` returns a list of lists: the first `size` "
            "elements, the next `size` elements and so on, the final list padded on the right with $fill.",
            "Pages hold `size` numbers each. `$name(items, size)` lays out the list `items` on pages, first to last; "
            "unused places on the last page contain $fill. There are no pages for an empty list.",
            "Code a helper `$name(items, size)` which groups a list into lists of equal length `size` without "
            "changing the order, using $fill for what is missing at the end. `size` is at least 1.",
        ),
        gold="""\
def $name(items, size):
    chunks = [items[start:start + size] for start in range(0, len(items), size)]
    if chunks:
        chunks[-1] = chunks[-1] + [$fill] * (size - len(chunks[-1]))
    return chunks
""",
        inputs=lambda random, params: (ints(random, 0, 9, 1, 30), random.randint(1, 5)),
        edges=lambda params: (([], 3), ([1, 2, 3, 4], 2), ([1, 2, 3, 4, 5], 3)),
        params=lambda random: {"fill": random.choice((0, -1, "None"))},
        wrong=(
            """\
def $name(items, size):
    return [items[start:start + size] for start in range(0, len(items), size)]
""",
            """\
def $name(items, size):
    padded = items + [$fill] * (size - len(items) % size)
    return [padded[start:start + size] for start in range(0, len(padded), size)]
""",
        ),
    ),
    Family(
        key="running_extreme",
        topic="lists",
        difficulty="medium",
        signature="numbers",
        names=("running_extreme", "records_so_far", "best_so_far", "track_extreme"),
        statements=(
            "Write `$name(numbers)` that returns a list of the same length whose i-th entry is the $most of the first "
            "i+1 integers of `numbers`. An empty list gives an empty list.",
            "For every position in a list of integers, report the $most value seen up to and including that position. "
            "`$name(numbers)` returns these values as a list.",
            "`$name(numbers)` should return the running $most: go through the list of ints from left to right and note "
            "at each step the $most number met so far.",
            "Daily temperatures come as a list of integers. Make `$name(numbers)` return, for each day, the $most "
            "temperature from the first day until that day. No days, no entries.",
            "Produce a list `r` such that r[i] is the $most element of numbers[0..i], both ends included, for each "
            "index i of the integer list `numbers`. The function is called `$name`.",
        ),
        gold="""\
def $name(numbers):
    result = []
    for number in numbers:
        result.append($pick(result[-1], number) if result else number)
    return result
""",
        inputs=lambda random, params: (ints(random, 0, 8, -20, 20),),
        edges=lambda params: (([],), ([-3, -5, -1],), ([4, 9, 2, 11, 1, 3],)),
        params=_order,
        wrong=(
            """\
def $name(numbers):
    return [$pick(numbers)] * len(numbers) if numbers else []
""",
            """\
def $name(numbers):
    best = 0
    result = []
    for number in numbers:
        best = $pick(best, number)
        result.append(best)
    return result
""",
        ),
    ),
    Family(
        key="resetting_total",
        topic="simulation",
        difficulty="medium",
        signature="amounts",
        names=("resetting_total", "running_with_reset", "tank_levels", "fill_levels"),
        statements=(
            "Write `$name(amounts)` that returns the running totals of a list of non-negative integers, except that "
            "whenever the total goes above $limit it becomes 0 (and 0 is what is recorded for that step).",
            "A counter starts at 0. For each integer in `amounts` it is added to the counter, and if the counter is "
            "now more than $limit, it is set back to 0. `$name(amounts)` returns the list of counter values after "
            "each step.",
            "A tank holding up to $limit litres is filled in steps; a step that would put more than $limit litres in "
            "it empties it completely. Given the list of ints `amounts`, `$name` returns the level after every step, "
            "starting from an empty tank.",
            "Implement `$name(amounts)`: cumulative sums of the list of ints, with a reset to zero as soon as a sum "
            "exceeds $limit. Exactly $limit is still fine. The result has one entry per amount.",
            "We add points one after another; anyone who gets past $limit points falls back to zero points, while "
            "reaching $limit exactly is allowed. Return the score after each addition as a list: `$name(amounts)`.",
        ),
        gold="""\
def $name(amounts):
    total = 0
    totals = []
    for amount in amounts:
        total += amount
        if total > $limit:
            total = 0
        totals.append(total)
    return totals
""",
        inputs=lambda random, params: (ints(random, 1, 9, 0, params["limit"] * 2 // 3),),
        edges=lambda params: (([],), ([params["limit"], 0, 1, 2],), ([params["limit"] + 1, 3, params["limit"]],)),
        params=lambda random: {"limit": random.choice((10, 12, 15, 20, 21, 25))},
        wrong=(
            """\
def $name(amounts):
    total = 0
    totals = []
    for amount in amounts:
        total += amount
        if total >= $limit:
            total = 0
        totals.append(total)
    return totals
""",
            """\
def $name(amounts):
    total = 0
    totals = []
    for amount in amounts:
        total = min(total + amount, $limit)
        totals.append(total)
    return totals
""",
        ),
    ),
    Family(
        key="alternate_two_lists",
        topic="lists",
        difficulty="medium",
        signature="first, second",
        names=("alternate", "interleave", "zip_lists", "take_turns"),
        statements=(
            "Write `$name(first, second)` that interleaves two lists: first[0], second[0], first[1], second[1] and so "
            "on. When one list runs out, the rest of the other follows in order.",
            "Take elements in turn from the lists `first` and `second`, beginning with `first`. Once a list is used "
            "up, append all that remains of the other. `$name` returns the combined list.",
            "Implement `$name(first, second)` which merges two lists by alternating between them; the lists may have "
            "different lengths, and left-over elements of the longer one go to the end. Return a new list.",
            "Two queues, given as lists of ints, enter through one door: one from `first`, one from `second`, and so "
            "on alternately until a queue is empty, then everybody from the other. `$name(first, second)` returns the "
            "order of entry.",
            "How would you zip two integer lists into one flat list without losing the tail of the longer one? Write "
            "`$name(first, second)`; at each index the element of `first` comes before that of `second`.",
        ),
        gold="""\
def $name(first, second):
    result = []
    for index in range(max(len(first), len(second))):
        if index < len(first):
            result.append(first[index])
        if index < len(second):
            result.append(second[index])
    return result
""",
        inputs=lambda random, params: (ints(random, 0, 6, 0, 50), ints(random, 0, 6, 0, 50)),
        edges=lambda params: (([1, 2, 3], [9]), ([], [4, 5]), ([1], [7, 8, 9])),
        wrong=(
            """\
def $name(first, second):
    return [item for pair in zip(first, second) for item in pair]
""",
            """\
def $name(first, second):
    short = min(len(first), len(second))
    mixed = [item for pair in zip(second, first) for item in pair]
    return mixed + first[short:] + second[short:]
""",
        ),
    ),
    Family(
        key="flatten_one_level",
        topic="lists",
        difficulty="medium",
        signature="items",
        names=("flatten_once", "flatten_one_level", "unwrap", "remove_one_layer"),
        statements=(
            "Write `$name(items)` that flattens a list by exactly one level. Elements that are lists are replaced by "
            "their contents, other elements (integers) stay; lists nested deeper are left as they are.",
            "The list `items` holds integers and lists. `$name(items)` returns a new list in which the elements of "
            "each inner list stand in its place, in order. Only the outermost inner lists are opened.",
            "Unpack one layer: [1, [2, [3]], []] becomes [1, 2, [3]]. Implement this as `$name(items)` for any list "
            "made of ints and (possibly nested) lists.",
            "Some of the boxes in our list `items` are lists. Open each of them once and put what is inside at its "
            "position, without opening boxes found inside. Integers stay where they are. Write `$name(items)`.",
            "Define `$name`. Given a list of ints and lists, return a list with one level of brackets removed: list "
            "elements get spliced in, whatever they contain, and plain ints are kept.",
        ),
        gold="""\
def $name(items):
    flat = []
    for item in items:
        if isinstance(item, list):
            flat.extend(item)
        else:
            flat.append(item)
    return flat
""",
        inputs=_nested,
        edges=lambda params: (([],), ([1, [2, [3]], []],), ([[4, 5], 6],)),
        wrong=(
            """\
def $name(items):
    flat = []
    for item in items:
        if isinstance(item, list):
            flat.extend($name(item))
        else:
            flat.append(item)
    return flat
""",
            """\
def $name(items):
    return [part for item in items for part in item]
""",
        ),
    ),
    Family(
        key="longest_equal_run",
        topic="lists",
        difficulty="medium",
        signature="items",
        names=("longest_run", "longest_streak", "best_streak", "biggest_block"),
        statements=(
            "Write `$name(items)` that finds the longest run of equal consecutive elements in a list of integers and "
            "returns the tuple (value, length). If several runs are longest, take the first; for an empty list "
            "return None.",
            "Which number is repeated most often in a row? `$name(items)` returns `(number, how_often)` for the "
            "longest stretch of identical neighbours, the earliest one on a tie, and None if the list is empty.",
            "Given a list of ints, `$name` looks at blocks of equal adjacent values and returns a tuple of the value "
            "and size of the largest block. Ties go to the block furthest left. An empty list gives None.",
            "Implement `$name(items)`: the longest streak of one and the same integer, as a tuple (integer, streak "
            "length). The streak that starts first wins a draw. No items: None.",
            "A sensor logs an integer every second into the list `items`. `$name` tells the reading that stayed "
            "unchanged for the longest time and for how many seconds, as a tuple; of equally long ones the earliest. "
            "An empty log returns None.",
        ),
        gold="""\
def $name(items):
    best = None
    length = 0
    for index, item in enumerate(items):
        length = length + 1 if index and items[index - 1] == item else 1
        if best is None or length > best[1]:
            best = (item, length)
    return best
""",
        inputs=lambda random, params: (ints(random, 1, 10, 1, 3),),
        edges=lambda params: (([],), ([1, 1, 2, 2],), ([5, 4, 5, 4, 5, 4, 4],)),
        wrong=(
            """\
def $name(items):
    best = None
    length = 0
    for index, item in enumerate(items):
        length = length + 1 if index and items[index - 1] == item else 1
        if best is None or length >= best[1]:
            best = (item, length)
    return best
""",
            """\
def $name(items):
    if not items:
        return None
    value = max(items, key=items.count)
    return (value, items.count(value))
""",
        ),
    ),
    Family(
        key="longest_monotone_stretch",
        topic="lists",
        difficulty="medium",
        signature="numbers",
        names=("longest_stretch", "longest_trend", "trend_length", "best_climb"),
        statements=(
            "Write `$name(numbers)` that returns the length of the longest strictly $way stretch of consecutive "
            "elements in a list of integers. A single element is a stretch of length 1; an empty list gives 0.",
            "In a list of ints, how many neighbouring elements in a row can you pick so that each is $more than the "
            "one before? `$name(numbers)` returns the largest such count (0 for an empty list).",
            "`$name(numbers)`: find the longest contiguous part of the list of integers that is strictly $way and "
            "return how many elements it has. Equal neighbours break it. `[]` has length 0.",
            "Given daily prices as a list of integers, `$name(numbers)` returns the number of days in the longest "
            "period in which every day's price is strictly $more than that of the previous day of the period. "
            "One day alone counts as 1, no days as 0.",
            "Compute the size of the largest slice of `numbers` (a list of ints) whose elements are in strictly $way "
            "order, and return it as an int. The empty list has 0. Call the function `$name`.",
        ),
        gold="""\
def $name(numbers):
    best = length = 0
    for index, number in enumerate(numbers):
        if index and number $op numbers[index - 1]:
            length += 1
        else:
            length = 1
        best = max(best, length)
    return best
""",
        inputs=lambda random, params: (ints(random, 0, 9, 0, 6),),
        edges=lambda params: (([],), ([4, 4, 4],), ([1, 3, 5, 7, 2],), ([2, 7, 5, 3, 1],)),
        params=_order,
        wrong=(
            """\
def $name(numbers):
    best = length = 0
    for index, number in enumerate(numbers):
        if index and number $op= numbers[index - 1]:
            length += 1
        else:
            length = 1
        best = max(best, length)
    return best
""",
            """\
def $name(numbers):
    best = length = 0
    for previous, number in zip(numbers, numbers[1:]):
        length = length + 1 if number $op previous else 0
        best = max(best, length)
    return best
""",
        ),
    ),
    Family(
        key="turning_points",
        topic="searching",
        difficulty="medium",
        signature="numbers",
        names=("turning_points", "extreme_indexes", "find_peaks", "standout_positions"),
        statements=(
            "Write `$name(numbers)` that returns the indexes, in ascending order, of all elements of a list of "
            "integers that are strictly $more than both of their neighbours. The first and last elements never count.",
            "Return the 0-based positions in `numbers` (a list of ints) where the value is strictly $more than the one "
            "just before and the one just after. Ends of the list lack a neighbour and are left out. "
            "Function name: `$name`.",
            "`$name(numbers)` gets the heights along a path, a list of integers, and lists the indexes i with "
            "numbers[i] $op numbers[i-1] and numbers[i] $op numbers[i+1], both of which must exist. "
            "The result may be empty.",
            "Find the places in an integer list that stand out: those with a left and a right neighbour, strictly "
            "$more than either. `$name(numbers)` returns their indexes as a list, from left to right.",
            "Please implement `$name(numbers)`; it should collect every index (counting from 0) of an inner element "
            "that is $more than its two adjacent elements, equality not being enough, in increasing order.",
        ),
        gold="""\
def $name(numbers):
    found = []
    for index in range(1, len(numbers) - 1):
        if numbers[index] $op numbers[index - 1] and numbers[index] $op numbers[index + 1]:
            found.append(index)
    return found
""",
        inputs=lambda random, params: (ints(random, 0, 11, 0, 6),),
        edges=lambda params: (([3, 1],), ([1, 3, 3, 1, 5, 0],), ([4, 2, 6, 2, 2, 7, 1, 9],)),
        params=_order,
        wrong=(
            """\
def $name(numbers):
    found = []
    for index in range(1, len(numbers) - 1):
        if numbers[index] $op= numbers[index - 1] and numbers[index] $op= numbers[index + 1]:
            found.append(index)
    return found
""",
            """\
def $name(numbers):
    found = []
    for index in range(1, len(numbers) - 1):
        if numbers[index] $op numbers[index - 1] and numbers[index] $op numbers[index + 1]:
            found.append(numbers[index])
    return found
""",
        ),
    ),
    Family(
        key="first_pair_with_sum",
        topic="searching",
        difficulty="medium",
        signature="numbers, target",
        names=("first_pair", "pair_with_sum", "find_pair", "two_that_make"),
        statements=(
            "Write `$name(numbers, target)` that returns a tuple (i, j) of two indexes i < j of a list of integers "
            "with numbers[i] + numbers[j] == target. Take the smallest possible i, and for it the smallest j. "
            "Return None if there is no such pair.",
            "Given a list of ints and an int `target`, find two different positions whose values add up to `target`. "
            "`$name` returns them as a tuple, smaller index first; among several pairs the lexicographically smallest "
            "one, and None when there is none.",
            "`$name(numbers, target)`: try the first element with each later one, then the second with each later one, "
            "and so on; return the indexes (i, j) of the first two that sum to `target`, or None.",
            "A customer has exactly `target` coins to spend on two items from the list of prices `numbers`. "
            "`$name(numbers, target)` gives the tuple of their positions (i, j), i < j, preferring the least i and "
            "then the least j. If nothing fits, return None.",
            "Which two entries of the integer list `numbers` make `target` together? Return the pair of 0-based "
            "positions as a tuple in increasing order; with more than one choice the earliest first position decides, "
            "then the earliest second. No choice means None. Name: `$name`.",
        ),
        gold="""\
def $name(numbers, target):
    for i in range(len(numbers)):
        for j in range(i + 1, len(numbers)):
            if numbers[i] + numbers[j] == target:
                return (i, j)
    return None
""",
        inputs=_pair_and_target,
        edges=lambda params: (([], 0), ([1, 2, 3, 4], 5), ([4, 1], 8), ([3, 3, 3], 6)),
        wrong=(
            """\
def $name(numbers, target):
    seen = {}
    for j, number in enumerate(numbers):
        if target - number in seen:
            return (seen[target - number], j)
        seen[number] = j
    return None
""",
            """\
def $name(numbers, target):
    for i, first in enumerate(numbers):
        for j, second in enumerate(numbers):
            if first + second == target:
                return (i, j)
    return None
""",
        ),
    ),
    Family(
        key="best_window_start",
        topic="searching",
        difficulty="medium",
        signature="numbers",
        names=("best_window", "window_start", "strongest_stretch", "pick_window"),
        statements=(
            "Write `$name(numbers)` that looks at all slices of $width consecutive elements of a list of integers and "
            "returns the start index of the one with the $most sum. On a tie return the lowest index; return -1 if the "
            "list has fewer than $width elements.",
            "Slide a window of $width elements over the list of ints `numbers`. At which index does the window with "
            "the $most total begin? `$name` returns that index, the first one in case of ties, or -1 if no window "
            "fits.",
            "`$name(numbers)` returns the position where the $width adjacent integers with the $most sum start. "
            "Several equally good positions: the leftmost. Fewer than $width numbers: -1.",
            "Visitors per day are given as a list of integers. We look for the $width days in a row with the $most "
            "total; `$name(numbers)` says on which day (0-based) they start, the earliest if there are several, and -1 "
            "if there are not even $width days.",
            "Implement `$name`: for a list of ints return the smallest i for which numbers[i] and the elements after "
            "it, $width in all, have the $most possible sum; lists shorter than $width give -1.",
        ),
        gold="""\
def $name(numbers):
    best = -1
    for start in range(len(numbers) - $width + 1):
        total = sum(numbers[start:start + $width])
        if best < 0 or total $op sum(numbers[best:best + $width]):
            best = start
    return best
""",
        inputs=lambda random, params: (ints(random, 3, 9, -3, 5),),
        edges=lambda params: (
            ([9],),
            ([5] * params["width"] + [-5, -5] + [5] * params["width"],),
            ([-5] * params["width"] + [5, 5] + [-5] * params["width"],),
            ([0, 0, 0, 0, -9 if params["op"] == "<" else 9],),
        ),
        params=lambda random: {**_order(random), "width": random.choice((2, 3))},
        wrong=(
            """\
def $name(numbers):
    best = -1
    for start in range(len(numbers) - $width + 1):
        total = sum(numbers[start:start + $width])
        if best < 0 or total $op= sum(numbers[best:best + $width]):
            best = start
    return best
""",
            """\
def $name(numbers):
    sums = [sum(numbers[start:start + $width]) for start in range(len(numbers) - $width)]
    return sums.index($pick(sums)) if sums else -1
""",
        ),
    ),
    Family(
        key="majority_value",
        topic="searching",
        difficulty="medium",
        signature="votes",
        names=("majority", "majority_value", "absolute_majority", "more_than_half"),
        statements=(
            "Write `$name(votes)` that returns the integer which makes up strictly more than half of the list `votes`, "
            "or None if no value does. The list may be empty.",
            "Does one value hold an absolute majority in a list of ints? `$name(votes)` returns that value when it "
            "occurs more often than all others together, and None otherwise.",
            "Implement `$name(votes)`: find the element occurring in over 50 % of the positions of the list of "
            "integers. Exactly half is not enough. Without such an element (or any element) return None.",
            "Everybody votes for a number. A number wins only with more than half of all votes. `$name(votes)` takes "
            "the list of votes, which can be empty, and returns the winner or None.",
            "Given the list of integers `votes`, return the one whose count times two is greater than the length of "
            "the list; return None when there is no such integer. The function should be named `$name`.",
        ),
        gold="""\
def $name(votes):
    for vote in set(votes):
        if 2 * votes.count(vote) > len(votes):
            return vote
    return None
""",
        inputs=_with_majority,
        edges=lambda params: (([],), ([1, 1, 2, 2],), ([3, 1, 3],), ([5, 6, 5, 5, 8],)),
        wrong=(
            """\
def $name(votes):
    return max(votes, key=votes.count) if votes else None
""",
            """\
def $name(votes):
    for vote in set(votes):
        if 2 * votes.count(vote) >= len(votes):
            return vote
    return None
""",
        ),
    ),
    Family(
        key="insertion_index",
        topic="searching",
        difficulty="medium",
        signature="numbers, target",
        names=("insertion_index", "where_to_insert", "search_slot", "locate"),
        statements=(
            "Write `$name(numbers, target)`. `numbers` is a list of integers in ascending order; return the index at "
            "which `target` has to be inserted to keep it sorted. If equal elements are there, go $where all of them.",
            "Given an ascending list of ints, use binary search to find the insertion point of `target`: the index "
            "that keeps the order and lies $where any elements equal to `target`. `$name(numbers, target)` returns it.",
            "`$name(numbers, target)` tells where in the sorted integer list a new value belongs, as an index from 0 "
            "to len(numbers). Values equal to the new one put it $where them.",
            "Books are sorted by number. A new book `target` arrives; at which position of the list `numbers` should "
            "it be put? If there are books with the same number already, it goes $where them. Implement `$name`.",
            "Find the slot for `target` in the non-decreasing list `numbers` and return its index (0 for an empty "
            "list). Of the slots that keep the list sorted choose the one $where all copies of `target`. Name: "
            "`$name`.",
        ),
        gold="""\
def $name(numbers, target):
    low, high = 0, len(numbers)
    while low < high:
        middle = (low + high) // 2
        if numbers[middle] $op target:
            low = middle + 1
        else:
            high = middle
    return low
""",
        inputs=lambda random, params: (sorted(ints(random, 0, 10, 0, 9)), random.randint(-1, 10)),
        edges=lambda params: (([], 4), ([1, 3, 3, 3, 7], 3), ([2, 4], 9), ([5, 5, 5], 5)),
        params=lambda random: random.choice(
            ({"where": "before", "op": "<", "other": "<="}, {"where": "after", "op": "<=", "other": "<"})
        ),
        wrong=(
            """\
def $name(numbers, target):
    return sum(number $other target for number in numbers)
""",
            """\
def $name(numbers, target):
    return numbers.index(target) if target in numbers else -1
""",
        ),
    ),
    Family(
        key="split_at_value",
        topic="lists",
        difficulty="medium",
        signature="items",
        names=("split_at_value", "split_list", "cut_at_marker", "sections"),
        statements=(
            "Write `$name(items)` that splits a list of integers at every $marker, much as str.split does with a "
            "separator. The $marker elements themselves are left out and empty pieces are kept; return a list of "
            "lists.",
            "The number $marker separates sections in a list of ints. `$name(items)` returns the sections as a list of "
            "lists, in order, empty ones included, so there is always one section more than there are separators.",
            "Cut `items` at each element equal to $marker and return the pieces between the cuts, without the $marker. "
            "Two cuts in a row, or one at either end, give an empty piece; an empty list gives [[]]. Name: `$name`.",
            "A stream of integers uses $marker as its end-of-record mark. `$name(items)` returns the records as lists; "
            "what follows the last mark is a record too, even an empty one.",
            "Implement `$name(items)`. Begin with one empty group. For each integer: if it is $marker, begin a new "
            "group, otherwise append it to the current group. Return the list of groups.",
        ),
        gold="""\
def $name(items):
    pieces = [[]]
    for item in items:
        if item == $marker:
            pieces.append([])
        else:
            pieces[-1].append(item)
    return pieces
""",
        inputs=lambda random, params: (
            [
                random.choice((params["marker"], *range(3, 9))) if random.random() < 0.6 else params["marker"]
                for _ in range(random.randint(0, 9))
            ],
        ),
        edges=lambda params: (([],), ([4, params["marker"], 5, 6],), ([params["marker"], 7, params["marker"]],)),
        params=lambda random: {"marker": random.choice((0, -1, 1, 2))},
        wrong=(
            """\
def $name(items):
    pieces = []
    for item in items:
        if item == $marker:
            pieces.append([])
        elif pieces:
            pieces[-1].append(item)
        else:
            pieces.append([item])
    return pieces
""",
            """\
def $name(items):
    pieces = [[]]
    for item in items:
        if item == $marker:
            pieces.append([])
        else:
            pieces[-1].append(item)
    return [piece for piece in pieces if piece]
""",
        ),
    ),
    Family(
        key="balance_index",
        topic="searching",
        difficulty="medium",
        signature="numbers",
        names=("balance_index", "pivot_index", "balance_point", "even_split_at"),
        statements=(
            "Write `$name(numbers)` that returns the smallest index i of a list of integers such that the elements "
            "before i and the elements after i have the same sum (element i belongs to neither side; an empty side "
            "sums to 0). Return -1 if there is none.",
            "Find the balance point of a list of ints: the leftmost position where the total of everything to its left "
            "equals the total of everything to its right, the element there not counted. `$name(numbers)` gives the "
            "index, or -1.",
            "`$name(numbers)` should return an index i with sum(numbers[:i]) == sum(numbers[i+1:]). If several exist, "
            "the first; if none does, -1 (so also for an empty list).",
            "Weights, given as a list of integers, hang along a bar. At which weight can the bar be held so that the "
            "weights on either side add up to the same? `$name(numbers)` returns its index (the lowest possible), "
            "or -1 when there is no such weight.",
            "Implement `$name`: scanning from the left, return the first index whose left part and right part, both "
            "without the element itself, have equal sums. The parts may be empty and then sum to 0. Otherwise -1.",
        ),
        gold="""\
def $name(numbers):
    left = 0
    right = sum(numbers)
    for index, number in enumerate(numbers):
        right -= number
        if left == right:
            return index
        left += number
    return -1
""",
        inputs=_balanced_sums,
        edges=lambda params: (([],), ([7],), ([1, 2, 9, 3],), ([0, 0, 0],), ([1, 2, 3],)),
        wrong=(
            """\
def $name(numbers):
    for index in range(len(numbers)):
        if sum(numbers[:index]) == sum(numbers[index:]):
            return index
    return -1
""",
            """\
def $name(numbers):
    for index in range(1, len(numbers) - 1):
        if sum(numbers[:index]) == sum(numbers[index + 1:]):
            return index
    return -1
""",
        ),
    ),
)
