"""Easy families on dicts, sets and tuples."""

from __future__ import annotations

from random import Random

from verigrad.tasks.builtin.draw import ints
from verigrad.tasks.builtin.family import Family
from verigrad.tasks.builtin.one_line import one_line
from verigrad.tasks.builtin.vocabulary import WORDS

__all__ = ["FAMILIES"]


def _counts(random: Random, low: int = 1, high: int = 5) -> dict[str, int]:
    """A dict from short words to different integers."""
    size = random.randint(low, high)
    return dict(zip(random.sample(WORDS, size), random.sample(range(1, 40), size), strict=True))


def _counts_and_key(random: Random) -> tuple[dict[str, int], str]:
    counts = _counts(random)
    return counts, random.choice(list(counts)) if random.random() < 0.5 else random.choice(WORDS)


def _keys_and_values(random: Random) -> tuple[list[str], list[int]]:
    counts = _counts(random, 2, 4)
    return list(counts), list(counts.values())


def _pairs(random: Random) -> list[tuple[int, int]]:
    return [(random.randint(-9, 20), random.randint(-9, 20)) for _ in range(random.randint(2, 5))]


_DICTS = (
    one_line(
        key="lookup_default",
        topic="dicts",
        signature="counts, key",
        names=("lookup", "get_value", "look_up_or_default", "value_for", "find_value"),
        statements=(
            "Return the value of key in the dict counts, or $k if the key is missing.",
            "Look up key in the dictionary counts. If it is not there, return $k.",
            "The function takes a dict from strings to integers and a string key; it returns counts[key], or else $k.",
            "Given a dict counts and a key, return the value stored for the key, with $k as the default.",
            "The dict counts says how many pieces of each thing are known. Return the number for key; unknown "
            "means $k.",
        ),
        result="counts.get(key, $k)",
        wrong=("counts[key]", "counts.get(key)", "counts.get(key, $k + 1)"),
        inputs=lambda random, params: _counts_and_key(random),
        params=lambda random: {"k": random.choice((-1, 0, 50, 100))},
        edges=(({}, "a"),),
    ),
    one_line(
        key="sorted_keys",
        topic="dicts",
        signature="counts",
        names=("sorted_keys", "keys_in_order", "ordered_keys", "list_of_keys", "get_keys"),
        statements=(
            "Return the keys of the dict counts as a sorted list.",
            "Sort the keys of the dictionary counts (strings) and return them as a list.",
            "The function takes a dict with string keys and returns the list of its keys in alphabetical order.",
            "Given a dict counts, return a list of all its keys in increasing order.",
            "The dict counts maps names to ages. Return the list of the names from a to z.",
        ),
        result="sorted(counts)",
        wrong=("sorted(counts.values())", "sorted(counts, reverse=True)", "list(counts)"),
        inputs=lambda random, params: (_counts(random, 2, 5),),
        edges=(({},),),
    ),
    one_line(
        key="sum_of_values",
        topic="dicts",
        signature="counts",
        names=("sum_of_values", "total_count", "sum_dict", "all_together", "add_values"),
        statements=(
            "Return the sum of all values in the dict counts (0 if it is empty).",
            "Add up the values of the dictionary counts, which are integers. An empty dict gives 0.",
            "The function takes a dict from strings to integers and returns the total of its values.",
            "Given a dict counts, compute the sum of the integers stored in it (0 for an empty one).",
            "The dict counts says how many of each fruit are in a basket. Return how many fruits there are in all.",
        ),
        result="sum(counts.values())",
        wrong=("len(counts)", "max(counts.values(), default=0)", "list(counts.values())"),
        inputs=lambda random, params: (_counts(random, 2, 5),),
        edges=(({},),),
    ),
    one_line(
        key="has_key",
        topic="dicts",
        signature="counts, key",
        names=("has_key", "key_exists", "is_known", "contains_key", "check_key"),
        statements=(
            "Return True if key is a key of the dict counts, and False otherwise.",
            "Check whether the dictionary counts has an entry for key. Return a bool.",
            "The function takes a dict and a string key and returns whether the key is in the dict.",
            "Given a dict counts and a key, return True when the key is present, else False.",
            "The dict counts is a phone book. Return True if somebody called key is in it, else False.",
        ),
        result="key in counts",
        wrong=("key not in counts", "key in counts.values()", "counts.get(key)"),
        inputs=lambda random, params: _counts_and_key(random),
        edges=(({}, "a"),),
    ),
    one_line(
        key="key_of_largest",
        topic="dicts",
        signature="counts",
        names=("key_of_largest", "best_key", "most_frequent_key", "winner", "max_key"),
        statements=(
            "Return the key with the largest value in the non-empty dict counts. All values differ.",
            "Find the key of the dictionary counts whose value is the maximum. The values are different integers.",
            "The function takes a non-empty dict with distinct integer values and returns the key of the largest one.",
            "Given a non-empty dict counts without equal values, return the key that has the highest value.",
            "The dict counts maps each player to a score; no two are equal. Return the player with the best score.",
        ),
        result="max(counts, key=counts.get)",
        wrong=("max(counts)", "max(counts.values())", "min(counts, key=counts.get)"),
        inputs=lambda random, params: (_counts(random, 2, 5),),
    ),
    one_line(
        key="pair_up",
        topic="dicts",
        signature="keys, values",
        names=("pair_up", "make_dict", "to_dictionary", "match_keys", "build_dict"),
        statements=(
            "Return a dict that maps each element of the list keys to the element of the list values at the same "
            "index.",
            "Build a dictionary from the list keys and the equally long list values.",
            "The function takes two lists of one length and returns a dict from the elements of the first to the "
            "second.",
            "Given lists keys and values of equal length, return the dict with keys[i] mapped to values[i].",
            "The list keys holds names and the list values holds ages, in the same order. Return the dict of "
            "ages by name.",
        ),
        result="dict(zip(keys, values))",
        wrong=("dict(zip(values, keys))", "list(zip(keys, values))", "dict(zip(keys, values[::-1]))"),
        inputs=lambda random, params: _keys_and_values(random),
        edges=(([], []),),
    ),
)

