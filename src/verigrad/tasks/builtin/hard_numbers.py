"""Hard families about numbers: primes, remainders, digits."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import word
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _composite(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    number = random.choice((1, 1, 53, 97, 101))
    for _ in range(random.randint(1, 5)):
        number *= random.choice((2, 2, 3, 3, 5, 7, 11))
    return (number,)


_FACTORS_GOLD = """\
def $name(n):
    pairs = []
    prime = 2
    while prime * prime <= n:
        exponent = 0
        while n % prime == 0:
            n //= prime
            exponent += 1
        if exponent:
            pairs.append((prime, exponent))
        prime += 1
    if n > 1:
        pairs.append((n, 1))
    return pairs
"""

_PRIME_FACTORS = Family(
    key="prime_factor_pairs",
    topic="number_theory",
    difficulty="hard",
    signature="n",
    names=("prime_factor_pairs", "factorize", "prime_powers", "decompose"),
    statements=(
        "Write `$name(n)` that returns the prime factorisation of a positive int as a list of tuples "
        "`(prime, exponent)`, sorted by prime. For example 12 gives `[(2, 2), (3, 1)]`. The number 1 has no prime "
        "factors and gives `[]`.",
        "Every positive int is a product of powers of different primes. Define `$name(n)` returning these powers as "
        "`(base, exponent)` tuples in a list, smallest base first and all exponents at least 1. For n = 1 the list is "
        "empty.",
        "Implement `$name(n)`: find which primes divide the int `n` (n >= 1) and how often each of them does. The "
        "answer is a list of pairs, tuples made of the prime and its multiplicity, in increasing order of the prime; "
        "a prime n gives `[(n, 1)]` and 1 gives an empty list.",
        "I need numbers taken apart into primes. `$name(n)` receives an int of at least 1 and returns a list of "
        "`(p, k)` tuples, where p is a prime divisor and k is the largest number such that p**k divides n. Sort the "
        "list by p; it is empty if n is 1.",
        "Given n >= 1, let n = p1**e1 * p2**e2 * ... with primes p1 < p2 < ... and positive exponents. Return the list "
        "`[(p1, e1), (p2, e2), ...]` of int tuples from `$name(n)`. The empty product is 1, so `$name(1)` returns "
        "`[]`.",
    ),
    gold=_FACTORS_GOLD,
    inputs=_composite,
    edges=lambda params: ((1,), (97,), (49,)),
    wrong=(
        _FACTORS_GOLD.replace("prime * prime <= n", "prime * prime < n"),
        _FACTORS_GOLD.replace("    if n > 1:\n        pairs.append((n, 1))\n", ""),
        _FACTORS_GOLD.replace("while n % prime", "if n % prime"),
    ),
)


_PRIME_PAIRS_GOLD = """\
def $name(low, high):
    prime = [False, False] + [True] * high
    for n in range(2, high + 1):
        if prime[n]:
            for multiple in range(n * n, high + 1, n):
                prime[multiple] = False
    pairs = []
    for n in range(low, high - $gap + 1):
        if prime[n] and prime[n + $gap]:
            pairs.append((n, n + $gap))
    return pairs
