"""Hard families: answers built from the answers to smaller questions (dynamic programming)."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints, word
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _edit_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    source = word(random, 2, 9, "abcde")
    target = list(source)
    for _ in range(random.randint(1, 5)):
        place = random.randint(0, len(target))
        target[place : place + random.randint(0, 1)] = random.choices("abcde", k=random.randint(0, 2))
    return source, "".join(target)


_EDIT_GOLD = """\
def $name(source, target):
    previous = list(range(len(target) + 1))
    for i, left in enumerate(source, 1):
        current = [i]
        for j, right in enumerate(target, 1):
            change = previous[j - 1] + (0 if left == right else $replace)
            current.append(min(change, previous[j] + 1, current[j - 1] + 1))
        previous = current
    return previous[-1]
"""

_EDIT_DISTANCE = Family(
    key="edit_distance",
    topic="dynamic_programming",
    difficulty="hard",
    signature="source, target",
    names=("edit_distance", "edit_cost", "transform_cost", "rewrite_price"),
    statements=(
        "Write `$name(source, target)` that returns the smallest total cost of turning the string `source` into the "
        "string `target`. Inserting a character costs 1, deleting a character costs 1, and replacing a character by "
        "another costs $replace. Either string may be empty; the result is an int.",
        "Given two strings, how cheaply can one be edited into the other? Define `$name(source, target)` returning the "
        "minimal cost as an int, when an insertion or a deletion of one character is priced 1 and a substitution of "
        "one character is priced $replace. Empty strings are allowed.",
        "I need a weighted Levenshtein distance. `$name(source, target)` takes two possibly empty strings and returns "
        "an int: the lowest sum of costs over all sequences of single-character edits that change `source` into "
        "`target`, where substitutions cost $replace each and insertions and deletions cost 1 each.",
        "Implement `$name(source, target)`. You may edit `source` one character at a time: add one (cost 1), remove "
        "one (cost 1), or swap one for a different character (cost $replace). Return the least total cost, an int, "
        "that makes it equal to `target`. Both arguments are strings and can be empty.",
        "For a spelling tool, compute with `$name(source, target)` how far apart two strings are. The distance is the "
        "minimum, over every way to edit `source` until it equals `target`, of (insertions + deletions + $replace "
        "times replacements), each operation touching a single character. Return it as an int; the distance from an "
        "empty string is the other string's length.",
    ),
    gold=_EDIT_GOLD,
    inputs=_edit_inputs,
    edges=lambda params: (("abc", ""), ("kitten", "sitting")),
    params=lambda random: {"replace": random.choice((1, 2))},
    wrong=(
        _EDIT_GOLD.replace("[i]", "[0]"),
        _EDIT_GOLD.replace("else $replace", "else 3 - $replace"),
        """\
def $name(source, target):
    changed = sum(left != right for left, right in zip(source, target))
    return $replace * changed + abs(len(source) - len(target))
""",
    ),
)


_COMMON_GOLD = """\
def $name(first, second):
    previous = [0] * (len(second) + 1)
    for left in first:
        current = [0]
        for j, right in enumerate(second, 1):
            if left == right:
                current.append(previous[j - 1] + 1)
            else:
                current.append(max(previous[j], current[-1]))
        previous = current
    return previous[-1]
"""

_COMMON_SUBSEQUENCE = Family(
    key="common_subsequence",
    topic="dynamic_programming",
    difficulty="hard",
    signature="first, second",
    names=("common_subsequence", "lcs_length", "shared_order", "longest_shared"),
    statements=(
        "Write `$name(first, second)` that returns the length of the longest common subsequence of two strings. A "
        "subsequence keeps the order of the characters but may skip any of them. Return 0 if nothing is shared or a "
        "string is empty.",
        "Two strings are given. By deleting characters from each of them, and never reordering, we want to reach the "
        "same string in both, as long as possible. Define `$name(first, second)` to return the length of that string "
        "as an int (0 for an empty argument).",
        "Implement `$name(first, second)`: the largest number k such that k characters, not necessarily adjacent, "
        "occur in the same order in both strings. Comparison is case-sensitive and the result is an int, 0 when the "
        "strings have no character in common.",
        "I am comparing two event logs written as strings, one character per event. Please give me "
        "`$name(first, second)`, the maximum number of events that can be matched up pairwise so that matched "
        "characters are equal and the matches appear in the same order in both logs; gaps are fine. Empty logs give 0.",
        "How much do two strings agree if gaps are ignored? `$name(first, second)` should return an int: the size of "
        "the biggest string that can be obtained from `first` and also from `second` by removing zero or more "
        "characters. The removed characters may be anywhere. If either argument is empty the answer is 0.",
    ),
    gold=_COMMON_GOLD,
    inputs=lambda random, params: (word(random, 3, 11, "abcd"), word(random, 3, 11, "abcd")),
    edges=lambda params: (("", "abc"), ("abcde", "badce")),
    wrong=(
        _COMMON_GOLD.replace("max(previous[j], current[-1])", "0"),
        """\
