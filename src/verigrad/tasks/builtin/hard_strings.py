"""Hard families over strings: nesting, patterns, the best substring."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import word
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]


_BRACKET_KINDS = (
    {"pairs": '{")": "(", "]": "["}', "shown": "`()` and `[]`", "alphabet": "()[]"},
    {"pairs": '{")": "(", "]": "[", "}": "{"}', "shown": "`()`, `[]` and `{}`", "alphabet": "()[]{}"},
    {"pairs": '{")": "(", ">": "<"}', "shown": "`()` and `<>`", "alphabet": "()<>"},
)


def _brackets_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    alphabet = params["alphabet"]
    closer = dict(zip(alphabet[::2], alphabet[1::2], strict=True))
    text, opened = "", ""
    for _ in range(random.randint(4, 10)):
        if opened and random.random() < 0.5:
            text, opened = text + closer[opened[-1]], opened[:-1]
        else:
            opened += random.choice(alphabet[::2])
            text += random.choice(("", "x")) + opened[-1]
    text += "".join(closer[bracket] for bracket in reversed(opened))
    if random.random() < 0.75:
        place = random.randrange(len(text))
        text = text[:place] + random.choice(("", random.choice(alphabet))) + text[place + 1 :]
    return (text,)


_BRACKETS_GOLD = """\
def $name(text):
    pairs = $pairs
    opened = []
    for i, character in enumerate(text):
        if character in pairs.values():
            opened.append(i)
        elif character in pairs:
            if not opened or text[opened[-1]] != pairs[character]:
                return i
            opened.pop()
    return opened[-1] if opened else -1
"""

_BRACKETS = Family(
    key="bracket_error",
    topic="strings",
    difficulty="hard",
    signature="text",
    names=("bracket_error", "find_mismatch", "first_bad_bracket", "check_nesting"),
    statements=(
        "Write `$name(text)` that checks the brackets $shown in a string and ignores all other characters. Return the "
        "index of the first closing bracket that does not match the most recently opened, still unclosed bracket (or "
        "has none to match). If there is no such closing bracket but some brackets are never closed, return the index "
        "of the last of these opening brackets; if all is well return -1.",
        "Brackets of the kinds $shown must be properly nested; other characters mean nothing. Define `$name(text)`: "
        "scan from the left and return the index of the closing bracket at which the nesting first breaks (wrong kind, "
        "or nothing open). If the scan ends with brackets still open, return the index of the innermost of them, the "
        "one opened last. Return -1 for correct text, including the empty string.",
        "Implement `$name(text)` with a stack. Opening brackets from $shown are pushed, closing ones must pop an "
        "opening bracket of the same kind; where that fails, give back the position (from 0) of that closing bracket "
        "at once. After the last character the result is the position of the opening bracket on top of the stack, or "
        "-1 if the stack is empty. Characters that are no brackets are skipped.",
        "My editor should highlight the place where nesting of $shown goes wrong. `$name(text)` returns a 0-based "
        "index: of the first closing bracket without a fitting partner, which would have to be the latest opening one "
        "not closed so far; failing that, of the last opening bracket that has no partner; and -1 if every bracket has "
        "one. Any other text in between is irrelevant.",
        "Given a string with brackets $shown among other characters, process it in order. Each closing bracket closes "
        "the newest open bracket and has to be of its kind. The answer of `$name(text)` is the index of the first "
        "closing bracket that cannot do so; if all can, the greatest index of an opening bracket left unclosed; if "
        "there is none of those either, -1.",
    ),
    gold=_BRACKETS_GOLD,
    inputs=_brackets_inputs,
    edges=lambda params: (("([)]".translate(str.maketrans("[]", params["alphabet"][2:4])),), ("((x)(",), ("a)",)),
    params=lambda random: random.choice(_BRACKET_KINDS),
    wrong=(
        _BRACKETS_GOLD.replace("opened[-1] if opened", "opened[0] if opened"),
        _BRACKETS_GOLD.replace(" or text[opened[-1]] != pairs[character]", ""),
        _BRACKETS_GOLD.replace("return opened[-1] if opened else -1", "return len(text) if opened else -1"),
    ),
)


def _packed(random: Random, depth: int, brackets: str) -> str:
    text = ""
    for _ in range(random.randint(1, 3)):
        if depth and random.random() < 0.6:
            times = random.choice((2, 3, 2, 3, 4, 10))
            text += f"{times}{brackets[0]}{_packed(random, depth - 1, brackets)}{brackets[1]}"
        else:
            text += word(random, 1, 2, "abcxyz")
    return text


def _packed_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    while True:
        text = _packed(random, 2, params["open"] + params["close"])
        if len(text) < 24 and params["open"] in text:
            return (text,)


_UNPACK_GOLD = """\
def $name(text):
    stack = []
    current, number = "", 0
    for character in text:
        if character.isdigit():
            number = number * 10 + int(character)
        elif character == "$open":
            stack.append((current, number))
            current, number = "", 0
        elif character == "$close":
            before, times = stack.pop()
            current = before + current * times
        else:
            current += character
    return current