"""


def _range_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    low = random.randint(1, 120)
    return low, low + random.randint(10, 80)


_PRIME_PAIRS = Family(
    key="prime_pairs",
    topic="number_theory",
    difficulty="hard",
    signature="low, high",
    names=("prime_pairs", "paired_primes", "spaced_primes", "prime_couples"),
    statements=(
        "Write `$name(low, high)` that returns all pairs of prime numbers that differ by exactly $gap, both from `low` "
        "to `high` inclusive (ints, 1 <= low <= high), as a list of tuples `(smaller, larger)` in ascending order. "
        "There may be other primes between the two.",
        "Two primes p and p + $gap form a couple. Define `$name(low, high)`, which lists the couples `(p, p + $gap)` "
        "as tuples, smallest first, such that p >= low and p + $gap <= high, for positive ints low <= high. Remember "
        "that 1 is not a prime; without couples return `[]`.",
        "Implement `$name(low, high)` with a sieve: for ints 1 <= low <= high find each n such that n and n + $gap are "
        "prime and both lie in the closed range from `low` to `high`. Return the tuples (n, n + $gap) sorted by n. The "
        "two need not be consecutive primes.",
        "Please list the prime pairs at a distance of $gap. `$name(low, high)` takes two ints, 1 <= low <= high, and "
        "gives a list of tuples, first element increasing, of two primes whose difference is $gap. Neither of them may "
        "be smaller than `low` or greater than `high`, but the limits themselves are allowed.",
        "For 1 <= low <= high consider the primes p with low <= p <= high (limits included). From `$name(low, high)` "
        "return the list of all tuples (p, q) of such primes with q - p == $gap, ordered by p, regardless of whether "
        "another prime lies in between. The list can be empty.",
    ),
    gold=_PRIME_PAIRS_GOLD,
    inputs=_range_inputs,
    edges=lambda params: ((1, 3 + params["gap"]), (params["prime"], params["prime"] + params["gap"])),
    params=lambda random: random.choice(
        ({"gap": 2, "prime": 5}, {"gap": 4, "prime": 7}, {"gap": 6, "prime": 5}, {"gap": 8, "prime": 5})
    ),
    wrong=(
        _PRIME_PAIRS_GOLD.replace("high - $gap + 1", "high - $gap"),
        """\
def $name(low, high):
    primes = [n for n in range(low, high + 1) if n > 1 and all(n % d for d in range(2, n))]
    return [(p, q) for p, q in zip(primes[::2], primes[1::2]) if q - p == $gap]
""",
        _PRIME_PAIRS_GOLD.replace("range(low,", "range(low + 1,"),
    ),
)


_DECIMAL_GOLD = """\
def $name(numerator, denominator):
    whole, rest = divmod(numerator, denominator)
    digits = ""
    seen = {}
    while rest and rest not in seen:
        seen[rest] = len(digits)
        digit, rest = divmod(rest * 10, denominator)
        digits += str(digit)
    if rest:
        start = seen[rest]
        digits = digits[:start] + "$open" + digits[start:] + "$close"
    return f"{whole}.{digits}" if digits else str(whole)
"""

_DECIMAL = Family(
    key="repeating_decimal",
    topic="number_theory",
    difficulty="hard",
    signature="numerator, denominator",
    names=("repeating_decimal", "decimal_form", "exact_decimal", "fraction_digits"),
    statements=(
        "Write `$name(numerator, denominator)` that returns the exact decimal form of a fraction as a string. "
        "`numerator` is an int >= 0 and `denominator` an int >= 1. Digits that repeat forever are written once, between"
        " `$open` and `$close`, as in `0.1${open}6${close}` for 1/6; a fraction that ends is written without trailing "
        "zeros (`1.25`), and a whole number without a point.",
        "Long division with periods: `$name(numerator, denominator)` gets a non-negative int and a positive int and "
        "returns their quotient as decimal text. The shortest repeating block, as early as possible, is enclosed in "
        "`$open` and `$close`; for instance 7/12 is `0.58${open}3${close}`. Finite expansions have no brackets and no "
        "final zeros, and integers have no decimal point.",
        "Implement `$name(numerator, denominator)` for ints numerator >= 0 and denominator >= 1. The result is a "
        "string with the integer part, then (unless the division comes out even) a point and the decimals. If these "
        "go on for ever, put the period, which starts at its first possible place, between `$open` and `$close`: "
        "`$name(5, 6)` is `'0.8${open}3${close}'`, while `$name(6, 4)` is `'1.5'` and `$name(4, 2)` is `'2'`.",
        "How do I print a fraction without rounding? I would like `$name(numerator, denominator)` (ints, at least 0 "
        "and at least 1) to return strings such as `'3'` for 6/2, `'0.75'` for 3/4 and `'0.${open}3${close}'` for 1/3: "
        "the endlessly repeated digits appear once within `$open` and `$close`, after the digits that do not repeat.",
        "Convert a rational number to positional notation in base ten. For a numerator >= 0 and a denominator >= 1 "
        "(ints), `$name(numerator, denominator)` returns the integer part as text, followed, if the fractional part is "
        "not zero, by `.`, the non-repeating decimals, and the smallest repeating group, if any, written "
        "`${open}group${close}`. Terminating decimals have no group: 1/8 is `0.125`; 22/7 is "
        "`3.${open}142857${close}`.",
    ),
    gold=_DECIMAL_GOLD,
    inputs=lambda random, params: (random.randint(0, 60), random.randint(2, 36)),
    edges=lambda params: ((6, 3), (1, 6), (1, 8), (1, 101)),
    params=lambda random: random.choice(({"open": "(", "close": ")"}, {"open": "[", "close": "]"})),
    wrong=(
        _DECIMAL_GOLD.replace("start = seen[rest]", "start = 0"),
        """\