from collections import Counter

def $name(first, second):
    return sum((Counter(first) & Counter(second)).values())
""",
    ),
)


_MONOTONE_KINDS = (
    {"kind": "strictly increasing", "rule": "greater than", "op": "<", "other": "<="},
    {"kind": "non-decreasing", "rule": "greater than or equal to", "op": "<=", "other": "<"},
    {"kind": "strictly decreasing", "rule": "less than", "op": ">", "other": ">="},
    {"kind": "non-increasing", "rule": "less than or equal to", "op": ">=", "other": ">"},
)

_MONOTONE_GOLD = """\
def $name(numbers):
    best = []
    for i, number in enumerate(numbers):
        longest = 0
        for j in range(i):
            if numbers[j] $op number:
                longest = max(longest, best[j])
        best.append(longest + 1)
    return max(best, default=0)
"""

_MONOTONE_SUBSEQUENCE = Family(
    key="monotone_subsequence",
    topic="dynamic_programming",
    difficulty="hard",
    signature="numbers",
    names=("longest_subsequence", "best_chain", "ordered_length", "keep_most"),
    statements=(
        "Write `$name(numbers)` that returns the length of the longest $kind subsequence of a list of ints. The chosen "
        "numbers keep their order in the list but need not be next to each other. Return 0 for an empty list.",
        "From a list of integers you may delete any elements. Define `$name(numbers)` returning the largest number of "
        "elements that can be left so that what remains is $kind (each number $rule the one before it). An empty list "
        "gives 0.",
        "Implement `$name(numbers)`: pick positions i1 < i2 < ... of the int list `numbers` such that every picked "
        "number after the first is $rule the previously picked one. Return the maximum number of picks as an int, and "
        "0 if the list is empty.",
        "I want to know how long a $kind chain is hidden in a list of ints. `$name(numbers)` walks from left to right, "
        "may skip elements, and returns the length of the longest chain possible, where each element is $rule its "
        "predecessor in the chain. For `[]` return 0.",
        "Given measurements in the order they were taken, discard as few as possible so that the rest is $kind: every "
        "kept value must be $rule the value kept just before it. `$name(numbers)` takes the list of ints and returns "
        "how many values are kept (an int, 0 when there are no measurements).",
    ),
    gold=_MONOTONE_GOLD,
    inputs=lambda random, params: (ints(random, 6, 12, 0, 12),),
    edges=lambda params: (([],), ([2, 2, 2],), ([5, 1, 6, 2, 7, 3],)),
    params=lambda random: random.choice(_MONOTONE_KINDS),
    wrong=(
        _MONOTONE_GOLD.replace("$op", "$other"),
        """\
def $name(numbers):
    best = run = 0
    for i, number in enumerate(numbers):
        run = run + 1 if i and numbers[i - 1] $op number else 1
        best = max(best, run)
    return best
""",
        """\
def $name(numbers):
    kept = []
    for number in numbers:
        if not kept or kept[-1] $op number:
            kept.append(number)
    return len(kept)
""",
    ),
)


_FEWEST_GOLD = """\
def $name(coins, amount):
    fewest = [0]
    for total in range(1, amount + 1):
        options = []
        for coin in coins:
            if coin <= total and fewest[total - coin] is not None:
                options.append(fewest[total - coin] + 1)
        fewest.append(min(options, default=None))
    return -1 if fewest[amount] is None else fewest[amount]
