"""Families of medium difficulty over integers: divisors, primes, digits, number systems."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import ints, word
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]

_HAPPY = (1, 7, 10, 13, 19, 23, 28, 31, 32, 44, 49, 68, 70, 79, 82, 86, 91, 94, 97, 100, 103, 109)
_ROMAN = ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))


def _to_roman(number: int) -> str:
    numeral = ""
    for value, letters in _ROMAN:
        numeral += letters * (number // value)
        number %= value
    return numeral


def _with_common_factor(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    factor = random.choice((1, 2, 3, 4, 5, 6, 7, 9, 12))
    return factor * random.randint(1, 30), factor * random.randint(1, 30)


def _any_kind(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Perfect, abundant and deficient numbers about equally often."""
    perfect, abundant = (6, 28, 496), (12, 18, 20, 24, 30, 36, 40, 42, 48, 54, 56, 60)
    return (random.choice((random.choice(perfect), random.choice(abundant), random.randint(1, 60))),)


def _card_number(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Digits whose check digit is right in half of the cases."""
    digits = word(random, 3, 9, "0123456789")
    total = 0
    for place, digit in enumerate(reversed(digits)):
        total += int(digit) if place % 2 else sum(divmod(2 * int(digit), 10))
    check = -total + random.choice((0, 0, 0, 1, 4, 5))
    return (digits + str(check % 10),)


FAMILIES: tuple[Family, ...] = (
    Family(
        key="primes_up_to",
        topic="number_theory",
        difficulty="medium",
        signature="n",
        names=("primes_up_to", "list_primes", "all_primes", "sieve"),
        statements=(
            "Write a function `$name(n)` that returns the list of all prime numbers less than or equal to the integer "
            "`n`, in ascending order. For n < 2 return an empty list.",
            "`$name(n)` collects every prime from 2 to n inclusive in increasing order and returns them as a list; if "
            "there are none, the list is empty. n is an integer, n >= 0.",
            "Give me the primes not exceeding `n`, smallest first, as a list of ints. 1 is not prime, and `n` itself "
            "belongs to the list when it is prime. Call the function `$name`.",
            "Which of the numbers 1, 2, ..., n have exactly two divisors? Return them in order as a list. The function "
            "is named `$name` and gets a non-negative integer `n`.",
            "Implement `$name`: for a non-negative integer `n`, find all primes p with p <= n. The result is a sorted "
            "list, `[]` if n is 0 or 1.",
        ),
        gold="""\
def $name(n):
    primes = []
    for number in range(2, n + 1):
        if all(number % prime for prime in primes):
            primes.append(number)
    return primes
""",
        inputs=lambda random, params: (random.randint(0, 70),),
        edges=lambda params: ((1,), (2,), (23,), (30,)),
        wrong=(
            """\
def $name(n):
    return [number for number in range(2, n) if all(number % d for d in range(2, number))]
""",
            """\
def $name(n):
    return [2] + [number for number in range(3, n + 1, 2)]
""",
            """\
def $name(n):
    return [number for number in range(1, n + 1) if all(number % d for d in range(2, number))]
""",
        ),
    ),
    Family(
        key="next_prime",
        topic="number_theory",
        difficulty="medium",
        signature="n",
        names=("next_prime", "prime_after", "following_prime", "smallest_prime_above"),
        statements=(
            "Write `$name(n)` that returns the smallest prime number strictly greater than the non-negative integer "
            "`n`.",
            "Which prime comes next after `n`? If `n` is prime itself, the answer is still a larger one. `$name(n)` "
            "returns it as an int; n >= 0.",
            "`$name(n)`: starting from n + 1, search upwards for the first number that has no divisors besides 1 and "
            "itself (1 does not count as prime), and return it. n is an int of at least 0.",
            "A hash table with `n` slots has to grow; its new size must be the least prime above `n`. Compute that "
            "size in `$name(n)` for an integer n >= 0.",
            "Find the least p > n such that p is prime, where n is a non-negative integer. Return p from a function "
            "called `$name`. For instance 7 leads to 11, and 0 to 2.",
        ),
        gold="""\
def $name(n):
    candidate = max(n + 1, 2)
    while any(candidate % divisor == 0 for divisor in range(2, candidate)):
        candidate += 1
    return candidate
""",
        inputs=lambda random, params: (random.randint(0, 120),),
        edges=lambda params: ((0,), (7,), (24,)),
        wrong=(
            """\
def $name(n):
    candidate = max(n, 2)
    while any(candidate % divisor == 0 for divisor in range(2, candidate)):
        candidate += 1
    return candidate
""",
            """\
def $name(n):
    candidate = n + 1
    while candidate % 2 == 0 or candidate % 3 == 0:
        candidate += 1
    return candidate
""",
        ),
    ),
    Family(
        key="greatest_common_divisor",
        topic="number_theory",
        difficulty="medium",
        signature="a, b",
        names=("gcd", "greatest_common_divisor", "common_measure", "largest_shared_divisor"),
        statements=(
            "Write `$name(a, b)` that returns the greatest common divisor of two non-negative integers without using "
            "the math module. If one of them is 0 the result is the other one; for two zeros return 0.",
            "Compute the largest integer that divides both `a` and `b` (ints >= 0) using Euclid's algorithm. "
            "`$name(a, 0)` is a, `$name(0, b)` is b, and `$name(0, 0)` is 0.",
            "`$name(a, b)` should find the highest common factor of `a` and `b` by hand, no imports. Both are integers "
            "of at least zero; treat 0 as divisible by everything, and return 0 if both are 0.",
            "We cut two ropes of `a` and `b` centimetres into equal pieces as long as possible, without waste. "
            "`$name(a, b)` returns the length of the pieces; if a rope has length 0 only the other one matters "
            "(0 if both do).",
            "By what number can the fraction a/b be reduced? Implement `$name(a, b)`: repeatedly replace the pair by "
            "(b, a mod b) until the second is 0 and return the first. a and b are non-negative ints.",
        ),
        gold="""\
def $name(a, b):
    while b:
        a, b = b, a % b
    return a
""",
        inputs=_with_common_factor,
        edges=lambda params: ((0, 0), (12, 18), (0, 5), (7, 21)),
        wrong=(
            """\
def $name(a, b):
    return min(a, b) if max(a, b) % min(a, b) == 0 else 1
""",
            """\
def $name(a, b):
    for divisor in range(2, min(a, b) + 1):
        if a % divisor == 0 and b % divisor == 0:
            return divisor
    return 1
""",
        ),
    ),
    Family(
        key="common_multiple",
        topic="number_theory",
        difficulty="medium",
        signature="numbers",
        names=("lcm_of_list", "common_multiple", "smallest_multiple", "meeting_time"),
        statements=(
            "Write `$name(numbers)` that returns the least common multiple of a list of positive integers. "
            "The least common multiple of an empty list is 1.",
            "Find the smallest positive integer that is divisible by every element of `numbers`, a list of positive "
            "ints. `$name([])` is 1.",
            "`$name(numbers)`: what is the lowest number, at least 1, that all the given positive integers divide "
            "without remainder? Return it; with nothing given it is 1.",
            "Lights blink every `numbers[i]` seconds and have just blinked together. After how many seconds do they "
            "all blink together again? `$name(numbers)` takes the list of positive ints and returns an int (1 for no "
            "lights).",
            "Implement `$name` for a list of integers >= 1: combine them one by one, replacing the result so far by "
            "its least common multiple with the next number, beginning at 1. Return the final result.",
        ),
        gold="""\
def $name(numbers):
    result = 1
    for number in numbers:
        step = result
        while result % number:
            result += step
    return result
""",
        inputs=lambda random, params: (ints(random, 1, 4, 1, 15),),
        edges=lambda params: (([],), ([4, 6],), ([3, 9, 2],), ([5, 7],)),
        wrong=(
            """\
def $name(numbers):
    result = 1
    for number in numbers:
        result *= number
    return result
""",
            """\
def $name(numbers):
    result = 1
    for number in numbers:
        if result % number:
            result *= number
    return result
""",
        ),
    ),
    Family(
        key="digital_root",
        topic="arithmetic",
        difficulty="medium",
        signature="n",
        names=("digital_root", "single_digit", "reduce_digits", "digit_core"),
        statements=(
            "Write `$name(n)` that adds up the decimal digits of a non-negative integer, does the same with the "
            "result, and so on until a single digit is left, and returns that digit as an int.",
            "`$name(n)` computes the digital root: replace `n` by the sum of its digits while it is greater than 9. "
            "n is an int >= 0; return an int.",
            "For a non-negative integer `n`, take the digit sum again and again until the number has only one digit. "
            "`$name(98)` gives 8, since 9 + 8 = 17 and 1 + 7 = 8.",
            "In numerology every number is boiled down to one digit by repeatedly summing its digits. Write `$name(n)` "
            "for integers n >= 0 returning the digit (0 only for 0).",
            "Given an int `n` that is not negative, return n if it is below 10 and otherwise the result of the same "
            "procedure applied to the sum of its digits. Name the function `$name`.",
        ),
        gold="""\
def $name(n):
    while n > 9:
        total = 0
        for digit in str(n):
            total += int(digit)
        n = total
    return n
""",
        inputs=lambda random, params: (random.randint(10, 10 ** random.randint(2, 7)),),
        edges=lambda params: ((0,), (9,), (98,), (123456,)),
        wrong=(
            """\
def $name(n):
    return sum(int(digit) for digit in str(n))
""",
            """\
def $name(n):
    return n % 9
""",
        ),
    ),
    Family(
        key="perfect_or_not",
        topic="number_theory",
        difficulty="medium",
        signature="n",
        names=("classify", "number_kind", "kind_of_number", "divisor_class"),
        statements=(
            "Write `$name(n)` that compares a positive integer with the sum of its divisors other than itself and "
            "returns 'perfect' if they are equal, 'abundant' if the sum is larger, and 'deficient' if it is smaller.",
            "Add up all proper divisors of `n` (those less than n; none for 1, so the sum is 0). `$name(n)` returns "
            "the string 'deficient', 'perfect' or 'abundant' for a sum below, equal to or above `n`. n >= 1.",
            "`$name(n)` classifies a positive int the way the Greeks did: 'perfect' when it is the sum of its smaller "
            "divisors (like 6 = 1 + 2 + 3), 'abundant' when these add up to more, else 'deficient'.",
            "Let s be the sum of the numbers from 1 to n - 1 that divide n. Return 'perfect' for s == n, 'abundant' "
            "for s > n and 'deficient' for s < n. The function `$name` is called with an integer n >= 1.",
            "Is a positive integer `n` smaller than, as large as, or larger than the total of its divisors, `n` not "
            "counted among them? The answers of `$name(n)` are 'abundant', 'perfect' and 'deficient', in this order.",
        ),
        gold="""\
def $name(n):
    total = sum(divisor for divisor in range(1, n) if n % divisor == 0)
    if total == n:
        return "perfect"
    return "abundant" if total > n else "deficient"
""",
        inputs=_any_kind,
        edges=lambda params: ((1,), (6,), (12,), (28,)),
        wrong=(
            """\
def $name(n):
    total = sum(divisor for divisor in range(1, n + 1) if n % divisor == 0)
    if total == n:
        return "perfect"
    return "abundant" if total > n else "deficient"
""",
            """\
def $name(n):
    total = sum(divisor for divisor in range(1, n) if n % divisor == 0)
    if total == n:
        return "perfect"
    return "deficient" if total > n else "abundant"
""",
        ),
    ),
    Family(
        key="collatz_steps",
        topic="simulation",
        difficulty="medium",
        signature="n",
        names=("collatz_steps", "steps_to_one", "hailstone_steps", "count_steps"),
        statements=(
            "Write `$name(n)` that counts the steps of the Collatz process from the positive integer `n` to 1: an even "
            "number is halved, an odd number n becomes 3n + 1. `$name(1)` is 0. "
            "Stop after $cap steps at the latest and return $cap then.",
            "Start with n >= 1. While the number is not 1, halve it if it is even, otherwise multiply it by 3 "
            "and add 1. `$name(n)` returns how many of these operations are needed, but no more than $cap: once $cap "
            "have been made it gives up and returns $cap.",
            "How long is the way of `n` to 1 under the rule even -> n // 2, odd -> 3 * n + 1? `$name(n)` returns "
            "the number of moves (0 for 1), or $cap if 1 is not reached in fewer than $cap moves. n is positive.",
            "A hailstone of size `n` (a positive int) shrinks to half its size when the size is even, and grows to "
            "3 times the size plus 1 when it is odd, until its size is 1. `$name(n)` returns the number of "
            "changes, counting up to $cap and then giving up with $cap.",
            "Simulate: x = n; as long as x != 1 and fewer than $cap steps were taken, x becomes x / 2 for even x and "
            "3x + 1 for odd x (integers throughout). Return the number of steps taken. Write this as `$name(n)` "
            "for n >= 1.",
        ),
        gold="""\
def $name(n):
    steps = 0
    while n != 1 and steps < $cap:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
""",
        inputs=lambda random, params: (random.randint(2, 60),),
        edges=lambda params: ((1,), (6,), (64,), (27,)),
        params=lambda random: {"cap": random.choice((20, 30, 50, 100))},
        wrong=(
            """\
def $name(n):
    steps = 1
    while n != 1 and steps < $cap:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
""",
            """\
def $name(n):
    steps = 0
    while n != 1:
        n = n // 2 if n % 2 == 0 else 3 * n + 1
        steps += 1
    return steps
""",
        ),
    ),
    Family(
        key="value_in_base",
        topic="arithmetic",
        difficulty="medium",
        signature="digits",
        names=("value_in_base", "from_base", "read_number", "decode_digits"),
        statements=(
            "Write `$name(digits)` that converts a string of base-$base digits to an integer without calling int() on "
            "the whole string. The most significant digit comes first; the string has at least one digit and may "
            "have leading zeros.",
            "The string `digits` holds a number written in base $base. `$name(digits)` works out its value digit by "
            "digit, from left to right, and returns it as an int. There is at least one digit.",
            "`$name('10')` is $base: read a non-empty string as a numeral of the base-$base system (highest place "
            "first) and return the ordinary integer it stands for.",
            "On a planet where people have $base fingers, numbers are written with the digits 0 to $top. Translate "
            "such a numeral, given as a string with one digit or more, to an int: `$name(digits)`.",
            "Evaluate a positional numeral. In `digits`, a non-empty string, the last character counts ones, the one "
            "before it counts $base, the one before that $base times $base, and so on. `$name` returns the total.",
        ),
        gold="""\
def $name(digits):
    value = 0
    for digit in digits:
        value = value * $base + int(digit)
    return value
""",
        inputs=lambda random, params: (word(random, 1, 7, "0123456789"[: params["base"]]),),
        edges=lambda params: (("0",), ("10",), ("0011",), ("1101",)),
        params=lambda random: (lambda base: {"base": base, "top": base - 1})(random.randint(2, 9)),
        wrong=(
            """\
def $name(digits):
    value = 0
    for place, digit in enumerate(digits):
        value += int(digit) * $base ** place
    return value
""",
            """\
def $name(digits):
    return sum(int(digit) * $base for digit in digits)
""",
        ),
    ),
    Family(
        key="write_in_base",
        topic="arithmetic",
        difficulty="medium",
        signature="n",
        names=("to_base", "write_in_base", "numeral", "convert_number"),
        statements=(
            "Write `$name(n)` that returns the base-$base representation of a non-negative integer as a string, most "
            "significant digit first and without leading zeros. Zero is '0'.",
            "Convert `n` (an int >= 0) to base $base. `$name(n)` gives a string of the digits 0 to $top, highest place "
            "first; '0' for n = 0.",
            "`$name($base)` is '10'. Write the function that turns any non-negative integer into its numeral in the "
            "number system with base $base (a string, no leading zeros except that 0 is '0').",
            "Divide `n` by $base again and again and write down the remainders from right to left until nothing is "
            "left. `$name(n)` returns what was written as a string. n is a non-negative int, and for 0 write '0'.",
            "Aliens count with the digits 0 to $top only. How do they write our number `n` (0 or more)? Return their "
            "numeral as a string from `$name(n)`, starting with the largest place, never padded with zeros.",
        ),
        gold="""\
def $name(n):
    digits = ""
    while n > 0:
        digits = str(n % $base) + digits
        n //= $base
    return digits or "0"
""",
        inputs=lambda random, params: (random.randint(2, 400),),
        edges=lambda params: ((0,), (params["base"],), (params["base"] ** 3 - 2,)),
        params=lambda random: (lambda base: {"base": base, "top": base - 1})(random.randint(2, 9)),
        wrong=(
            """\
def $name(n):
    digits = ""
    while n > 0:
        digits += str(n % $base)
        n //= $base
    return digits or "0"
""",
            """\
def $name(n):
    digits = ""
    while n > 0:
        digits = str(n % $base) + digits
        n //= $base
    return digits
""",
        ),
    ),
    Family(
        key="fizzbuzz_list",
        topic="logic",
        difficulty="medium",
        signature="n",
        names=("fizzbuzz", "word_sequence", "counting_game", "call_out"),
        statements=(
            "Write `$name(n)` that returns a list for the numbers 1 to n: '$one' for multiples of $a, '$two' for "
            "multiples of $b, '$one$two' for multiples of both, and the number itself as an int otherwise. "
            "For n = 0 the list is empty.",
            "A variant of FizzBuzz: count from 1 to `n`. Numbers divisible by $a become the string '$one', those "
            "divisible by $b '$two', those divisible by both '$one$two'; the rest stay ints. `$name(n)` returns all of "
            "it as a list (n >= 0).",
            "`$name(n)` returns a list of length n. Its entry for i (i = 1, 2, ..., n) is '$one$two' if $a and $b both "
            "divide i, '$one' if only $a does, '$two' if only $b does, and else the integer i.",
            "Children count in turn up to `n`. They must say '$one' in place of a multiple of $a and '$two' in place "
            "of a multiple of $b; if a number is both, they say '$one$two'. Return what is said, in order, as a list "
            "in which ordinary numbers are ints. Function name: `$name`; n may be 0.",
            "Produce the list of 1..n with replacements: both $a and $b are factors -> '$one$two'; just $a -> '$one'; "
            "just $b -> '$two'; neither -> leave the int. Name it `$name(n)`. n is a non-negative integer.",
        ),
        gold="""\
def $name(n):
    result = []
    for number in range(1, n + 1):
        said = ""
        if number % $a == 0:
            said += "$one"
        if number % $b == 0:
            said += "$two"
        result.append(said or number)
    return result
""",
        inputs=lambda random, params: (random.randint(1, 40),),
        edges=lambda params: ((0,), (params["a"] * params["b"],), (1,)),
        params=lambda random: {
            **dict(zip("ab", random.choice(((2, 3), (2, 5), (3, 4), (3, 5), (3, 7), (4, 5))), strict=True)),
            **dict(zip(("one", "two"), random.sample(("Fizz", "Buzz", "Ping", "Pong", "Foo", "Bar"), 2), strict=True)),
        },
        wrong=(
            """\
def $name(n):
    result = []
    for number in range(1, n + 1):
        if number % $a == 0:
            result.append("$one")
        elif number % $b == 0:
            result.append("$two")
        else:
            result.append(number)
    return result
""",
            """\
def $name(n):
    result = []
    for number in range(1, n):
        said = "$one" * (number % $a == 0) + "$two" * (number % $b == 0)
        result.append(said or number)
    return result
""",
            """\
def $name(n):
    result = []
    for number in range(1, n + 1):
        said = "$one" * (number % $a == 0) + "$two" * (number % $b == 0)
        result.append(said or str(number))
    return result
""",
        ),
    ),
    Family(
        key="prime_factors",
        topic="number_theory",
        difficulty="medium",
        signature="n",
        names=("prime_factors", "factorize", "break_into_primes", "prime_parts"),
        statements=(
            "Write `$name(n)` that returns the prime factors of a positive integer in ascending order as a list, each "
            "as often as it divides `n`: 12 gives [2, 2, 3]. For n = 1 return an empty list.",
            "Factorize `n` (an int >= 1) into primes. `$name(n)` lists them from small to large with repetition, so "
            "that their product is n; the list for 1 is empty.",
            "`$name(n)` should return the primes, sorted and with multiplicity, which multiplied together make the "
            "positive integer `n`. The product of no primes is 1.",
            "Try the divisors 2, 3, 4, ... in turn; as long as one divides `n`, note it and divide. Return the noted "
            "divisors as a list. Implement this decomposition of a positive integer as `$name(n)`.",
            "Every whole number above 1 is a product of primes in just one way. Given n >= 1, let `$name(n)` return "
            "the non-decreasing list of these primes, and [] if n is 1.",
        ),
        gold="""\
def $name(n):
    factors = []
    divisor = 2
    while n > 1:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return factors
""",
        inputs=lambda random, params: (random.randint(2, 200),),
        edges=lambda params: ((1,), (12,), (49,), (34,)),
        wrong=(
            """\
def $name(n):
    return [d for d in range(2, n + 1) if n % d == 0 and all(d % e for e in range(2, d))]
""",
            """\
def $name(n):
    factors = []
    divisor = 2
    while divisor * divisor <= n:
        while n % divisor == 0:
            factors.append(divisor)
            n //= divisor
        divisor += 1
    return factors
""",
        ),
    ),
    Family(
        key="fibonacci_like",
        topic="arithmetic",
        difficulty="medium",
        signature="limit",
        names=("sequence_up_to", "fib_like", "sums_of_two", "grow_sequence"),
        statements=(
            "Write `$name(limit)` that returns the terms, up to and including `limit`, of the sequence that starts "
            "with $first, $second and in which each further term is the sum of the two before it. The list is empty if "
            "`limit` is less than $first.",
            "A sequence begins $first, $second; afterwards every number is the sum of the previous two. Return all its "
            "terms that do not exceed the integer `limit`, in order, as a list. Name: `$name`.",
            "`$name(limit)`: like Fibonacci numbers, but starting from $first and $second. Give the list of the terms "
            "that are at most `limit` (an int >= 0); it may be empty.",
            "A plant has $first leaves in its first week and $second in its second, and from then on as many as in the "
            "two weeks before together. `$name(limit)` lists the weekly numbers of leaves as long as they are not "
            "above `limit`.",
            "Generate s with s[0] = $first, s[1] = $second and s[i] = s[i-1] + s[i-2]. The function `$name` gets a "
            "non-negative integer `limit` and returns the list of those s[i] with s[i] <= limit.",
        ),
        gold="""\
def $name(limit):
    terms = []
    a, b = $first, $second
    while a <= limit:
        terms.append(a)
        a, b = b, a + b
    return terms
""",
        inputs=lambda random, params: (random.randint(0, 150),),
        edges=lambda params: ((0,), (params["second"],), (params["first"] + 2 * params["second"],)),
        params=lambda random: (lambda first: {"first": first, "second": first + random.randint(1, 4)})(
            random.randint(1, 5)
        ),
        wrong=(
            """\
def $name(limit):
    terms = []
    a, b = $first, $second
    while a < limit:
        terms.append(a)
        a, b = b, a + b
    return terms
""",
            """\
def $name(limit):
    terms = [$first, $second]
    while terms[-1] + terms[-2] <= limit:
        terms.append(terms[-1] + terms[-2])
    return terms
""",
        ),
    ),
    Family(
        key="reverse_signed",
        topic="arithmetic",
        difficulty="medium",
        signature="n",
        names=("reverse_digits", "flip_number", "mirror_number", "backwards"),
        statements=(
            "Write `$name(n)` that reverses the decimal digits of an integer and keeps its sign: -120 becomes -21. "
            "Zeros that end up in front disappear. Return an int.",
            "Given an int `n`, positive, negative or zero, return the integer whose digits are those of `n` in reverse "
            "order, with the same sign. `$name(1200)` is 21.",
            "`$name(n)` reads the digits of an integer from right to left as a new integer. A minus sign stays in "
            "front, and leading zeros of the result are dropped.",
            "Someone typed an integer backwards. Restore it with `$name(n)`: the order of the digits is turned round, "
            "the sign is not touched, and the result is an int again (so 50 turns into 5).",
            "Implement digit reversal for integers of either sign without losing the sign; the return value of "
            "`$name(n)` is an int, for which reason final zeros of `n` vanish.",
        ),
        gold="""\
def $name(n):
    sign = -1 if n < 0 else 1
    digits = str(abs(n))
    return sign * int(digits[::-1])
""",
        inputs=lambda random, params: (random.randint(-5000, 5000),),
        edges=lambda params: ((0,), (-120,), (1200,), (-7,)),
        wrong=(
            """\
def $name(n):
    return int(str(abs(n))[::-1])
""",
            """\
def $name(n):
    return str(n)[::-1]
""",
        ),
    ),
    Family(
        key="happy_number",
        topic="number_theory",
        difficulty="medium",
        signature="n",
        names=("is_happy", "happy_number", "ends_happily", "leads_to_one"),
        statements=(
            "Write `$name(n)` that says whether the positive integer `n` is happy: replace it again and again by the "
            "sum of the squares of its decimal digits; return True if this arrives at 1 and False if it runs in a "
            "circle that does not contain 1.",
            "A number is happy if repeatedly taking the sum of its squared digits leads to 1. `$name(n)` returns True "
            "for happy numbers and False for all others (which come back to a number seen before). n >= 1.",
            "`$name(n)`: keep computing the sum of the squared digits until you get 1 (then return True) or a number "
            "you have had already (then return False). The input is a positive int.",
            "In a game you move from field `n` to the field given by adding the squares of the digits of `n`, and on "
            "from there. You win on field 1 and lose by visiting any other field twice. Does the player starting on "
            "`n` >= 1 win? `$name(n)` returns a bool.",
            "Decide if 1 is ever reached from the positive integer `n` by the map that sends a number to its digits' "
            "squares added up (1 itself counts as reached). The function `$name` returns a boolean; mind the cycles.",
        ),
        gold="""\
def $name(n):
    seen = set()
    while n != 1 and n not in seen:
        seen.add(n)
        n = sum(int(digit) ** 2 for digit in str(n))
    return n == 1
""",
        inputs=lambda random, params: (random.choice((random.choice(_HAPPY), random.randint(2, 120))),),
        edges=lambda params: ((1,), (7,), (4,), (20,)),
        wrong=(
            """\
def $name(n):
    return sum(int(digit) ** 2 for digit in str(n)) == 1
""",
            """\
def $name(n):
    while n > 9:
        n = sum(int(digit) for digit in str(n))
    return n == 1
""",
            """\
def $name(n):
    while n > 9:
        n = sum(int(digit) ** 2 for digit in str(n))
    return n == 1
""",
        ),
    ),
    Family(
        key="roman_value",
        topic="text",
        difficulty="medium",
        signature="numeral",
        names=("roman_to_int", "roman_value", "read_roman", "from_roman"),
        statements=(
            "Write `$name(numeral)` that converts a Roman numeral, a string of I, V, X, L and C (1, 5, 10, 50, 100), "
            "to an integer. A letter before a larger one is subtracted (IV is 4), all others are added.",
            "Read a valid Roman numeral below 400 given as an upper-case string and return its value as an int. "
            "I=1, V=5, X=10, L=50, C=100; as usual, a smaller letter directly in front of a larger one counts "
            "negatively. Name: `$name(numeral)`.",
            "`$name('XLIV')` is 44. Implement the conversion from Roman numerals with the letters I V X L C to ints, "
            "including the subtractive pairs IV, IX, XL and XC. The numeral is non-empty and well-formed.",
            "Old clocks and chapters use Roman numbers. Given one as a string of capital letters (I is 1, V 5, X 10, "
            "L 50, C 100), `$name` returns the number: letters are summed up, except those followed by a letter of "
            "higher value, which are taken away.",
            "Sum the values of the letters in `numeral`, where each of I (1), V (5), X (10), L (50), C (100) has a "
            "minus sign if the next letter is worth more than it. Return the sum, an int, from `$name(numeral)`.",
        ),
        gold="""\
def $name(numeral):
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
    total = 0
    for letter, following in zip(numeral, numeral[1:] + "I"):
        value = values[letter]
        total += -value if value < values[following] else value
    return total
""",
        inputs=lambda random, params: (_to_roman(random.randint(1, 399)),),
        edges=lambda params: (("I",), ("XLIV",), ("CXC",), ("VIII",)),
        wrong=(
            """\
def $name(numeral):
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
    return sum(values[letter] for letter in numeral)
""",
            """\
def $name(numeral):
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100}
    total = values[numeral[0]]
    for letter, previous in zip(numeral[1:], numeral):
        total += -values[letter] if values[letter] < values[previous] else values[letter]
    return total