def $name(numerator, denominator):
    return str(numerator / denominator)
""",
        _DECIMAL_GOLD.replace(" if digits else str(whole)", ""),
    ),
)


def _congruence_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    moduli = random.choices((2, 3, 4, 5, 6, 7, 9, 11), k=random.randint(2, 3))
    number = random.randint(0, 300)
    clues = [(modulus, number % modulus) for modulus in moduli]
    if random.random() < 0.15:
        clues.append((moduli[0], (number + 1) % moduli[0]))
    return (clues,)


_CONGRUENCE_GOLD = """\
from math import lcm

def $name(clues):
    number, step = 0, 1
    for modulus, remainder in clues:
        for _ in range(modulus):
            if number % modulus == remainder:
                break
            number += step
        else:
            return -1
        step = lcm(step, modulus)
    return number
"""

_CONGRUENCES = Family(
    key="remainder_clues",
    topic="number_theory",
    difficulty="hard",
    signature="clues",
    names=("remainder_clues", "solve_remainders", "find_number", "smallest_match"),
    statements=(
        "Write `$name(clues)` that returns the smallest non-negative int which leaves the given remainders. `clues` is "
        "a list of tuples `(divisor, remainder)` of ints with divisor >= 2 and 0 <= remainder < divisor; divisors may "
        "share factors. Return -1 if no number fits, and 0 for an empty list.",
        "A secret number x >= 0 is described by clues `(m, r)`, each saying that x divided by m (an int of at least 2) "
        "leaves the remainder r (0 <= r < m). Define `$name(clues)`: the smallest x that satisfies all clues in the "
        "list, or -1 when they contradict each other. The divisors need not be coprime; no clue at all allows x = 0.",
        "Implement `$name(clues)`, which solves a system of congruences x = r modulo m for the pairs (m, r) in a list "
        "of int tuples (m >= 2, r from 0 to m - 1). Give back the least solution x >= 0 and, for systems without "
        "solution, -1. Moduli can repeat or have common divisors. An empty system is solved by 0.",
        "When I pack my eggs in rows of m, r are left over; this is known for several m. Each entry of `clues` is such "
        "a tuple `(m, r)`, ints with m > 1 and 0 <= r < m. `$name(clues)` should return the smallest number of eggs "
        "(0 is possible) in agreement with everything, or -1 if there is no such number. I would also get 0 for no "
        "entries.",
        "Lights flash periodically: one with entry `(m, r)` flashes at all int times t >= 0 with t % m == r, where "
        "m >= 2 and 0 <= r < m. At which time do all lights of the list flash together first? `$name(clues)` returns "
        "this time as an int, -1 if it never happens, 0 if there are no lights. Periods may have common factors.",
    ),
    gold=_CONGRUENCE_GOLD,
    inputs=_congruence_inputs,
    edges=lambda params: (([],), ([(4, 1), (6, 3)],), ([(4, 2), (6, 2), (8, 6)],), ([(3, 2), (5, 3), (7, 2)],)),
    wrong=(
        _CONGRUENCE_GOLD.replace("lcm(step, modulus)", "step * modulus"),
        """\