"""

_UNPACK = Family(
    key="unpack_text",
    topic="strings",
    difficulty="hard",
    signature="text",
    names=("unpack_text", "decode_nested", "expand_repeats", "inflate"),
    statements=(
        "Write `$name(text)` that expands repetitions: a decimal number directly followed by a part in `$open` and "
        "`$close` means that part repeated so often, as in `2${open}ab$close` for `abab`. Parts can be nested, numbers "
        "are at least 1 and may have several digits, and all else are lowercase letters, which stay. The text is valid "
        "and may be empty.",
        "A compressed string consists of lowercase letters and groups of the form `k${open}content$close`, k being a "
        "positive int in decimal and the content again a compressed string. Define `$name(text)` returning the "
        "uncompressed string, in which each group is replaced by k copies of its uncompressed content. Every number is "
        "followed by `$open`, and brackets match.",
        "Implement `$name(text)`. Letters stand for themselves; `n${open}...$close` stands for n times what the "
        "dots stand for, with n >= 1 of one or more digits. So `a2${open}b3${open}c$close$close` becomes `abcccbccc`. "
        "The argument is a correctly built string of lowercase letters, digits and these brackets; an empty string "
        "gives an empty string.",
        "In my knitting patterns `3${open}kp$close` is short for `kpkpkp`, and such groups may occur inside one "
        "another; counts are whole numbers from 1, sometimes with two digits. Please write `$name(text)`, which writes "
        "a pattern out in full as a string of lowercase letters. All patterns are well-formed: every count is followed "
        "by a group and every group has a count.",
        "Undo run-length packing with nesting. The grammar: a text is a sequence of zero or more items; an item is a "
        "lowercase letter or a positive decimal number followed by `$open`, a text and `$close`, which represents the "
        "inner text's expansion written that many times in a row. `$name(text)` returns the expansion of a given text "
        "as a string.",
    ),
    gold=_UNPACK_GOLD,
    inputs=_packed_inputs,
    edges=lambda params: (
        ("",),
        ("a2{b3{c}}d".translate(str.maketrans("{}", params["open"] + params["close"])),),
        ("12{xy}z".translate(str.maketrans("{}", params["open"] + params["close"])),),
    ),
    params=lambda random: random.choice(({"open": "[", "close": "]"}, {"open": "(", "close": ")"})),
    wrong=(
        _UNPACK_GOLD.replace("number = number * 10 + int(character)", "number = int(character)"),
        """\
import re

def $name(text):
    return re.sub(r"(\\d+)\\$open(\\w+)\\$close", lambda match: match[2] * int(match[1]), text)
""",
        _UNPACK_GOLD.replace("before + current * times", "(before + current) * times"),
    ),
)


def _pattern_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    text = word(random, 3, 7, "ab")
    pattern = ""
    at = 0
    while at < len(text):
        kind = random.random()
        if kind < 0.3:
            pattern, at = pattern + params["many"], at + random.randint(0, 3)
        else:
            pattern, at = pattern + (params["one"] if kind < 0.5 else text[at]), at + 1
    if random.random() < 0.85:
        place = random.randrange(len(pattern))
        pattern = pattern[:place] + random.choice(("", "a", "b")) + pattern[place + 1 :]
    return text, pattern


_PATTERN_GOLD = """\
def $name(text, pattern):
    if not pattern:
        return not text
    if pattern[0] == "$many":
        return any($name(text[i:], pattern[1:]) for i in range(len(text) + 1))
    if not text or pattern[0] not in ("$one", text[0]):
        return False
    return $name(text[1:], pattern[1:])