""",
        ),
    ),
    Family(
        key="check_digit",
        topic="logic",
        difficulty="medium",
        signature="number",
        names=("luhn_valid", "check_number", "is_valid_card", "passes_luhn"),
        statements=(
            "Write `$name(number)` that checks a string of digits with the Luhn rule: starting from the right, double "
            "every second digit (the last digit is not doubled), subtract 9 from results above 9, and add everything "
            "up. Return True if the sum is divisible by 10, else False.",
            "Validate a card number, a string of two or more digits, with the Luhn algorithm. The 2nd, 4th, 6th... "
            "digit counted from the right end is doubled and reduced by 9 if that exceeds 9; the sum of all digits "
            "must be a multiple of 10. `$name(number)` returns a bool.",
            "`$name(number)` gets digits as a string. Reverse them; add those at even indexes as they are, and for "
            "those at odd indexes add the digit sum of their double. The number is valid (True) if the total ends in "
            "0, otherwise the result is False.",
            "Our membership numbers end in a check digit. To verify one, walk from its last digit to its first, take "
            "the digits by turns once and twice (the last one once), count a two-digit double as the sum of its "
            "digits, and total them. A remainder of 0 modulo 10 is fine: `$name(number)`, given a string, returns True "
            "or False.",
            "Implement the Luhn test for a string `number` of decimal digits: doubled are the digits at an odd "
            "distance from the last one, a double of 10 or more loses 9, and `$name` returns whether the grand total "
            "modulo 10 equals 0.",
        ),
        gold="""\