"""

_FEWEST_COINS = Family(
    key="fewest_coins",
    topic="dynamic_programming",
    difficulty="hard",
    signature="coins, amount",
    names=("fewest_coins", "min_coins", "smallest_payment", "coin_count"),
    statements=(
        "Write `$name(coins, amount)` that returns the smallest number of coins that add up to exactly `amount`. "
        "`coins` is a list of distinct positive ints, each usable any number of times, and `amount` is an int of at "
        "least 0. Return -1 if the amount cannot be made; 0 needs no coins.",
        "A machine pays out sums with coins of the values in the list `coins` (distinct positive ints, unlimited "
        "supply of each). Define `$name(coins, amount)` that gives the minimal count of coins whose values total "
        "`amount`, 0 when `amount` is 0, or -1 when no combination fits exactly.",
        "Implement `$name(coins, amount)`. You have endless coins of each value in `coins`, a list of different "
        "positive integers, possibly empty. Find how few of them sum to the non-negative int `amount`; return that "
        "number, or -1 when it is impossible. Taking the largest coin first does not always give the best answer.",
        "How many coins must I hand over at least? `$name(coins, amount)` receives the available values (list of "
        "distinct positive ints; every value may be used repeatedly) and a non-negative int. Return the least number "
        "of coins with exactly that total as an int; -1 means that the total cannot be reached.",
        "Given step sizes and a distance, count steps. More exactly, with `coins` a list of distinct positive ints "
        "and `amount` an int >= 0, `$name(coins, amount)` returns the length of the shortest list of values taken "
        "from `coins`, repeats allowed, whose sum is `amount`. If there is none the result is -1; amount 0 gives 0.",
    ),
    gold=_FEWEST_GOLD,
    inputs=lambda random, params: (random.sample(range(2, 13), random.randint(2, 4)), random.randint(5, 40)),
    edges=lambda params: (([], 0), ([1, 3, 4], 6), ([5, 3], 4)),
    wrong=(
        """\
def $name(coins, amount):
    used = 0
    for coin in sorted(coins, reverse=True):
        used += amount // coin
        amount %= coin
    return -1 if amount else used
""",
        """\
def $name(coins, amount):
    fewest = {0: 0}
    for coin in coins:
        for total, used in list(fewest.items()):
            fewest[total + coin] = min(used + 1, fewest.get(total + coin, used + 1))
    return fewest.get(amount, -1)
""",
        _FEWEST_GOLD.replace("-1 if", "0 if"),
    ),
)


_CHANGE_SYSTEMS = ("[1, 2, 5]", "[1, 3, 4]", "[2, 3, 7]", "[1, 5, 10]", "[2, 5, 6]", "[3, 4, 5]", "[1, 4, 6, 9]")

_CHANGE_GOLD = """\
def $name(amount):
    ways = [1] + [0] * amount
    for coin in $coins:
        for total in range(coin, amount + 1):
            ways[total] += ways[total - coin]
    return ways[amount]
"""

_WAYS_TO_CHANGE = Family(
    key="ways_to_change",
    topic="dynamic_programming",
    difficulty="hard",
    signature="amount",
    names=("ways_to_change", "count_change", "payment_ways", "coin_mixes"),
    statements=(
        "Write `$name(amount)` that returns in how many ways the int `amount` (at least 0) can be paid with coins of "
        "the values $coins. Each value can be used any number of times and the order of the coins does not matter. "
        "There is one way to pay 0.",
        "A currency has coins worth $coins, as many of each as you like. Define `$name(amount)` to count the different "
        "combinations of coins whose total is exactly the non-negative int `amount`. Two combinations are different "
        "only if they use some coin a different number of times; the empty combination pays 0.",
        "Count the multisets of numbers from $coins that sum to a given int. The function is `$name(amount)` with "
        "`amount` >= 0; it returns an int, which is 1 for amount 0 and 0 when no multiset works.",
        "I run a shop and only take coins from this list: $coins. `$name(amount)` should tell me how many distinct "
        "handfuls of coins make exactly `amount`, a non-negative int, when order is ignored and repeats are allowed. "
        "Return an int; paying 0 counts as a single way.",
        "Implement `$name(amount)`: the number of ways to write the non-negative int `amount` as a sum of numbers "
        "from $coins, repeats allowed, where sums that only differ in the order of their terms are the same. The empty "
        "sum counts, so 0 gives 1; impossible amounts give 0.",
    ),
    gold=_CHANGE_GOLD,
    inputs=lambda random, params: (random.randint(3, 70),),
    edges=lambda params: ((0,), (12,), (17,)),
    params=lambda random: {"coins": random.choice(_CHANGE_SYSTEMS)},
    wrong=(
        """\
def $name(amount):
    ways = [1] + [0] * amount
    for total in range(1, amount + 1):
        for coin in $coins:
            if coin <= total:
                ways[total] += ways[total - coin]
    return ways[amount]