"""

_PATTERN = Family(
    key="wildcard_match",
    topic="recursion",
    difficulty="hard",
    signature="text, pattern",
    names=("wildcard_match", "fits_pattern", "matches_glob", "mask_accepts"),
    statements=(
        "Write `$name(text, pattern)` that tells whether a whole string fits a pattern. In the pattern `$one` stands "
        "for exactly one arbitrary character, `$many` for any number of arbitrary characters, none included, and every "
        "other character for itself. The text consists of lowercase letters; both strings may be empty. Return True or "
        "False.",
        "Like a file name mask: define `$name(text, pattern)` returning True if the pattern matches the complete text "
        "of lowercase letters, else False. Letters in the pattern match themselves, `$one` matches any one letter, "
        "`$many` matches any sequence of letters, also an empty one. An empty pattern matches only an empty text.",
        "Implement `$name(text, pattern)`: can `pattern` be turned into `text` by replacing each `$one` by one letter "
        "and each `$many` by zero or more letters (different places independently)? All other pattern characters, like "
        "those of the text, are lowercase letters and stay as they are. The answer is a bool.",
        "I filter words (lowercase letters only) with simple wildcards: `$many` is a placeholder for whatever you like "
        "or nothing, `$one` for a single letter. `$name(text, pattern)` should be True when the pattern describes the "
        "word from beginning to end and False otherwise; a match of just a part of the word is not enough. Either "
        "string can be empty.",
        "The language of a pattern is defined letter by letter: a lowercase letter denotes itself, `$one` denotes all "
        "strings of length 1, `$many` denotes all strings, and a pattern denotes all concatenations of strings denoted "
        "by its characters in order (the empty pattern only the empty string). `$name(text, pattern)` returns as a "
        "bool whether the pattern denotes the given text of lowercase letters.",
    ),
    gold=_PATTERN_GOLD,
    inputs=_pattern_inputs,
    edges=lambda params: (
        ("ab", "a" + params["many"] + "b"),
        ("abb", "a" + params["one"]),
        ("aab", "a" + params["one"] + "b"),
        ("ba", params["many"] + "b"),
    ),
    params=lambda random: random.choice(
        ({"one": "?", "many": "*"}, {"one": "_", "many": "%"}, {"one": ".", "many": "#"}, {"one": "*", "many": "+"})
    ),
    wrong=(
        _PATTERN_GOLD.replace("return not text", "return True"),
        _PATTERN_GOLD.replace("for i in range(len(text) + 1)", "for i in range(1, len(text) + 1)"),
        """\
def $name(text, pattern):
    parts = pattern.replace("$one", "").split("$many")
    return text.startswith(parts[0]) and text.endswith(parts[-1])
""",
    ),
)


def _palindrome_text(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    half = word(random, 1, 4, "abcd")
    middle = half + half[::-1][random.randint(0, 1) :]
    return (word(random, 0, 5, "abcd") + middle + word(random, 0, 5, "abcd"),)


_PALINDROME_GOLD = """\
def $name(text):
    best = ""
    for center in range(2 * len(text) - 1):
        left, right = center // 2, (center + 1) // 2
        while left >= 0 and right < len(text) and text[left] == text[right]:
            left -= 1
            right += 1
        found = text[left + 1 : right]
        if len(found) $op len(best):
            best = found
    return best