def $name(number):
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit)
        if place % 2 == 1:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0
""",
        inputs=_card_number,
        edges=lambda params: (("059",), ("18",), ("81",), ("4539148",)),
        wrong=(
            """\
def $name(number):
    total = 0
    for place, digit in enumerate(number):
        value = int(digit)
        if place % 2 == 1:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0
""",
            """\
def $name(number):
    total = 0
    for place, digit in enumerate(reversed(number)):
        total += int(digit) * (2 if place % 2 == 1 else 1)
    return total % 10 == 0
""",
        ),
    ),
    Family(
        key="binary_gap",
        topic="arithmetic",
        difficulty="medium",
        signature="n",
        names=("binary_gap", "longest_zero_run", "zero_gap", "widest_gap"),
        statements=(
            "Write `$name(n)` that returns the length of the longest run of zeros between two ones in the binary "
            "representation of the non-negative integer `n`, or 0 if there is no such run. Zeros at the end do not "
            "count: 20 is 10100, so the result is 1.",
            "Write `n` (an int >= 0) in binary. A gap is a block of consecutive 0s with a 1 directly on both sides. "
            "`$name(n)` gives the length of the longest gap, 0 if there is none.",
            "`$name(n)`: looking at the bits of a non-negative integer, what is the largest number of zero bits that "
            "lie between neighbouring one bits? Return 0 for numbers with fewer than two one bits.",
            "A row of lamps shows `n` in binary, 1 being on. How many lamps does the longest dark stretch have that is "
            "enclosed by lit lamps on both sides? Implement `$name(n)` for integers n >= 0; with no enclosed "
            "dark stretch the answer is 0.",
            "Find the maximum distance minus one between two successive set bits of `n`, a non-negative integer; if "
            "there are not two set bits, take 0. The function is called `$name`.",
        ),
        gold="""\