""",
        _CHANGE_GOLD.replace("range(coin, amount + 1)", "range(amount, coin - 1, -1)"),
    ),
)


def _knapsack_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    items = [(random.randint(1, 9), random.randint(1, 20)) for _ in range(random.randint(3, 7))]
    return items, random.randint(5, 25)


_KNAPSACK_GOLD = """\
def $name(items, capacity):
    best = [0] * (capacity + 1)
    for weight, value in items:
        for room in range(capacity, weight - 1, -1):
            best[room] = max(best[room], best[room - weight] + value)
    return best[capacity]
"""

_KNAPSACK = Family(
    key="knapsack",
    topic="dynamic_programming",
    difficulty="hard",
    signature="items, capacity",
    names=("knapsack", "best_load", "pack_value", "richest_bag"),
    statements=(
        "Write `$name(items, capacity)`. `items` is a list of `(weight, value)` tuples of positive ints and `capacity` "
        "is an int of at least 0. Return the largest total value of items whose total weight is at most `capacity`, "
        "taking each item at most once. The answer is 0 if nothing fits.",
        "A bag carries at most `capacity` kilograms (a non-negative int). Each entry of the list `items` is a tuple "
        "`(weight, value)` of positive ints and can be packed whole, once, or left behind. Define "
        "`$name(items, capacity)` returning the greatest value that can be carried, 0 for an empty list.",
        "Implement the 0/1 knapsack problem as `$name(items, capacity)`: choose a subset of the `(weight, value)` "
        "pairs in the list such that the weights sum to no more than `capacity`, and return the maximal sum of values "
        "as an int. Weights and values are positive ints; equal pairs are separate items; the empty subset is worth 0.",
        "I have `capacity` hours and a list of jobs `(hours, pay)`, all positive ints, each of which I can do once or "
        "not at all. `$name(items, capacity)` should return the most I can earn without exceeding my hours. A total of "
        "exactly `capacity` hours is fine, and with no possible job I earn 0.",
        "Which selection is worth most? Given `items`, a list of pairs (cost, gain) of positive ints, and a budget "
        "`capacity` >= 0, let `$name(items, capacity)` return the highest total gain over all selections costing no "
        "more than the budget. No pair may be selected twice or in part. Return only the gain, an int (0 when nothing "
        "is affordable).",
    ),
    gold=_KNAPSACK_GOLD,
    inputs=_knapsack_inputs,
    edges=lambda params: (([], 10), ([(5, 10), (4, 7), (4, 7)], 8), ([(2, 5)], 7)),
    wrong=(
        _KNAPSACK_GOLD.replace("range(capacity, weight - 1, -1)", "range(weight, capacity + 1)"),
        """\
def $name(items, capacity):
    total = 0
    for weight, value in sorted(items, key=lambda item: item[1] / item[0], reverse=True):
        if weight <= capacity:
            capacity -= weight
            total += value
    return total
""",
    ),
)


_SUBSETS_GOLD = """\
def $name(numbers, target):
    counts = {0: 1}
    for number in numbers:
        updated = dict(counts)
        for total, ways in counts.items():
            updated[total + number] = updated.get(total + number, 0) + ways
        counts = updated
    return counts.get(target, 0)
"""


def _subset_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    numbers = ints(random, 4, 9, -3, 8)
    return numbers, sum(random.sample(numbers, random.randint(1, 3)))


_SUBSET_COUNT = Family(
    key="subset_count",
    topic="dynamic_programming",
    difficulty="hard",
    signature="numbers, target",
    names=("subset_count", "count_subsets", "target_picks", "choices_hitting"),
    statements=(
        "Write `$name(numbers, target)` that counts in how many ways elements of the list of ints `numbers` can be "
        "chosen so that they sum to the int `target`. Each position is used at most once, and equal numbers at "
        "different positions count as different choices. Choosing nothing has sum 0 and counts.",
        "Every element of the int list `numbers` is either taken or left. Define `$name(numbers, target)` returning "
        "how many of these 2**n decisions give a total of exactly `target`. Numbers may be negative, zero or repeated; "
        "taking nothing totals 0.",
        "Implement `$name(numbers, target)`: the number of sets of positions of `numbers` (a list of ints) whose "
        "elements add up to `target`. The empty set of positions adds up to 0, and positions holding the same value "
        "are still distinct. Return an int.",
        "I have a list of ints, some perhaps negative or equal. Please write `$name(numbers, target)` that tells how "
        "many sub-selections of the list entries, not necessarily adjacent, have the sum `target`. Treat duplicates as "
        "separate entries, and include the empty selection (sum 0) if it qualifies.",
        "Subset sums: given a list of ints and an int target, how many index subsets hit the target exactly? Return "
        "that count from `$name(numbers, target)`. The subset with no index has sum 0, so `$name([], 0)` is 1, and "
        "because indices are counted rather than values, `$name([1, 1], 1)` is 2.",
    ),
    gold=_SUBSETS_GOLD,
    inputs=_subset_inputs,
    edges=lambda params: (([], 0), ([1, 1, 2], 2)),
    wrong=(
        _SUBSETS_GOLD.replace("in numbers:", "in set(numbers):"),
        """\