def $name(clues):
    for number in range(max((modulus for modulus, remainder in clues), default=0) + 1):
        if all(number % modulus == remainder for modulus, remainder in clues):
            return number
    return -1
""",
    ),
)


_DIGITS = "0123456789abcdef"


def _base_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    digits = _DIGITS[: params["base"]]
    first = random.choice(digits[1:]) + word(random, 0, 6, digits)
    second = random.choice(digits[1:]) + word(random, 0, 6, digits[-2:])
    return first, second


_ADD_GOLD = """\
def $name(first, second):
    digits = "0123456789abcdef"
    length = max(len(first), len(second))
    result, carry = "", 0
    for a, b in zip(reversed(first.zfill(length)), reversed(second.zfill(length))):
        carry, digit = divmod(digits.index(a) + digits.index(b) + carry, $base)
        result = digits[digit] + result
    if carry:
        result = digits[carry] + result
    return result
"""

_ADD_IN_BASE = Family(
    key="add_in_base",
    topic="arithmetic",
    difficulty="hard",
    signature="first, second",
    names=("add_in_base", "sum_numerals", "column_addition", "add_digits_text"),
    statements=(
        "Write `$name(first, second)` that adds two non-negative numbers written in base $base and returns the sum in "
        "base $base. All three are strings with the most significant digit first, using the digits `0` to `9` and then "
        "lowercase `a` to `f` as far as the base needs them. Neither argument has leading zeros (zero is `0`), nor may "
        "the result.",
        "Do column addition in the numeral system with base $base. Define `$name(first, second)`, where both arguments "
        "are numerals as strings (leading digit first; digit values above nine are the lowercase letters from `a`), "
        "and the result is the numeral of their sum in the same form. There are no signs and no superfluous leading "
        "zeros; zero is `'0'`.",
        "Implement `$name(first, second)`: given two strings that denote non-negative integers in base $base, return "
        "the string for their sum, also in base $base. Digits come from `0123456789abcdef` (only the first $base of "
        "them), highest place on the left. Numbers other than `0` do not start with `0`, in the input and in the "
        "output.",
        "A puzzle world counts in base $base, with `a`, `b`, ... (lowercase) as digits after 9 where needed. I have "
        "two of its non-negative numbers as strings, for example `10` for $base, and want `$name(first, second)` to "
        "return what they add up to, written the same way, without leading zeros (just `0` for zero).",
        "Let a word over the first $base characters of `0123456789abcdef` stand for the number it denotes in base "
        "$base, the last character being the units. `$name(first, second)` takes the words of two numbers >= 0, "
        "neither with needless leading zeros, and returns the word of the sum of these numbers, again without needless "
        "leading zeros.",
    ),
    gold=_ADD_GOLD,
    inputs=_base_inputs,
    edges=lambda params: (("0", "0"), (_DIGITS[params["base"] - 1] * 4, "1"), ("1" * 9, "10")),
    params=lambda random: {"base": random.choice((2, 3, 5, 7, 8, 12, 16))},
    wrong=(
        _ADD_GOLD.replace("    if carry:\n        result = digits[carry] + result\n", ""),
        _ADD_GOLD.replace("max(len(first), len(second))", "min(len(first), len(second))"),
        """\
def $name(first, second):
    return str(int(first, 16) + int(second, 16))
""",
    ),
)


FAMILIES: tuple[Family, ...] = (
    _PRIME_FACTORS,
    _PRIME_PAIRS,
    _DECIMAL,
    _CONGRUENCES,
    _ADD_IN_BASE,
)