_SETS = (
    one_line(
        key="count_distinct",
        topic="sets",
        signature="items",
        names=("count_distinct", "unique_count", "number_of_different", "how_many_kinds", "count_unique"),
        statements=(
            "Return how many different elements the list items has.",
            "Count the distinct values in the list items and return the count.",
            "The function takes a list of integers and returns how many of them are left when duplicates are removed.",
            "Given a list items, return the number of unique elements, counting equal ones once.",
            "The list items holds the numbers of stamps, some of them twice. Return how many kinds there are.",
        ),
        result="len(set(items))",
        wrong=("len(items)", "len(items) - len(set(items))", "sum(items.count(item) == 1 for item in items)"),
        inputs=lambda random, params: (ints(random, 3, 9, 1, 6),),
        edges=(([],), ([2, 2],)),
    ),
    one_line(
        key="common_count",
        topic="sets",
        signature="first, second",
        names=("common_count", "count_common", "shared_elements", "overlap_size", "num_common"),
        statements=(
            "Return how many different elements occur in both lists first and second.",
            "Count the distinct values that the lists first and second have in common.",
            "The function takes two lists of integers and returns the size of the intersection of their sets.",
            "Given lists first and second, return the number of different integers that are in both.",
            "Two friends list their favourite numbers in first and second. How many different numbers do they share?",
        ),
        result="len(set(first) & set(second))",
        wrong=("len(set(first) | set(second))", "sum(item in second for item in first)", "set(first) & set(second)"),
        inputs=lambda random, params: (ints(random, 3, 7, 1, 9), ints(random, 3, 7, 1, 9)),
        edges=(([], [1]), ([2, 2], [2])),
    ),
    one_line(
        key="sorted_union",
        topic="sets",
        signature="first, second",
        names=("sorted_union", "union", "merge_unique", "all_elements", "combine_sorted"),
        statements=(
            "Return a sorted list of the different integers that are in the list first or the list second.",
            "Unite the lists first and second, remove duplicates, and return the result sorted in increasing order.",
            "The function takes two lists of integers and returns each integer of either one once, in increasing "
            "order.",
            "Given lists first and second, return the sorted list of the union of their elements.",
            "Two people collect the numbers in first and second. Return, in increasing order, those at least one has.",
        ),
        result="sorted(set(first) | set(second))",
        wrong=("sorted(first + second)", "sorted(set(first) & set(second))", "sorted(set(first))"),
        inputs=lambda random, params: (ints(random, 2, 5, 1, 12), ints(random, 2, 5, 1, 12)),
        edges=(([], []), ([2], [2])),
    ),
    one_line(
        key="has_duplicates",
        topic="sets",
        signature="items",
        names=("has_duplicates", "contains_repeat", "any_twice", "not_all_different", "has_repeats"),
        statements=(
            "Return True if some value occurs more than once in the list items, and False otherwise.",
            "Check whether the list items contains duplicates. Return a bool.",
            "The function takes a list of integers and returns whether any two elements are equal.",
            "Given a list items, return True when at least one element is repeated, else False.",
            "The list items holds seat numbers that were sold. Return True if a seat was sold twice, else False.",
        ),
        result="len(set(items)) < len(items)",
        wrong=("len(set(items)) == len(items)", "items[0] in items[1:]", "len(items) > 4"),
        inputs=lambda random, params: (
            ints(random, 3, 6, 1, 6) if random.random() < 0.6 else random.sample(range(30), random.randint(2, 6)),
        ),
        edges=(([],), ([3, 3],)),
    ),
    one_line(
        key="only_in_first",
        topic="sets",
        signature="first, second",
        names=("only_in_first", "set_difference", "missing_in_second", "not_in_second", "difference_sorted"),
        statements=(
            "Return a sorted list of the different integers that are in the list first but not in the list second.",
            "Remove from the set of first all elements of second and return the rest as a sorted list.",
            "The function takes two lists of integers; it returns, sorted and without duplicates, what only first has.",
            "Given lists first and second, return the sorted list of the set difference, first minus second.",
            "The list first is a shopping list and second what was bought. Return what is missing, sorted, each once.",
        ),
        result="sorted(set(first) - set(second))",
        wrong=(
            "sorted(set(second) - set(first))",
            "sorted(set(first) & set(second))",
            "sorted(set(first) ^ set(second))",
        ),
        inputs=lambda random, params: (ints(random, 3, 6, 1, 9), ints(random, 2, 5, 1, 9)),
        edges=(([], [1]), ([2, 2], [5])),
    ),
)