def $name(numbers, target):
    count = 0
    for start in range(len(numbers)):
        for end in range(start + 1, len(numbers) + 1):
            count += sum(numbers[start:end]) == target
    return count
""",
    ),
)


_SPACED_GOLD = """\
def $name(numbers):
    best = [0]
    for i, number in enumerate(numbers):
        skip = best[-1]
        take = number + best[max(0, i - $gap + 1)]
        best.append(max(skip, take))
    return best[-1]
"""

_SPACED_SUM = Family(
    key="spaced_sum",
    topic="dynamic_programming",
    difficulty="hard",
    signature="numbers",
    names=("spaced_sum", "best_spaced_total", "distant_picks", "sparse_maximum"),
    statements=(
        "Write `$name(numbers)` that returns the largest sum of elements of a list of ints such that the positions of "
        "any two chosen elements differ by at least $gap. Choosing nothing is allowed and has sum 0, so the result is "
        "never negative.",
        "From the int list `numbers` pick any elements you like, as long as two picked ones are never fewer than $gap "
        "positions apart. Define `$name(numbers)` returning the maximal total. No picks at all (total 0) is a valid "
        "option, also for an empty list.",
        "Houses stand in a row and `numbers` lists what each is worth (ints, maybe negative). After choosing the house "
        "at index i, the next one chosen must have an index of at least i + $gap. Implement `$name(numbers)`: the "
        "greatest total worth, where choosing no house gives 0.",
        "I schedule adverts: `numbers[i]` is the profit of showing one in slot i, and between the indices of two shown "
        "adverts the difference must be $gap or more. What is the best total profit? Return it as an int from "
        "`$name(numbers)`; showing none earns 0, and the list may be empty.",
        "Find the maximum of the sums over all index sets in which every two different indices i < j satisfy "
        "j - i >= $gap. `$name(numbers)` takes a list of ints, which may contain negative ones, and returns that "
        "maximum; the empty index set has sum 0.",
    ),
    gold=_SPACED_GOLD,
    inputs=lambda random, params: (ints(random, 5, 11, -4, 15),),
    edges=lambda params: (([],), ([-3, -1],), ([8, 0, 0, 0, 0, 8],)),
    params=lambda random: {"gap": random.choice((2, 3, 4))},
    wrong=(
        """\
def $name(numbers):
    return max(sum(numbers[start::$gap]) for start in range($gap))
""",
        _SPACED_GOLD.replace("i - $gap + 1", "i - $gap"),
        _SPACED_GOLD.replace("i - $gap + 1", "i - $gap + 2"),
    ),
)


_SPLIT_GOLD = """\
def $name(text, words):
    ways = [1]
    for end in range(1, len(text) + 1):
        count = 0
        for word in words:
            if text[:end].endswith(word):
                count += ways[end - len(word)]
        ways.append(count)
    return ways[-1]