"""

_PALINDROME = Family(
    key="longest_palindrome",
    topic="strings",
    difficulty="hard",
    signature="text",
    names=("longest_palindrome", "mirror_part", "largest_mirror", "symmetric_slice"),
    statements=(
        "Write `$name(text)` that returns the longest contiguous part of a string that reads the same forwards and "
        "backwards. If several parts have the greatest length, return the one that starts $tie. The empty string gives "
        "the empty string.",
        "A palindrome equals its own reversal. Define `$name(text)`: among all substrings of `text` that are "
        "palindromes find the longest, in case of a tie the one with the $index start index, and return it as a "
        "string. For `''` return `''`.",
        "Implement `$name(text)`. Consider every slice text[i:j] with text[i:j] == text[i:j][::-1]; return the one of "
        "maximum length, and if more than one has that length, the one with the $index i. Single characters count as "
        "palindromes, characters are compared exactly, and an empty text has only the empty slice.",
        "Where is the text most symmetric? I need `$name(text)` returning the longest run of neighbouring characters "
        "that is the same when read from right to left. Should there be several equally long ones, take the one that "
        "begins $tie. Upper and lower case differ, and an empty input gives an empty result.",
        "Find a mirror inside a DNA string: the longest substring (adjacent characters) which is unchanged by "
        "reversing it. Of equally long candidates the one whose first character has the $index position wins. "
        "`$name(text)` returns this substring; it is at least one character long unless `text` is empty, when it is "
        "empty too.",
    ),
    gold=_PALINDROME_GOLD,
    inputs=_palindrome_text,
    edges=lambda params: (("",), ("abcd",), ("xabbay",), ("abaxyzzyxaba",), ("abacdc",)),
    params=lambda random: random.choice(
        (
            {"tie": "first", "index": "smallest", "op": ">", "other": ">="},
            {"tie": "last", "index": "largest", "op": ">=", "other": ">"},
        )
    ),
    wrong=(
        _PALINDROME_GOLD.replace("$op", "$other"),
        _PALINDROME_GOLD.replace("range(2 * len(text) - 1)", "range(0, 2 * len(text) - 1, 2)"),
    ),
)


_WINDOW_GOLD = """\
def $name(text, letters):
    best = None
    for start in range(len(text)):
        missing = list(letters)
        for end in range(start, len(text)):
            if text[end] in missing:
                missing.remove(text[end])
            if not missing:
                if best is None or end + 1 - start $op len(best):
                    best = text[start : end + 1]
                break
    return best
"""


def _window_inputs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return word(random, 8, 16, "abcd"), word(random, 2, 4, "abcd")


_WINDOW = Family(
    key="smallest_window",
    topic="searching",
    difficulty="hard",
    signature="text, letters",
    names=("smallest_window", "covering_slice", "shortest_span", "tightest_part"),
    statements=(
        "Write `$name(text, letters)` that returns the shortest substring of `text` containing all characters of the "
        "non-empty string `letters`, in any order. A character that occurs several times in `letters` must occur at "
        "least as often in the substring. Among equally short substrings return the $tie one; return None if there is "
        "none.",
        "Which is the smallest window of a string that covers a given collection of letters? Both are strings, "
        "`letters` being non-empty and perhaps with repeats, and each letter is needed as many times as it is listed. "
        "Define `$name(text, letters)` returning that window, the $tie one if several are equally small, or None if "
        "the whole text does not cover the letters.",
        "Implement `$name(text, letters)`: find the contiguous part of `text`, as short as possible, from whose "
        "characters the non-empty string `letters` could be spelled, each character of the part being used at most "
        "once and the order being free. In case of a tie take the $tie part. The result is a str, or None if "
        "impossible.",
        "I search a tape of symbols (a string) for the shortest section that has all symbols I want. The wanted ones "
        "are given as a non-empty string `letters`; one that is listed twice must be there twice, and so on. Please "
        "write `$name(text, letters)`, giving the section as a string, the $tie of the shortest if there is more than "
        "one, and None if the tape does not have them.",
        "A slice of `text` is good if for every character c it contains c at least letters.count(c) times, where "
        "`letters` is a non-empty string. `$name(text, letters)` returns a good slice of minimal length, namely the "
        "$tie such slice (by where it starts), or None when no slice is good.",
    ),
    gold=_WINDOW_GOLD,
    inputs=_window_inputs,
    edges=lambda params: (("abcbac", "abc"), ("abacaa", "aa"), ("abc", "x")),
    params=lambda random: random.choice(
        ({"tie": "leftmost", "op": "<", "other": "<="}, {"tie": "rightmost", "op": "<=", "other": "<"})
    ),
    wrong=(
        _WINDOW_GOLD.replace("list(letters)", "list(set(letters))"),
        _WINDOW_GOLD.replace("$op", "$other"),
        _WINDOW_GOLD.replace(" or end + 1 - start $op len(best)", ""),
    ),
)


FAMILIES: tuple[Family, ...] = (
    _BRACKETS,
    _UNPACK,
    _PATTERN,
    _PALINDROME,
    _WINDOW,
)