_TUPLES = (
    one_line(
        key="swap_pair",
        topic="tuples",
        signature="pair",
        names=("swap_pair", "swap", "exchange", "reverse_pair", "flip_pair"),
        statements=(
            "Return the tuple pair with its two elements swapped.",
            "Swap the elements of the tuple pair, which has two, and return a tuple.",
            "The function takes a tuple (a, b) and returns the tuple (b, a).",
            "Given a tuple pair of length two, return a tuple with its second element first and its first second.",
            "The tuple pair is (x, y). Return the point mirrored at the diagonal, the tuple (y, x).",
        ),
        result="(pair[1], pair[0])",
        wrong=("pair", "[pair[1], pair[0]]", "tuple(sorted(pair))"),
        inputs=lambda random, params: ((random.randint(0, 60), random.randint(0, 60)),),
    ),
    one_line(
        key="pair_sums",
        topic="tuples",
        signature="pairs",
        names=("pair_sums", "sum_pairs", "add_each_pair", "totals_of_pairs", "sums"),
        statements=(
            "Return a list with the sum of each tuple in the list pairs. Every tuple holds two integers.",
            "For each tuple (a, b) in the list pairs compute a + b. Return the results as a list.",
            "The function takes a list of pairs of integers and returns the list of their sums in the same order.",
            "Given a list pairs of tuples of two integers, return the list of the two added together for each.",
            "Each tuple of the list pairs holds the points of two rounds. Return the list of the points of both "
            "together.",
        ),
        result="[a + b for a, b in pairs]",
        wrong=("[a * b for a, b in pairs]", "sum(a + b for a, b in pairs)", "[a - b for a, b in pairs]"),
        inputs=lambda random, params: (_pairs(random),),
        edges=(([],),),
    ),
    one_line(
        key="first_of_pairs",
        topic="tuples",
        signature="pairs",
        names=("first_of_pairs", "first_items", "left_sides", "take_firsts", "get_firsts"),
        statements=(
            "Return a list of the first element of each tuple in the list pairs.",
            "Take the element at index 0 of every tuple in the list pairs and return them as a list.",
            "The function takes a list of tuples of two integers and returns the list of the first ones, in order.",
            "Given a list pairs of tuples (a, b), return the list of all a in the same order.",
            "Each tuple of the list pairs is (x, y). Return the list of the x values, in order.",
        ),
        result="[pair[0] for pair in pairs]",
        wrong=("[pair[1] for pair in pairs]", "pairs[0]", "[pair[0] for pair in pairs[1:]]"),
        inputs=lambda random, params: (_pairs(random),),
        edges=(([],),),
    ),
    one_line(
        key="min_and_max",
        topic="tuples",
        signature="numbers",
        names=("min_and_max", "extremes", "lowest_and_highest", "bounds", "min_max"),
        statements=(
            "Return a tuple with the smallest and the largest integer in the non-empty list numbers.",
            "Return the tuple (minimum, maximum) of the non-empty list of integers numbers.",
            "The function takes a non-empty list of integers and returns a tuple: first the least, then the greatest.",
            "Given a list with at least one integer, return its minimum and its maximum as a tuple of two.",
            "The list numbers holds temperatures. Return the lowest and the highest one, as a tuple in this order.",
        ),
        result="(min(numbers), max(numbers))",
        wrong=("(max(numbers), min(numbers))", "[min(numbers), max(numbers)]", "(numbers[0], numbers[-1])"),
        inputs=lambda random, params: (ints(random, 2, 6, -20, 40),),
        edges=(([3],),),
    ),
)

FAMILIES: tuple[Family, ...] = _DICTS + _SETS + _TUPLES
