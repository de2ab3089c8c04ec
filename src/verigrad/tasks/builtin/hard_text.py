"""Hard families over text: expressions, numerals, layout."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import words
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


def _postfix_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    tokens = [str(random.randint(0, 12))]
    depth = 1
    for _ in range(random.randint(3, 9)):
        if depth > 1 and random.random() < 0.5:
            tokens.append(random.choice(("+", "-", "*", params["sign"])))
            depth -= 1
        else:
            tokens.append(str(random.randint(0, 12)))
            depth += 1
    tokens += [random.choice(("-", "*", params["sign"])) for _ in range(depth - 1)]
    return (" ".join(tokens),)


_POSTFIX_GOLD = """\
def $name(expression):
    stack = []
    for token in expression.split():
        if token.isdigit():
            stack.append(int(token))
            continue
        right = stack.pop()
        left = stack.pop()
        if token == "+":
            stack.append(left + right)
        elif token == "-":
            stack.append(left - right)
        elif token == "*":
            stack.append(left * right)
        else:
            stack.append($python)
    return stack[0]
"""

_POSTFIX = Family(
    key="postfix_value",
    topic="text",
    difficulty="hard",
    signature="expression",
    names=("postfix_value", "evaluate_rpn", "run_stack", "reverse_polish"),
    statements=(
        "Write `$name(expression)` that evaluates an expression in postfix (reverse Polish) notation. Tokens are "
        "separated by single spaces: non-negative ints in decimal, and the binary operators `+`, `-`, `*` and `$sign`, "
        "where `a b $sign` is $meaning. The left operand stands first. The expression is valid and the result an int.",
        "A stack calculator reads a string of tokens split by spaces. A number (digits only) is pushed; an operator "
        "takes b from the top and then a, and pushes a + b, a - b or a * b for `+`, `-` or `*`; for `$sign` it pushes "
        "$meaning. Define `$name(expression)` to return the int left at the end; exactly one remains and the stack "
        "never runs empty.",
        "Implement `$name(expression)` for well-formed reverse Polish strings such as `'7 2 - 3 *'`, which is 15. "
        "Operands are non-negative decimal ints. Besides addition `+`, subtraction `-` and multiplication `*` there is "
        "`$sign`: applied to a (written first) and b it gives $meaning. Return an int.",
        "My old pocket calculator wants operators after their two operands, everything separated by one space, for "
        "example `8 3 -` for 5. Please write `$name(expression)` giving the int value of such a non-empty, correct "
        "input with non-negative whole numbers and the operators `+`, `-`, `*` and `$sign`; the last turns a and b, in "
        "this order, into $meaning.",
        "Postfix terms are defined like this: a string of digits is a term, and if x and y are terms with values a and "
        "b, so are `x y +`, `x y -`, `x y *` and `x y $sign`, with the values a + b, a - b, a * b, and for the last "
        "one $meaning. Given a term as a string with single spaces between tokens, `$name(expression)` returns its "
        "value as an int.",
    ),
    gold=_POSTFIX_GOLD,
    inputs=_postfix_inputs,
    edges=lambda params: (("42",), ("2 9 -",), (f"3 4 {params['sign']} 10 7 {params['sign']} *",)),
    params=lambda random: random.choice(
        (
            {"sign": "^", "python": "max(left, right)", "meaning": "the larger of a and b"},
            {"sign": "_", "python": "min(left, right)", "meaning": "the smaller of a and b"},
            {"sign": "~", "python": "abs(left - right)", "meaning": "the absolute value of a - b"},
            {"sign": "&", "python": "10 * left + right", "meaning": "10 * a + b"},
        )
    ),
    wrong=(
        _POSTFIX_GOLD.replace("right = stack.pop()", "left = stack.pop()", 1).replace(
            "        left = stack.pop()\n        if", "        right = stack.pop()\n        if"
        ),
        _POSTFIX_GOLD.replace("stack[0]", "sum(stack)").replace("stack.append($python)", "stack.append(left)"),
    ),
)


def _expression(random: Random, depth: int) -> str:
    terms = []
    for _ in range(random.randint(1, 3)):
        if depth and random.random() < 0.4:
            terms.append("(" + _expression(random, depth - 1) + ")")
        else:
            terms.append(str(random.randint(0, 15)))
    text = terms[0]
    for term in terms[1:]:
        text += random.choice(("+", "-", "*", " * ", " - ", " + ")) + term
    return text


def _infix_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return (_expression(random, 2) + random.choice("+-*") + _expression(random, 1),)


_INFIX_GOLD = """\
import re