"""


def _split_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    words = random.sample(("a", "b", "ab", "ba", "aa", "aba", "bb", "bab"), random.randint(3, 6))
    text = "".join(random.choices(words, k=random.randint(2, 5)))
    if random.random() < 0.2:
        text += "c"
    return text, words


_SPLIT_WAYS = Family(
    key="split_ways",
    topic="dynamic_programming",
    difficulty="hard",
    signature="text, words",
    names=("split_ways", "count_segmentations", "parse_count", "ways_to_spell"),
    statements=(
        "Write `$name(text, words)` that counts the ways to cut the string `text` into pieces that are all in the list "
        "`words`. The words are distinct non-empty strings and each may be used any number of times. An empty text can "
        "be cut in one way.",
        "A message was written without spaces. Given the string `text` and a list of distinct non-empty words, define "
        "`$name(text, words)` returning the number of sequences of words, repeats allowed, whose concatenation is "
        "exactly `text`. The empty sequence spells the empty text, which gives 1.",
        "Implement `$name(text, words)`: in how many different ways can `text` be built by gluing strings from `words` "
        "one after another? A string may be reused; ways that use different strings at some place are different. "
        "`words` holds distinct non-empty strings, and for `text == ''` return 1.",
        "How ambiguous is this unspaced text? `$name(text, words)` should return an int, the number of ways to insert "
        "breaks into `text` such that every part between breaks is one of `words` (a list of different, non-empty "
        "strings). Return 0 when it cannot be done, and 1 for the empty text.",
        "Given a vocabulary `words` (list of unique non-empty strings), count the tokenisations of `text`: lists of "
        "vocabulary entries that, joined without separator, equal the text. Entries can occur repeatedly in a "
        "tokenisation. `$name(text, words)` returns that count as an int; an empty text has one tokenisation, the "
        "empty list.",
    ),
    gold=_SPLIT_GOLD,
    inputs=_split_inputs,
    edges=lambda params: (("", ["a"]), ("aaaa", ["a", "aa"])),
    wrong=(
        _SPLIT_GOLD.replace("count += ways", "count = ways"),
        """\
def $name(text, words):
    while text:
        fits = [word for word in words if text.startswith(word)]
        if not fits:
            return 0
        text = text[len(max(fits, key=len)) :]
    return 1
""",
    ),
)


_TRADES_GOLD = """\
def $name(prices):
    if not prices:
        return 0
    cash, holding = 0, -prices[0]
    for price in prices[1:]:
        sell = holding + price - $fee
        buy = cash - price
        cash, holding = max(cash, sell), max(holding, buy)
    return cash
"""

_TRADES = Family(
    key="trades_with_fee",
    topic="dynamic_programming",
    difficulty="hard",
    signature="prices",
    names=("trades_with_fee", "best_trading", "max_gain", "broker_profit"),
    statements=(
        "Write `$name(prices)` that returns the largest profit from trading one share, given its price on each day as "
        "a list of positive ints. You may buy and sell as often as you like, but hold at most one share at a time, and "
        "every completed sale costs a fee of $fee. Not trading at all gives 0, as does an empty list.",
        "The list of ints `prices` holds a stock's daily prices. Define `$name(prices)`: the maximum total gain over "
        "any number of buy-then-sell rounds, where a round must end before the next begins and a fee of $fee is paid "
        "once per round. Return 0 if no round is worthwhile or the list is empty.",
        "Implement `$name(prices)`. On each day you can buy one share if you hold none, or sell the one you hold, at "
        "that day's price from the list of positive ints; selling costs $fee extra. Starting and ending without a "
        "share, what is the most money you can make? An empty list or a falling market makes 0.",
        "My broker takes $fee for each round trip (one purchase followed by one sale). Knowing all future prices in "
        "the list of ints `prices`, one a day, and never owning more than one share, how much can I earn in total? "
        "`$name(prices)` should return that int; doing nothing earns 0.",
        "Choose disjoint pairs of days, each pair (i, j) with i < j and no pair starting before the previous one has "
        "ended, to maximise the sum of prices[j] - prices[i] - $fee over the pairs. `$name(prices)` gets the list of "
        "positive ints and returns the maximal sum; choosing no pair has sum 0.",
    ),
    gold=_TRADES_GOLD,
    inputs=lambda random, params: (ints(random, 5, 10, 1, 20),),
    edges=lambda params: (([],), ([9, 7, 4],), ([1, 8, 3, 12, 2, 3],)),
    params=lambda random: {"fee": random.choice((1, 2, 3, 4))},
    wrong=(
        _TRADES_GOLD.replace(" - $fee", ""),
        """\
def $name(prices):
    best = 0
    for i, buy in enumerate(prices):
        for sell in prices[i + 1 :]:
            best = max(best, sell - buy - $fee)
    return best
""",
        """\
def $name(prices):
    return sum(max(0, later - sooner - $fee) for sooner, later in zip(prices, prices[1:]))
""",
    ),
)


FAMILIES: tuple[Family, ...] = (
    _EDIT_DISTANCE,
    _COMMON_SUBSEQUENCE,
    _MONOTONE_SUBSEQUENCE,
    _FEWEST_COINS,
    _WAYS_TO_CHANGE,
    _KNAPSACK,
    _SUBSET_COUNT,
    _SPACED_SUM,
    _SPLIT_WAYS,
    _TRADES,
)
