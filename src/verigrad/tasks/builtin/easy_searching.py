"""Easy families that look for something in a list."""

from __future__ import annotations

from random import Random

from verigrad.tasks.builtin.draw import ints
from verigrad.tasks.builtin.family import Family
from verigrad.tasks.builtin.one_line import one_line
from verigrad.tasks.builtin.vocabulary import some_words

__all__ = ["FAMILIES"]


def _list_and_member(random: Random) -> tuple[list[int], int]:
    items = ints(random, 3, 7, 0, 9)
    return items, random.choice(items)


def _list_and_maybe_member(random: Random) -> tuple[list[int], int]:
    items, member = _list_and_member(random)
    return items, member if random.random() < 0.5 else random.randint(10, 15)


FAMILIES: tuple[Family, ...] = (
    one_line(
        key="maximum_of_list",
        topic="searching",
        signature="numbers",
        names=("max_of_list", "largest", "biggest_number", "highest_value", "find_max"),
        statements=(
            "Return the largest integer in the non-empty list numbers.",
            "Find the maximum of the non-empty list of integers numbers and return it.",
            "The function takes a list with at least one integer and returns the greatest one.",
            "Given a non-empty list of integers numbers, return the element that no other exceeds.",
            "The list numbers holds the heights of towers (integers, at least one). Return the greatest height.",
        ),
        result="max(numbers)",
        wrong=("min(numbers)", "numbers[-1]", "numbers.index(max(numbers))"),
        inputs=lambda random, params: (ints(random, 2, 7, -40, 40),),
        edges=(([-5],), ([-3, -8],)),
    ),
    one_line(
        key="minimum_of_list",
        topic="searching",
        signature="numbers",
        names=("min_of_list", "smallest", "lowest_number", "least_value", "find_min"),
        statements=(
            "Return the smallest integer in the non-empty list numbers.",
            "Find the minimum of the non-empty list of integers numbers and return it.",
            "The function takes a list with at least one integer and returns the lowest one.",
            "Given a non-empty list of integers numbers, return the element that is below or equal to all others.",
            "The list numbers holds the prices of one thing in several shops (integers). Return the cheapest price.",
        ),
        result="min(numbers)",
        wrong=("max(numbers)", "numbers[0]", "min(numbers[1:])"),
        inputs=lambda random, params: (ints(random, 2, 7, -40, 40),),
        edges=(([5],), ([3, 8],)),
    ),
    one_line(
        key="count_value",
        topic="searching",
        signature="items, value",
        names=("count_value", "count_occurrences", "how_many_times", "frequency_of", "count_item"),
        statements=(
            "Return how many times value occurs in the list items.",
            "Count the elements of the list items that are equal to value.",
            "The function takes a list of integers and an integer value and returns how often value is in the list.",
            "Given a list items and a value, return the number of occurrences of value (0 if there is none).",
            "In how many places does the list items hold exactly value? Return the number.",
        ),
        result="items.count(value)",
        wrong=("int(value in items)", "len(items)", "sum(item != value for item in items)"),
        inputs=lambda random, params: (ints(random, 4, 9, 1, 3), random.randint(1, 4)),
        edges=(([], 1),),
    ),
    one_line(
        key="contains_value",
        topic="searching",
        signature="items, value",
        names=("contains_value", "is_in_list", "includes", "has_item", "found"),
        statements=(
            "Return True if value is an element of the list items, and False otherwise.",
            "Check whether the list items contains value. Return a bool.",
            "The function takes a list of integers and an integer value and returns whether value is in the list.",
            "Given a list items and a value, return True when some element equals value, else False.",
            "The list items holds the numbers of all winning tickets. Return True if the ticket value wins, else "
            "False.",
        ),
        result="value in items",
        wrong=("value not in items", "items[0] == value", "items.count(value) == 1"),
        inputs=lambda random, params: _list_and_maybe_member(random),
        edges=(([], 1), ([2, 2], 2)),
    ),
    one_line(
        key="index_of_value",
        topic="searching",
        signature="items, value",
        names=("index_of", "find_index", "position_of", "where_is", "locate"),
        statements=(
            "Return the index of the first element of the list items that equals value. There is always one.",
            "Find where value first occurs in the list items and return that index, counting from 0.",
            "The function takes a list of integers and a value that is in it, and returns its first position (from 0).",
            "Given a list items that contains value, return the smallest index at which value stands.",
            "How many elements of the list items come before the first one equal to value? It surely occurs.",
        ),
        result="items.index(value)",
        wrong=("items.index(value) + 1", "len(items) - 1 - items[::-1].index(value)", "items.count(value)"),
        inputs=lambda random, params: _list_and_member(random),
        edges=(([4, 6, 4], 4),),
    ),
    one_line(
        key="count_greater",
        topic="searching",
        signature="numbers",
        names=("count_greater", "how_many_above", "number_over_limit", "count_large", "count_above"),
        statements=(
            "Return how many integers in the list numbers are greater than $k.",
            "Count the elements of the list numbers that exceed $k.",
            "The function takes a list of integers and returns the number of those above $k.",
            "Given a list of integers numbers, count those strictly larger than $k and return the count.",
            "The speed limit is $k. The list numbers holds speeds (integers). Return how many are faster than "
            "the limit.",
        ),
        result="sum(number > $k for number in numbers)",
        wrong=(
            "sum(number >= $k for number in numbers)",
            "sum(number < $k for number in numbers)",
            "[number for number in numbers if number > $k]",
        ),
        inputs=lambda random, params: (ints(random, 3, 9, params["k"] - 4, params["k"] + 4),),
        params=lambda random: {"k": random.randint(6, 60)},
        edges=(([],),),
    ),
    one_line(
        key="second_largest",
        topic="searching",
        signature="numbers",
        names=("second_largest", "runner_up", "second_highest", "next_to_largest", "second_best"),
        statements=(
            "Return the second largest integer in the list numbers, which holds at least two different integers "
            "and no duplicates.",
            "Sort the list numbers (two or more integers, all different) and return the one before the last.",
            "The function takes a list of distinct integers, two at least, and returns the largest but one.",
            "Given a list of two or more distinct integers, return the greatest of those below the maximum.",
            "The list numbers holds scores, all different, of two or more players. Return the runner-up's score.",
        ),
        result="sorted(numbers)[-2]",
        wrong=("max(numbers)", "sorted(numbers)[1]", "numbers[-2]"),
        inputs=lambda random, params: (random.sample(range(-20, 60), random.randint(2, 7)),),
        edges=(([9, 1],),),
    ),
    one_line(
        key="longest_of_words",
        topic="searching",
        signature="words",
        names=("longest_word", "longest_string", "find_longest", "most_letters", "get_longest"),
        statements=(
            "Return the longest string in the non-empty list words. If several are longest, return the first.",
            "Find the string with the most characters in the non-empty list words; on a tie the first one wins.",
            "The function takes a non-empty list of strings and returns the longest, the earliest if there is a tie.",
            "Given a list with at least one string, return the first one of maximal length.",
            "Which string of the non-empty list words has the most letters? Return it (the first such one).",
        ),
        result="max(words, key=len)",
        wrong=("max(words)", "len(max(words, key=len))", "min(words, key=len)", "sorted(words, key=len)[-1]"),
        inputs=lambda random, params: (some_words(random, 2, 5),),
        edges=((["aa", "bb"],),),
    ),
)