def $name(text):
    tokens = re.findall(r"\\d+|[-+*()]", text)

    def operand():
        token = tokens.pop(0)
        if token != "(":
            return int(token)
        value = total()
        tokens.pop(0)
        return value

    def product():
        value = operand()
        while tokens and tokens[0] == "*":
            tokens.pop(0)
            value *= operand()
        return value

    def total():
        value = product()
        while tokens and tokens[0] in "+-":
            sign = 1 if tokens.pop(0) == "+" else -1
            value += sign * product()
        return value

    return total()
"""

_INFIX = Family(
    key="infix_value",
    topic="text",
    difficulty="hard",
    signature="text",
    names=("infix_value", "calculate", "evaluate_sum", "solve_expression"),
    statements=(
        "Write `$name(text)` that evaluates an arithmetic expression given as a string. It contains non-negative "
        "decimal ints, `+`, `-`, `*`, parentheses and possibly spaces between these; multiplication binds tighter than "
        "addition and subtraction, and operators of equal rank go from left to right. There is no unary minus, the "
        "expression is valid, and the result is an int.",
        "Build a small calculator: `$name(text)` takes a valid expression such as `'2 * (3 + 4) - 1'` and returns its "
        "value as an int. Allowed are whole numbers without sign, the binary operators plus, minus and times (`*`), "
        "round brackets nested to any depth, and spaces around tokens. The usual precedence rules of arithmetic apply.",
        "Implement `$name(text)`, a recursive-descent evaluator. A sum consists of products joined by `+` or `-`, a "
        "product of operands joined by `*`, and an operand is a sequence of digits or a sum in parentheses; sums and "
        "products are computed from left to right. Spaces may separate tokens and mean nothing. Inputs are always "
        "well-formed; return an int.",
        "In my spreadsheet, cells hold formulas like `12-3*(2-5)`. I need `$name(text)` to work them out: only "
        "non-negative ints, `+`, `-`, `*` and parentheses occur, with or without spaces between them, never a sign in "
        "front of a number or bracket, and no errors. Times goes before plus and minus, otherwise left before right. "
        "The value is an int.",
        "What is the value of an infix expression? `$name(text)` gets a non-empty correct string over digits, spaces, "
        "`(`, `)`, `+`, `-` and `*`, in which minus is only used between two operands and spaces never inside a "
        "number. Respect brackets first, then products, then sums and differences in reading order, and return the "
        "int.",
    ),
    gold=_INFIX_GOLD,
    inputs=_infix_inputs,
    edges=lambda params: (("10 - 4 - 3",), ("2*(3+(4-1)*2)",), ("2 * 3 + 4 - 1",)),
    wrong=(
        """\
import re

def $name(text):
    text = text.replace("(", "").replace(")", "").replace(" ", "")
    total = 0
    for sign, product in re.findall(r"([+-]?)([^+-]+)", text):
        value = 1
        for factor in product.split("*"):
            value *= int(factor)
        total += -value if sign == "-" else value
    return total