def $name(n):
    bits = bin(n)[2:].strip("0")
    longest = 0
    for run in bits.split("1"):
        longest = max(longest, len(run))
    return longest
""",
        inputs=lambda random, params: (int("1" + word(random, 4, 10, "0001"), 2),),
        edges=lambda params: ((0,), (20,), (529,), (32,)),
        wrong=(
            """\
def $name(n):
    return max(len(run) for run in bin(n)[2:].split("1"))
""",
            """\
def $name(n):
    return bin(n)[2:].strip("0").count("0")
""",
        ),
    ),
    Family(
        key="factorial_exponent",
        topic="number_theory",
        difficulty="medium",
        signature="n",
        names=("factor_count", "exponent_in_factorial", "times_divisible", "power_in_product"),
        statements=(
            "Write `$name(n)` that returns how many times the prime $prime divides the product 1 * 2 * ... * n, that "
            "is, the largest k such that $prime to the power k divides n! (n >= 0; 0! is 1).",
            "What is the exponent of $prime in the prime factorization of n factorial? `$name(n)` returns it as an "
            "int, and 0 when $prime does not occur. n is a non-negative integer.",
            "`$name(n)`: multiply all the numbers from 1 to n together. How often can the product be divided by $prime "
            "without remainder, one time after another? Return that count (0 for n = 0).",
            "Among the factors of the integers 1, 2, ..., n, count every occurrence of the prime $prime; a multiple of "
            "$prime squared contributes two or more. The total is what `$name(n)` returns, n being at least 0.",
            "Find the greatest exponent e for which n! is a multiple of $prime ** e, and return e. Implement this as "
            "`$name(n)` for any integer n >= 0.",
        ),
        gold="""\
def $name(n):
    count = 0
    while n > 0:
        n //= $prime
        count += n
    return count
""",
        inputs=lambda random, params: (random.randint(0, 150),),
        edges=lambda params: ((0,), (params["prime"] ** 2,), (params["prime"] ** 3 + 1,)),
        params=lambda random: {"prime": random.choice((2, 3, 5))},
        wrong=(
            """\
def $name(n):
    return n // $prime
""",
            """\
def $name(n):
    count = 0
    while n > 0 and n % $prime == 0:
        n //= $prime
        count += 1
    return count
""",
        ),
    ),
)
