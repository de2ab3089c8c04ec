"""The frozen easy subset `builtin-easy@1`: easy families that the default model solves sometimes.

Chosen before any training, on training instances alone: of the 84 easy families that are not held out, those of
which SmolLM2-135M-Instruct solved at least one in eight samples (four instances, greedy and at temperature 0.7,
64 tokens). From groups without a single success nothing can be learned; the other families remain in `builtin@1`.
"""

from __future__ import annotations

__all__ = ["EASY_FAMILIES", "EASY_INSTANCES"]

# Instances of each family, by split.
EASY_INSTANCES = {"train": 12, "validation": 1, "unseen_instances": 5, "unseen_families": 5}

EASY_FAMILIES = (
    "absolute_difference",
    "add_constant",
    "add_to_all",
    "all_positive",
    "average_of_two",
    "between_inclusive",
    "celsius_to_fahrenheit",
    "concatenate_lists",
    "contains_value",
    "count_distinct",
    "count_greater",
    "count_up",
    "count_vowels",
    "count_words",
    "cube_number",
    "digits_backwards",
    "filter_evens",
    "first_character",
    "first_characters",
    "first_element",
    "greeting",
    "has_key",
    "is_even",
    "is_multiple",
    "is_same_backwards",
    "join_with_separator",
    "keep_greater",
    "last_digit",
    "last_element",
    "last_word",
    "leftover",
    "longer_than",
    "longest_of_words",
    "lookup_default",
    "matrix_sum",
    "maximum_of_list",
    "may_enter",
    "min_and_max",
    "minimum_of_three",
    "multiply_constant",
    "pair_sums",
    "pair_up",
    "power_of_base",
    "range_of_list",
    "rectangle_area",
    "remove_spaces",
    "repeat_string",
    "replace_letter",
    "reverse_list",
    "reverse_string",
    "shout",
    "sort_descending",
    "sorted_keys",
    "square_all",
    "starts_with_letter",
    "subtract_from",
    "sum_list",
    "sum_of_digits",
    "sum_of_two_squares",
    "sum_to_n",
    "word_lengths",
)