""",
        _INFIX_GOLD.replace("sign * product()", "sign * total()"),
        _INFIX_GOLD.replace("value *= operand()", "value *= total()"),
    ),
)


def _roman(number: int) -> str:
    signs = {1000: "M", 900: "CM", 500: "D", 400: "CD", 100: "C", 90: "XC", 50: "L", 40: "XL"}
    signs |= {10: "X", 9: "IX", 5: "V", 4: "IV", 1: "I"}
    text = ""
    for value, sign in signs.items():
        text += sign * (number // value)
        number %= value
    return text


_ROMAN_GOLD = """\
def $name(first, second):
    values = {"M": 1000, "D": 500, "C": 100, "L": 50, "X": 10, "V": 5, "I": 1}

    def number(text):
        total = 0
        for i, letter in enumerate(text):
            smaller = values[letter] < max(values[later] for later in text[i:])
            total += -values[letter] if smaller else values[letter]
        return total

    left = $python
    result = ""
    parts = [(1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC")]
    parts += [(50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")]
    for value, letters in parts:
        result += letters * (left // value)
        left %= value
    return result
"""

_ROMAN = Family(
    key="roman_arithmetic",
    topic="text",
    difficulty="hard",
    signature="first, second",
    names=("roman_arithmetic", "roman_result", "combine_numerals", "caesar_sum"),
    statements=(
        "Write `$name(first, second)` for two numbers from 1 to 1500 given as Roman numerals. Return $what as a Roman "
        "numeral. All numerals are uppercase strings in the usual form with subtraction (IV, IX, XL, XC, CD, CM); zero "
        "is written as the empty string.",
        "Both arguments are Roman numerals in standard form (letters I, V, X, L, C, D, M; four is IV, nine IX, forty "
        "XL, ninety XC and so on) with values between 1 and 1500. Define `$name(first, second)` returning $what, again "
        "as a standard uppercase Roman numeral, or as `''` should it be 0.",
        "Implement `$name(first, second)`: read two Roman numerals, for instance `'XIV'` for 14, each worth 1 to 1500, "
        "and return $what written as a Roman numeral. Use the subtractive notation (4 = IV, 9 = IX, 40 = XL, 90 = XC, "
        "400 = CD, 900 = CM) in the result as in the arguments. For 0 return an empty string.",
        "A Roman merchant needs $what of two amounts between I and MD. `$name(first, second)` gets both as uppercase "
        "strings in correct Roman notation, where a smaller unit before a larger one is subtracted as in IX or CM, and "
        "returns the answer in the same notation; nothing at all is an empty string.",
        "Do arithmetic without leaving antiquity: given two valid uppercase Roman numerals, of 1 to 1500 each, let "
        "`$name(first, second)` return the valid Roman numeral of $what. Valid means the modern standard, with at most "
        "three equal letters I, X, C or M in a row and the pairs IV, IX, XL, XC, CD, CM. Zero has the empty string as "
        "its numeral.",
    ),
    gold=_ROMAN_GOLD,
    inputs=lambda random, params: tuple(_roman(int(10 ** random.uniform(0, 3.17))) for _ in range(2)),
    edges=lambda params: (("XIV", "V"), ("CMXCIX", "I"), ("IV", "IV")),
    params=lambda random: random.choice(
        (
            {"what": "the sum", "python": "number(first) + number(second)"},
            {"what": "the difference without sign", "python": "abs(number(first) - number(second))"},
        )
    ),
    wrong=(
        _ROMAN_GOLD.replace("-values[letter] if smaller else values[letter]", "values[letter]"),
        _ROMAN_GOLD.replace('(900, "CM"), ', "")
        .replace('(400, "CD"), ', "")
        .replace(', (90, "XC")', "")
        .replace('(40, "XL"), ', "")
        .replace('(9, "IX"), ', "")
        .replace('(4, "IV"), ', ""),
        """\
def $name(first, second):
    return "".join(sorted(first + second, key="MDCLXVI".index))
""",
    ),
)


_WRAP_GOLD = """\
def $name(text):
    lines = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= $width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines
"""

_WRAP = Family(
    key="wrap_words",
    topic="text",
    difficulty="hard",
    signature="text",
    names=("wrap_words", "break_lines", "fold_text", "fit_paragraph"),
    statements=(
        "Write `$name(text)` that breaks a text into lines of at most $width characters. Words are separated by spaces "
        "in the text and by single spaces on a line, and each line takes as many words as fit. A word longer than the "
        "limit gets a line of its own, unbroken. Return the list of lines, empty if there are no words.",
        "Greedy word wrap: define `$name(text)`, which puts the words of a string (maximal runs of non-spaces) one "
        "after another, joined by one space, into lines, and starts a new line whenever the next word would make the "
        "line longer than $width characters. Words are never cut, even if longer than that. The result is a list of "
        "strings without leading or trailing spaces; a text without words gives `[]`.",
        "Implement `$name(text)`. Take the words of `text`, which may have several spaces in a row, and fill lines "
        "from the first on: a word goes on the current line if, with one space before it, the line has no more than "
        "$width characters, else on the next line. Longer words stand alone on a line. Return all lines as a list.",
        "For a narrow display I want text split into lines not wider than $width characters, with as many whole words "
        "on each line as possible from the first line on. Runs of spaces count as one, and only a single word that is "
        "too long may exceed the width. `$name(text)` should return a list of strings, `[]` for an empty or blank "
        "text.",
        "Divide the words of a string (whatever is between spaces) into consecutive groups, each as long as possible, "
        "such that a group joined by single spaces has at most $width characters or consists of one word. "
        "`$name(text)` returns the list of the joined groups, which is empty when there is no word.",
    ),
    gold=_WRAP_GOLD,
    inputs=lambda random, params: (random.choice((" ", "  ")).join(words(random, 5, 12, 1, 9)),),
    edges=lambda params: (
        ("  ",),
        ("a" * (params["width"] - 3) + " bb c",),
        ("a" * (params["width"] - 3) + " bbb",),
        ("x " + "y" * (params["width"] + 3) + " z",),
    ),
    params=lambda random: {"width": random.randint(8, 20)},
    wrong=(
        _WRAP_GOLD.replace("<= $width", "< $width"),
        _WRAP_GOLD.replace("len(lines[-1]) + 1 + len(word)", "len(lines[-1]) + len(word)"),
        """\
def $name(text):
    text = " ".join(text.split())
    return [text[i : i + $width].strip() for i in range(0, len(text), $width)]
""",
    ),
)


def _justify_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    chosen = words(random, 1, 5, 1, 6)
    return chosen, sum(map(len, chosen)) + len(chosen) - 1 + random.randint(0, 9)


_JUSTIFY_GOLD = """\
def $name(words, width):
    if len(words) == 1:
        return words[0].$pad(width)
    gaps = len(words) - 1
    space, extra = divmod(width - len("".join(words)), gaps)
    line = words[0]
    for i, word in enumerate(words[1:]):
        wide = i $test
        line += " " * (space + wide) + word
    return line
"""

_JUSTIFY = Family(
    key="justify_line",
    topic="text",
    difficulty="hard",
    signature="words, width",
    names=("justify_line", "spread_words", "full_justify", "stretch_line"),
    statements=(
        "Write `$name(words, width)` that returns a line of exactly `width` characters made of the non-empty list of "
        "words, in order, with spaces between them only. The gaps should be as equal as possible; if they cannot all "
        "be equal, the $first gaps get one space more than the others. A single word is $alone. "
        "`width` is large enough for single spaces.",
        "Typesetting a line: the words (a list of at least one non-empty string) start at the left edge and end at the "
        "right edge of a line `width` characters wide. Define `$name(words, width)`, where the numbers of spaces "
        "between neighbouring words differ by at most one and the wider gaps are the $first ones. One word alone is "
        "$alone. There is always room for one space per gap.",
        "Implement `$name(words, width)`: join the strings of the non-empty list with spaces so that the result has "
        "exactly `width` characters. Share the spaces evenly among the gaps, giving the ones that are left over to the "
        "$first gaps, one each. If there is only one word, the result is that word $alone. The words with single "
        "spaces never need more than `width`.",
        "I print receipts with a fixed number of columns. `$name(words, width)` should return the words in one string "
        "of length `width`, blank-filled between them as evenly as possible, surplus blanks going one by one to the "
        "$first gaps. With just one word it is $alone. You can rely on a non-empty list of non-empty words and on "
        "enough width for at least one blank in each gap.",
        "Let k words (k >= 1, none empty) have total length n, and let width - n >= k - 1 blanks be available. For "
        "k > 1 put floor((width - n) / (k - 1)) blanks into each of the k - 1 gaps and one more into each of the "
        "$first (width - n) mod (k - 1) gaps; for k = 1 the word is $alone. `$name(words, width)` returns the "
        "resulting string of length `width`.",
    ),
    gold=_JUSTIFY_GOLD,
    inputs=_justify_inputs,
    edges=lambda params: ((["hi"], 6), (["a", "bb", "c", "d"], 13), (["one", "two"], 7)),
    params=lambda random: random.choice(
        (
            {
                "first": "leftmost",
                "test": "< extra",
                "other": ">= gaps - extra",
                "alone": "padded with spaces on the right",
                "pad": "ljust",
            },
            {
                "first": "rightmost",
                "test": ">= gaps - extra",
                "other": "< extra",
                "alone": "padded with spaces on the left",
                "pad": "rjust",
            },
        )
    ),
    wrong=(
        _JUSTIFY_GOLD.replace("$test", "$other"),
        """\
def $name(words, width):
    return " ".join(words).$pad(width)
""",
        _JUSTIFY_GOLD.replace("return words[0].$pad(width)", "return words[0]"),
    ),
)


FAMILIES: tuple[Family, ...] = (
    _POSTFIX,
    _INFIX,
    _ROMAN,
    _WRAP,
    _JUSTIFY,
)
