"""Families of medium difficulty over strings: characters, words, small formats."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from verigrad.tasks.builtin.draw import word, words
from verigrad.tasks.builtin.family import Family

__all__ = ["FAMILIES"]

_SMALL_WORDS = ("a", "an", "and", "of", "the", "in", "to", "or", "at", "on")


def _swap_case(random: Random, text: str) -> str:
    return "".join(random.choice((char.upper(), char)) for char in text)


def _palindrome_or_nearly(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Mixed case and punctuation around a palindrome; in half of the cases one letter is off."""
    half = word(random, 2, 4, "abcde")
    text = list(half + half[::-1][random.randint(0, 1) :])
    if random.random() < 0.5:
        text[random.randrange(len(half) - 1)] = random.choice("xyz")
    return (_swap_case(random, "".join(char + random.choice(("", "", " ", ", ", "!")) for char in text)),)


def _sentence(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Short words with stray punctuation."""
    parts = [_swap_case(random, part) + random.choice(("", "", ",", ".", "!!")) for part in words(random, 1, 7, 1, 5)]
    return (" ".join(parts),)


def _subsequence_or_nearly(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Letters of a word in order, shuffled in about half of the cases."""
    text = word(random, 4, 9, "abcdef")
    positions = sorted(random.sample(range(len(text)), random.randint(2, 4)))
    if random.random() < 0.6:
        positions.reverse()
    return "".join(text[position] for position in positions), text


def _anagram_or_nearly(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Two phrases with the same letters, of which half the time one is replaced by another of them."""
    letters = list(word(random, 3, 7, "abcde"))
    other = random.sample(letters, len(letters))
    if random.random() < 0.5:
        other[0] = random.choice([letter for letter in "abcdef" if letter != other[0]])
    other.insert(random.randint(0, len(other)), " ")
    return _swap_case(random, "".join(letters)), _swap_case(random, "".join(other))


def _camel(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    parts = [part.capitalize() for part in words(random, 1, 4, 1, 5)]
    if random.random() < 0.5:
        parts[0] = parts[0].lower()
    return ("".join(parts),)


def _with_prefix(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    prefix = word(random, 0, 5)
    return ([prefix + rest for rest in words(random, 1, 5, 0, 4, "abc")],)


def _bracketed(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    """Balanced text of two kinds of brackets; in half of the cases with two characters exchanged or one lost."""
    text = ""
    for _ in range(random.randint(2, 5)):
        opening, closing = random.choice((params["first"], params["second"]))
        inside = random.choice(("", "x", "a+b"))
        text = random.choice((opening + text + closing, text + opening + inside + closing))
    if random.random() < 0.5:
        return (text,)
    i, j = sorted(random.sample(range(len(text)), 2))
    exchanged = text[:i] + text[j] + text[i + 1 : j] + text[i] + text[j + 1 :]
    return (random.choice((exchanged, text[:i] + text[i + 1 :])),)


def _page_ranges(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    parts = []
    for _ in range(random.randint(1, 4)):
        start = random.randint(1, 15)
        end = start + random.randint(0, 4)
        parts.append(random.choice((str(start), f"{start}-{end}")))
    return (",".join(parts),)


def _settings(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    pad = random.choice(("", " "))
    pairs = [f"{name}{pad}{params['equals']}{pad}{random.randint(0, 99)}" for name in words(random, 0, 5, 1, 2, "abxy")]
    return ((params["separator"] + random.choice(("", " "))).join(pairs),)


def _runs(random: Random, params: Mapping[str, Any]) -> tuple[Any, ...]:
    return ("".join(letter + str(random.choice((1, 2, 3, 10, 12))) for letter in word(random, 0, 4)),)


FAMILIES: tuple[Family, ...] = (
    Family(
        key="run_length_encode",
        topic="strings",
        difficulty="medium",
        signature="text",
        names=("run_length_encode", "encode_runs", "compress_runs", "count_in_a_row"),
        statements=(
            "Write a function `$name(text)` that run-length encodes a string: return a list of tuples "
            "(character, count), one for each run of equal consecutive characters, in order. "
            "The empty string gives an empty list.",
            "Compress `text` into runs. 'aaab' becomes [('a', 3), ('b', 1)]: a list of tuples of a character and how "
            "often it stands there in a row, from left to right. `$name('')` is [].",
            "Given a string, `$name` returns its runs as a list of `(char, length)` tuples. A run is a longest "
            "possible stretch of one repeated character; a character may have several runs. Upper and lower case "
            "differ.",
            "I would like to see which characters follow each other and how often each is repeated before the next "
            "one comes. `$name(text)` should return a list of (character, repetitions) tuples, [] for no text.",
            "Scan the string `text` and group identical neighbouring characters. For each group, in the order of the "
            "text, output the tuple of the character and the group's size; collect the tuples in a list. "
            "Implement this as `$name`; an empty text has no groups.",
        ),
        gold="""\
def $name(text):
    runs = []
    for char in text:
        if runs and runs[-1][0] == char:
            runs[-1] = (char, runs[-1][1] + 1)
        else:
            runs.append((char, 1))
    return runs
""",
        inputs=lambda random, params: (word(random, 1, 10, "abA"),),
        edges=lambda params: (("",), ("aaabba",)),
        wrong=(
            """\
def $name(text):
    return [(char, text.count(char)) for char in dict.fromkeys(text)]
""",
            """\
def $name(text):
    runs = []
    count = 1
    for previous, char in zip(text, text[1:]):
        if char == previous:
            count += 1
        else:
            runs.append((previous, count))
            count = 1
    return runs
""",
        ),
    ),
    Family(
        key="expand_runs",
        topic="strings",
        difficulty="medium",
        signature="code",
        names=("expand_runs", "decode_runs", "decompress", "unpack_counts"),
        statements=(
            "Write `$name(code)` that expands a compressed string. `code` consists of lower-case letters, each "
            "followed by a positive decimal number (maybe of several digits) that says how often to repeat it: "
            "'a3b12'.",
            "A string such as 'x2y10' stands for 'xx' followed by ten 'y'. `$name(code)` returns the long form. "
            "Every letter has its count right after it, and counts can have more than one digit; '' gives ''.",
            "Undo run-length encoding: given pairs of one lower-case letter and a count written one after another "
            "without spaces, `$name` returns the text in which each letter is repeated count times.",
            "Our knitting patterns read like 'k4p2k10': do the stitch named by the letter as many times as the number "
            "behind it says. `$name(code)` should write the stitches out in full, as one string.",
            "Decode `code`. It alternates between a single letter (a to z) and a positive integer in decimal digits; "
            "output each letter that many times, in order. The empty code decodes to ''. Call it `$name`.",
        ),
        gold="""\
def $name(code):
    result = ""
    start = 0
    while start < len(code):
        end = start + 1
        while end < len(code) and code[end].isdigit():
            end += 1
        result += code[start] * int(code[start + 1:end])
        start = end
    return result
""",
        inputs=_runs,
        edges=lambda params: (("",), ("a3b12",), ("z1y1x2",)),
        wrong=(
            """\
def $name(code):
    return "".join(letter * int(count) for letter, count in zip(code[::2], code[1::2]))
""",
            """\
def $name(code):
    result = ""
    for char in code:
        if char.isdigit():
            result += result[-1] * (int(char) - 1)
        else:
            result += char
    return result
""",
        ),
    ),
    Family(
        key="palindrome_phrase",
        topic="strings",
        difficulty="medium",
        signature="text",
        names=("is_palindrome", "palindrome_phrase", "same_backwards", "reads_both_ways"),
        statements=(
            "Write `$name(text)` that returns True if `text` is a palindrome when only letters are considered and case "
            "is ignored, else False. A text without letters is a palindrome.",
            "Does a phrase read the same forwards and backwards once spaces, punctuation and anything else that is not "
            "a letter are removed and upper and lower case are treated alike? `$name(text)` returns a bool "
            "(True if no letters are left).",
            "`$name(text)` checks for palindromes like 'No lemon, no melon!': compare the letters alone, in lower "
            "case, with their reverse. Return True or False; the empty string counts as True.",
            "Say whether the letters of a sentence form the same sequence from either end. Skip every non-letter and "
            "do not distinguish 'a' from 'A'. The function `$name` takes the string and returns a boolean; with "
            "nothing to compare it is True.",
            "Implement the predicate `$name`: case-insensitive palindrome test of a string in which all characters "
            "other than letters are to be overlooked. No letters at all means True.",
        ),
        gold="""\
def $name(text):
    letters = ""
    for char in text:
        if char.isalpha():
            letters += char.lower()
    return letters == letters[::-1]
""",
        inputs=_palindrome_or_nearly,
        edges=lambda params: (("",), ("No lemon, no melon!",), ("ab a!b",), ("Abca",)),
        wrong=(
            """\
def $name(text):
    text = text.lower()
    return text == text[::-1]
""",
            """\
def $name(text):
    letters = [char for char in text if char.isalpha()]
    return letters == letters[::-1]
""",
            """\
def $name(text):
    letters = [char.lower() for char in text if char.isalpha()]
    return bool(letters) and letters[0] == letters[-1]
""",
        ),
    ),
    Family(
        key="caesar_shift",
        topic="text",
        difficulty="medium",
        signature="text",
        names=("caesar", "shift_letters", "encode_message", "scramble"),
        statements=(
            "Write `$name(text)` that shifts every English letter $shift places forward in the alphabet, wrapping from "
            "z to a. Upper-case letters stay upper-case, and all other characters are unchanged.",
            "Encrypt a string with a Caesar cipher of shift $shift: each letter a-z or A-Z is replaced by the one "
            "$shift later (cyclically, keeping its case), everything else is copied. Name the function `$name`.",
            "`$name(text)` returns `text` with all letters moved on by $shift in the alphabet. After 'z' comes 'a' "
            "again, after 'Z' comes 'A'. Digits, spaces and punctuation do not change.",
            "To hide the answers of a quiz we replace each letter by the letter $shift positions further on, going "
            "round at the end of the alphabet, in the same case. Leave other characters alone. Write `$name(text)`.",
            "Make a function `$name` for simple secret messages: letters (ASCII only, both cases, case preserved) "
            "rotate by +$shift modulo 26, any other character passes through. It returns the new string.",
        ),
        gold="""\
def $name(text):
    result = ""
    for char in text:
        if char.isalpha():
            first = ord("a") if char.islower() else ord("A")
            char = chr(first + (ord(char) - first + $shift) % 26)
        result += char
    return result
""",
        inputs=lambda random, params: (
            " ".join(_swap_case(random, part) + random.choice(("", "!", "7")) for part in words(random, 1, 3, 1, 5)),
        ),
        edges=lambda params: (("",), ("xyz XYZ!",), ("Hello, World 42",)),
        params=lambda random: {"shift": random.choice((2, 3, 4, 5, 6, 7, 8, 9, 10, 11))},
        wrong=(
            """\
def $name(text):
    return "".join(chr(ord(char) + $shift) if char.isalpha() else char for char in text)
""",
            """\
def $name(text):
    result = ""
    for char in text.lower():
        if char.isalpha():
            char = chr(97 + (ord(char) - 97 + $shift) % 26)
        result += char
    return result
""",
            """\
def $name(text):
    result = ""
    for char in text:
        if char.isalpha():
            first = ord("a") if char.islower() else ord("A")
            char = chr(first + (ord(char) - first - $shift) % 26)
        result += char
    return result
""",
        ),
    ),
    Family(
        key="most_common_char",
        topic="strings",
        difficulty="medium",
        signature="text",
        names=("most_common_char", "top_char", "most_frequent", "dominant_char"),
        statements=(
            "Write `$name(text)` that returns the most frequent character of a string. On a tie return the character "
            "that appears first in `text`; for the empty string return ''.",
            "Which character occurs most often in `text`? `$name` returns it as a one-character string. If several "
            "occur equally often, the one seen earliest wins. An empty text gives an empty string.",
            "Given a string, find its most common character (case-sensitive, spaces count too). Ties are broken in "
            "favour of the earlier first occurrence. `$name('')` should be ''.",
            "Count the characters of a string and return the one with the highest count. Where counts are equal, "
            "choose whichever comes first when reading from the left. Without characters return ''. Implement `$name`.",
            "Please write `$name(text)`: out of all characters in `text` give back the one with the largest number of "
            "occurrences, the first to appear if there are several such, and '' when `text` is empty.",
        ),
        gold="""\
def $name(text):
    best = ""
    for char in text:
        if not best or text.count(char) > text.count(best):
            best = char
    return best
""",
        inputs=lambda random, params: (word(random, 1, 9, "abcd "),),
        edges=lambda params: (("",), ("bbaa",), ("dccbbad",)),
        wrong=(
            """\
def $name(text):
    return max(sorted(text), key=text.count) if text else ""
""",
            """\
def $name(text):
    best = ""
    for char in text:
        if not best or text.count(char) >= text.count(best):
            best = char
    return best
""",
        ),
    ),
    Family(
        key="longest_bare_word",
        topic="text",
        difficulty="medium",
        signature="text",
        names=("longest_word", "biggest_word", "pick_longest", "find_longest"),
        statements=(
            "Write `$name(text)` that returns the longest word of a text. Words are separated by white space; the "
            "characters . , ! at the ends of a word do not belong to it. On a tie return the $tie one. "
            "The text contains at least one word.",
            "Split `text` at white space, strip any of '.,!' from both ends of each piece, and return the piece with "
            "the most characters, the $tie such piece if there are several. `text` is never empty. Name: `$name`.",
            "`$name(text)` finds the longest word. Full stops, commas and exclamation marks around a word must not "
            "count towards its length nor be returned. Of equally long words take the $tie. There is at least one "
            "word.",
            "Tell me the longest word somebody used in a message. `$name(text)` gets a non-empty message with words "
            "separated by spaces, ignores '.', ',' and '!' before or after a word, and prefers the $tie word among "
            "equally long ones.",
            "Return, without its surrounding dots, commas and exclamation marks, the word of the string `text` that "
            "has the most characters then. Words come apart at white space, there is at least one, and ties go to the "
            "$tie. The function is named `$name`.",
        ),
        gold="""\
def $name(text):
    best = ""
    for piece in text.split():
        word = piece.strip(".,!")
        if len(word) $op len(best):
            best = word
    return best
""",
        inputs=_sentence,
        edges=lambda params: (("to be, or!! not",), ("big,!! cat, dog",), ("One",)),
        params=lambda random: random.choice(
            ({"tie": "first", "op": ">", "other": ">="}, {"tie": "last", "op": ">=", "other": ">"})
        ),
        wrong=(
            """\
def $name(text):
    best = ""
    for piece in text.split():
        word = piece.strip(".,!")
        if len(word) $other len(best):
            best = word
    return best
""",
            """\
def $name(text):
    best = ""
    for word in text.split():
        if len(word) $op len(best):
            best = word
    return best
""",
        ),
    ),
    Family(
        key="alternate_case",
        topic="strings",
        difficulty="medium",
        signature="text",
        names=("alternate_case", "zigzag_case", "mock_text", "see_saw_case"),
        statements=(
            "Write `$name(text)` that makes the letters of a string alternately $first and $second, the first letter "
            "being $first. Characters that are not letters stay as they are and are not counted.",
            "Change the case of a text so that its 1st, 3rd, 5th... letters are $first and its 2nd, 4th... letters are "
            "$second. Only letters count; digits, spaces and punctuation pass through. `$name(text)` returns it.",
            "`$name('ab c')` alternates case letter by letter, starting with $first, and skips over non-letters "
            "without losing its turn: after every $first letter the next letter, wherever it is, is $second, and so "
            "on. Return the new string.",
            "For a joke I want text in alternating case, beginning with $first: every letter has the opposite case of "
            "the letter before it. What is not a letter remains and does not affect the rhythm. Implement "
            "`$name(text)`.",
            "Take a string and number its letters 0, 1, 2, ... (ignoring all other characters). Letters with an even "
            "number become $first, those with an odd number $second; the rest is kept. Write `$name(text)`.",
        ),
        gold="""\
def $name(text):
    result = ""
    seen = 0
    for char in text:
        if char.isalpha():
            char = char.$even() if seen % 2 == 0 else char.$odd()
            seen += 1
        result += char
    return result
""",
        inputs=lambda random, params: (
            random.choice((" ", "3", "-")).join(_swap_case(random, part) for part in words(random, 1, 4, 1, 5)),
        ),
        edges=lambda params: (("",), ("a b c",), ("HELLO, world",)),
        params=lambda random: random.choice(
            (
                {"first": "upper-case", "second": "lower-case", "even": "upper", "odd": "lower"},
                {"first": "lower-case", "second": "upper-case", "even": "lower", "odd": "upper"},
            )
        ),
        wrong=(
            """\
def $name(text):
    return "".join(char.$even() if i % 2 == 0 else char.$odd() for i, char in enumerate(text))
""",
            """\
def $name(text):
    return " ".join(
        "".join(char.$even() if i % 2 == 0 else char.$odd() for i, char in enumerate(part))
        for part in text.split(" ")
    )
""",
        ),
    ),
    Family(
        key="camel_to_words",
        topic="text",
        difficulty="medium",
        signature="identifier",
        names=("split_camel", "camel_to_words", "rename_identifier", "decamelize"),
        statements=(
            "Write `$name(identifier)` that converts a camel-case identifier of letters into lower-case words joined "
            "by '$joint'. Every upper-case letter starts a new word; there is no '$joint' at the very beginning.",
            "Turn names like 'userId' or 'UserId' into 'user${joint}id'. In `$name(identifier)` put '$joint' before "
            "each capital letter except at index 0 and make everything lower-case.",
            "`$name(identifier)`: given a non-empty string of ASCII letters, insert '$joint' in front of every "
            "upper-case letter that is not the first character, then lower all letters. 'aBC' gives "
            "'a${joint}b${joint}c'.",
            "Our new style guide wants identifiers in lower case with '$joint' between words. The old ones mark the "
            "beginning of each word (for the first word, only sometimes) with a capital. Write `$name(identifier)` to "
            "translate an old identifier, in which each capital begins a word of its own.",
            "Implement `$name`. The argument is a word in camelCase or PascalCase. Return its parts, which begin at "
            "capitals, in lower case and separated by '$joint', with no '$joint' at either end.",
        ),
        gold="""\
def $name(identifier):
    result = ""
    for index, char in enumerate(identifier):
        if char.isupper() and index > 0:
            result += "$joint"
        result += char.lower()
    return result
""",
        inputs=_camel,
        edges=lambda params: (("UserId",), ("aBC",), ("plain",)),
        params=lambda random: {"joint": random.choice(("_", "-", ".", "/"))},
        wrong=(
            """\
def $name(identifier):
    return "".join("$joint" + char.lower() if char.isupper() else char for char in identifier)
""",
            """\
def $name(identifier):
    result = identifier[0]
    for char in identifier[1:]:
        result += "$joint" + char if char.isupper() else char
    return result
""",
        ),
    ),
    Family(
        key="headline_case",
        topic="text",
        difficulty="medium",
        signature="title",
        names=("headline", "title_case", "capitalize_title", "format_heading"),
        statements=(
            "Write `$name(title)` that capitalizes the first letter of each word of a lower-case title, except the "
            "words '$one', '$two' and '$three', which stay lower-case unless they are the very first word. "
            "Words are separated by single spaces.",
            "Format a heading: `title` holds lower-case words with one space between them. All begin with a capital in "
            "the result of `$name(title)`, apart from '$one', '$two' and '$three', which do so only at the start. "
            "'' stays ''.",
            "`$name(title)` should upper-case the first letter of the first word, and of every other word that is not "
            "'$one', '$two' or '$three'. The input is in lower case and single-spaced; return the joined string.",
            "A library prints book titles with capitalized words, but keeps '$one', '$two' and '$three' small inside a "
            "title (not at its beginning). Given the title in small letters, words separated by one space, `$name` "
            "returns the printed form.",
            "Convert a string of lower-case words (one space between neighbours) to title case with exceptions: at any "
            "place but the first, leave '$one', '$two' and '$three' as they are. Name the function `$name`.",
        ),
        gold="""\
def $name(title):
    words = title.split(" ")
    for index, word in enumerate(words):
        if index == 0 or word not in ("$one", "$two", "$three"):
            words[index] = word.capitalize()
    return " ".join(words)
""",
        inputs=lambda random, params: (
            " ".join(
                random.choice((params["one"], params["two"], params["three"], *words(random, 4, 4, 1, 6)))
                for _ in range(random.randint(1, 6))
            ),
        ),
        edges=lambda params: (("",), (f"{params['two']} cat {params['one']} {params['three']} hat",)),
        params=lambda random: dict(zip(("one", "two", "three"), random.sample(_SMALL_WORDS, 3), strict=True)),
        wrong=(
            """\
def $name(title):
    return title.title()
""",
            """\
def $name(title):
    small = ("$one", "$two", "$three")
    return " ".join(word if word in small else word.capitalize() for word in title.split(" "))
""",
        ),
    ),
    Family(
        key="common_prefix",
        topic="strings",
        difficulty="medium",
        signature="words",
        names=("common_prefix", "shared_prefix", "longest_prefix", "same_start"),
        statements=(
            "Write `$name(words)` that returns the longest string with which every word of a list begins. "
            "It may be ''; an empty list gives '' too.",
            "Given a list of strings, how far do they agree from the start? `$name(words)` returns their longest "
            "common prefix as a string ('' if there is none or the list is empty).",
            "`$name(words)` compares the words character by character from the left and returns the part that is the "
            "same in all of them. For one word that is the whole word, for no words it is ''.",
            "All these file names start alike. Write `$name(words)` to find the longest beginning shared by all names "
            "of the list; when the list is empty, or the first characters already differ, the answer is ''.",
            "Find the longest string p such that w.startswith(p) for each w in the list `words`, and return it from "
            "`$name`. Use '' for an empty list. Words may be empty strings.",
        ),
        gold="""\
def $name(words):
    if not words:
        return ""
    prefix = words[0]
    for word in words[1:]:
        while not word.startswith(prefix):
            prefix = prefix[:-1]
    return prefix
""",
        inputs=_with_prefix,
        edges=lambda params: (([],), (["flow", "flower", "flight"],), (["abc", "xbc"],), (["test"],)),
        wrong=(
            """\
def $name(words):
    prefix = ""
    for letters in zip(*words):
        if len(set(letters)) == 1:
            prefix += letters[0]
    return prefix
""",
            """\
def $name(words):
    if len(words) < 2:
        return ""
    prefix = words[0]
    while not words[1].startswith(prefix):
        prefix = prefix[:-1]
    return prefix
""",
        ),
    ),
    Family(
        key="overlapping_count",
        topic="searching",
        difficulty="medium",
        signature="text, part",
        names=("count_overlapping", "occurrences", "count_matches", "times_found"),
        statements=(
            "Write `$name(text, part)` that counts how many times the non-empty string `part` occurs in `text`. "
            "Occurrences may overlap: 'aa' occurs twice in 'aaa'.",
            "At how many positions of `text` does `part` start? `$name(text, part)` returns that number; matches that "
            "share characters are all counted, and `part` has at least one character.",
            "Count every place where the substring `part` (never empty) can be found in the string `text`, including "
            "places that overlap one another. Return an int from `$name(text, part)`.",
            "In a strand of DNA, written as a string, a pattern may begin before its previous occurrence has ended. "
            "`$name(text, part)` returns the number of all occurrences of the non-empty pattern `part` in `text`.",
            "`$name('abababa', 'aba')` must be 3, not 2: implement a substring count in which finding one match does "
            "not use up its characters. `part` contains one character or more; `text` can be empty.",
        ),
        gold="""\
def $name(text, part):
    count = 0
    for start in range(len(text)):
        if text[start:start + len(part)] == part:
            count += 1
    return count
""",
        inputs=lambda random, params: (word(random, 4, 14, "ab"), word(random, 1, 3, "ab")),
        edges=lambda params: (("abababa", "aba"), ("aaaa", "aa"), ("", "x"), ("bab", "b")),
        wrong=(
            """\
def $name(text, part):
    return text.count(part)
""",
            """\
def $name(text, part):
    count = 0
    for start in range(len(text) - len(part)):
        if text[start:start + len(part)] == part:
            count += 1
    return count
""",
        ),
    ),
    Family(
        key="mask_digits",
        topic="text",
        difficulty="medium",
        signature="text",
        names=("mask_digits", "hide_number", "censor", "redact"),
        statements=(
            "Write `$name(text)` that replaces every digit of a string by '$mask', except for the last $keep digits. "
            "All other characters stay as they are. With $keep digits or fewer nothing changes.",
            "Hide a card number: `$name(text)` returns `text` with its digits turned into '$mask', only the final "
            "$keep digits remaining readable. Spaces, dashes and letters between digits are neither changed nor "
            "counted.",
            "`$name(text)`: all digits but the last $keep become '$mask'; whatever is not a digit is copied. The "
            "string may hold fewer than $keep digits, and then comes back unchanged.",
            "For our receipts, account numbers such as '12-345 6789' must show just their last $keep digits. Write "
            "`$name(text)` which puts '$mask' in place of each earlier digit and leaves the layout intact.",
            "Given a string, count its digits from the right; those beyond the first $keep of that count are to be "
            "shown as '$mask'. Other characters do not matter and are kept. Return the new string from `$name`.",
        ),
        gold="""\
def $name(text):
    hidden = sum(char.isdigit() for char in text) - $keep
    result = ""
    for char in text:
        if char.isdigit():
            result += "$mask" if hidden > 0 else char
            hidden -= 1
        else:
            result += char
    return result
""",
        inputs=lambda random, params: (random.choice(("-", " ", "x")).join(words(random, 1, 4, 1, 4, "0123456789")),),
        edges=lambda params: (("",), ("12-345 6789",), ("a1b2c3d4e5f6 id",)),
        params=lambda random: {"keep": random.choice((1, 2, 3, 4)), "mask": random.choice("*#X?")},
        wrong=(
            """\
def $name(text):
    return "".join("$mask" if char.isdigit() else char for char in text[:-$keep]) + text[-$keep:]
""",
            """\
def $name(text):
    return "$mask" * (len(text) - $keep) + text[-$keep:]
""",
        ),
    ),
    Family(
        key="word_game_language",
        topic="text",
        difficulty="medium",
        signature="text",
        names=("pig_latin", "secret_language", "word_game", "twist_words"),
        statements=(
            "Write `$name(text)` that translates a text of lower-case words into a secret language. A word starting "
            "with a vowel (a, e, i, o, u) gets '$suffix' appended; from any other word the first letter is moved to "
            "its end and then '$suffix' is appended. Words are separated by single spaces.",
            "Translate each word of `text`: if its first letter is a consonant, put that letter at the end; in any "
            "case add '$suffix'. Vowels are aeiou, words are in lower case with one space between them. "
            "`$name(text)` returns the translated text.",
            "`$name(text)` plays a word game. Words beginning with a, e, i, o or u become word + '$suffix', other "
            "words become word[1:] + word[0] + '$suffix'. The text is lower-case, has one space between words and at "
            "least one word.",
            "Children here speak like this: a word with a vowel (aeiou) in front just gets '$suffix' behind it; with a "
            "consonant in front, that consonant first goes behind, then '$suffix' follows. Write `$name` to convert "
            "a sentence in small letters, single-spaced.",
            "Given a sentence (lower-case words, single spaces), rewrite every word so that it ends in '$suffix': "
            "straight away for words that start with one of aeiou, after shifting the first letter to the back for "
            "the others. The function `$name(text)` returns the sentence.",
        ),
        gold="""\
def $name(text):
    result = []
    for word in text.split():
        if word[0] not in "aeiou":
            word = word[1:] + word[0]
        result.append(word + "$suffix")
    return " ".join(result)
""",
        inputs=lambda random, params: (" ".join(words(random, 1, 5, 1, 6, "aeioustrn")),),
        edges=lambda params: (("apple",), ("string of beads",), ("i",)),
        params=lambda random: {"suffix": random.choice(("ay", "way", "ino", "ez", "ubu"))},
        wrong=(
            """\
def $name(text):
    return " ".join(word[1:] + word[0] + "$suffix" for word in text.split())
""",
            """\
def $name(text):
    if text[0] not in "aeiou":
        text = text[1:] + text[0]
    return text + "$suffix"
""",
        ),
    ),
    Family(
        key="is_subsequence",
        topic="searching",
        difficulty="medium",
        signature="part, text",
        names=("is_subsequence", "letters_in_order", "hidden_in", "can_be_crossed_out"),
        statements=(
            "Write `$name(part, text)` that returns True if the characters of `part` appear in `text` in the same "
            "order, not necessarily next to each other, and False otherwise. The empty string appears in every text.",
            "Can `part` be obtained from the string `text` by deleting some (or no) characters without changing the "
            "order of the rest? `$name(part, text)` returns a bool; for an empty `part` it is True.",
            "`$name(part, text)` checks whether `part` is a subsequence of `text`: each character of `part` must be "
            "found after the one before it, and each character of `text` serves at most once. Return True or False.",
            "By crossing out letters of `text`, can I be left with exactly `part`? Write `$name(part, text)`, which "
            "answers True or False. Crossing out everything leaves ''.",
            "Implement a fuzzy matcher `$name(part, text)`: True when all typed characters `part` occur in `text` from "
            "left to right, with any gaps between them (repeated characters need repeated occurrences), else False. "
            "Nothing typed matches anything.",
        ),
        gold="""\
def $name(part, text):
    position = 0
    for char in part:
        position = text.find(char, position) + 1
        if position == 0:
            return False
    return True
""",
        inputs=_subsequence_or_nearly,
        edges=lambda params: (("", "abc"), ("ba", "ab"), ("aa", "ba"), ("ace", "abcde")),
        wrong=(
            """\
def $name(part, text):
    return part in text
""",
            """\
def $name(part, text):
    return all(char in text for char in part)
""",
            """\
def $name(part, text):
    positions = [text.find(char) for char in part]
    return -1 not in positions and positions == sorted(positions)
""",
        ),
    ),
    Family(
        key="first_repeat",
        topic="searching",
        difficulty="medium",
        signature="text",
        names=("first_repeat", "first_duplicate", "earliest_repeat", "seen_twice"),
        statements=(
            "Write `$name(text)` that reads a string from left to right and returns the first character that has "
            "already occurred before. Return '' if all characters are different.",
            "Which character is the first to be met for a second time? In 'abba' it is 'b'. `$name(text)` returns it, "
            "or '' when no character of the string is repeated.",
            "`$name(text)` should find the smallest index whose character also stands at some lower index, and return "
            "that character. If there is no such index, return the empty string.",
            "Tickets carry one-letter codes and are collected in the order of the string `text`. Return the code of "
            "the first ticket whose code was collected earlier already, or '' if that never happens. Call it `$name`.",
            "Implement `$name`: go through the characters and stop as soon as one of them has been seen before; that "
            "one is the result. Reaching the end without a repeat gives ''. Case matters.",
        ),
        gold="""\
def $name(text):
    seen = set()
    for char in text:
        if char in seen:
            return char
        seen.add(char)
    return ""
""",
        inputs=lambda random, params: (word(random, 3, 8, "abcdefgh"),),
        edges=lambda params: (("abc",), ("abba",), ("xyzy",)),
        wrong=(
            """\
def $name(text):
    for char in text:
        if text.count(char) > 1:
            return char
    return ""
""",
            """\
def $name(text):
    for char, following in zip(text, text[1:]):
        if char == following:
            return char
    return ""
""",
        ),
    ),
    Family(
        key="reverse_only_letters",
        topic="strings",
        difficulty="medium",
        signature="text",
        names=("reverse_letters", "reverse_only_letters", "flip_letters", "mirror_letters"),
        statements=(
            "Write `$name(text)` that reverses the order of the letters of a string while every character that is not "
            "a letter stays at its position: 'ab-cd!' becomes 'dc-ba!'.",
            "Reverse only the letters. Digits, spaces and punctuation keep their places, and the letters fill the "
            "remaining places in reverse order (with their case unchanged). `$name(text)` returns the new string.",
            "`$name(text)`: the first letter changes places with the last letter, the second with the second last, and "
            "so on. Non-letters do not move. Return the resulting string; '' gives ''.",
            "Write the letters of `text` backwards into the slots where letters stood, and leave all other characters "
            "alone. For example 'a1bc' turns into 'c1ba'. The function is `$name`.",
            "I have strings like 'x-yz 7' and want the letters mirrored but the layout (anything which is not a "
            "letter) kept exactly where it is. Each letter keeps its own case. Implement `$name(text)` returning the "
            "string.",
        ),
        gold="""\
def $name(text):
    letters = [char for char in text if char.isalpha()]
    result = ""
    for char in text:
        result += letters.pop() if char.isalpha() else char
    return result
""",
        inputs=lambda random, params: (
            random.choice(("-", " ", "4", ", ")).join(_swap_case(random, part) for part in words(random, 1, 4, 0, 4)),
        ),
        edges=lambda params: (("",), ("ab-cde!",), ("a1bC",)),
        wrong=(
            """\
def $name(text):
    return text[::-1]
""",
            """\
def $name(text):
    return " ".join(part[::-1] for part in text.split(" "))
""",
        ),
    ),
    Family(
        key="expand_ranges",
        topic="text",
        difficulty="medium",
        signature="text",
        names=("expand_ranges", "parse_pages", "list_pages", "read_ranges"),
        statements=(
            "Write `$name(text)` that turns a page list such as '1-3,7' into a list of integers, here [1, 2, 3, 7]. "
            "The parts are separated by commas, each a number or 'first-last' with both ends included. Keep the order "
            "and any duplicates; '' gives [].",
            "Parse a string of comma-separated numbers and ranges. A range 'a-b' (a <= b) stands for all integers from "
            "a to b, both included. `$name(text)` returns all numbers in the order written, repeats too; an empty "
            "string means no numbers.",
            "`$name(text)` expands ranges: '4,8-10' gives [4, 8, 9, 10]. Do not sort or deduplicate. There are no "
            "spaces and no negative numbers; for '' return an empty list.",
            "The print dialog takes input like '2-5,9'. Implement `$name(text)`: which pages are printed, in which "
            "order, as a list of ints? Both ends of a range are printed, a page named twice is printed twice, and "
            "an empty input prints nothing.",
            "Given positive integers and inclusive intervals low-high joined by ',' in one string, `$name` lists every "
            "integer they denote, from left to right, without removing duplicates. '' denotes nothing.",
        ),
        gold="""\
def $name(text):
    numbers = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers
""",
        inputs=_page_ranges,
        edges=lambda params: (("",), ("1-3,7",), ("8-10,2,9",)),
        wrong=(
            """\
def $name(text):
    numbers = []
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or int(first) + 1)))
    return numbers
""",
            """\
def $name(text):
    numbers = set()
    for part in text.split(",") if text else []:
        first, _, last = part.partition("-")
        numbers.update(range(int(first), int(last or first) + 1))
    return sorted(numbers)
""",
        ),
    ),
    Family(
        key="parse_settings",
        topic="dicts",
        difficulty="medium",
        signature="text",
        names=("parse_settings", "read_options", "to_mapping", "load_pairs"),
        statements=(
            "Write `$name(text)` that parses settings like 'width${equals}4${separator} height${equals}7' into a dict "
            "from names (strings) to integers. Entries are separated by '$separator', name and number by '$equals'; "
            "spaces around either are ignored. A later entry replaces an earlier one of the same name; '' gives {}.",
            "Convert a string of entries name${equals}number, separated by '$separator', to a dictionary with the "
            "numbers as ints. Remove spaces around names and numbers. If a name occurs twice, its last number counts. "
            "An empty string becomes an empty dictionary. Name: `$name`.",
            "`$name(text)` reads options. Split at '$separator', split each part at '$equals', strip spaces from both "
            "halves, and return a dict of name -> int(number). Repeated names: the last one wins. '' means no options.",
            "Scores arrive as one line of text, for instance 'ann${equals}3${separator}bob${equals}5', possibly with "
            "spaces around the names and numbers. `$name(text)` returns a dict of each name's score as an int (the "
            "last one given, if there are several), and {} for an empty line.",
            "Implement `$name`, a reader for lines of key-value pairs. '$separator' stands between pairs and '$equals' "
            "between a key and its whole-number value, with optional spaces. The result maps stripped keys to ints, "
            "later pairs overriding earlier ones; an empty line has no pairs.",
        ),
        gold="""\
def $name(text):
    settings = {}
    for entry in text.split("$separator") if text else []:
        key, value = entry.split("$equals")
        settings[key.strip()] = int(value)
    return settings
""",
        inputs=_settings,
        edges=lambda params: (
            ("",),
            ("{0}{1}3{2} {0} {1} 5".format("a", params["equals"], params["separator"]),),
        ),
        params=lambda random: {"separator": random.choice(";,|&"), "equals": random.choice("=:~")},
        wrong=(
            """\
def $name(text):
    settings = {}
    for entry in text.split("$separator") if text else []:
        key, value = entry.split("$equals")
        settings[key.strip()] = value.strip()
    return settings
""",
            """\
def $name(text):
    settings = {}
    for entry in text.split("$separator") if text else []:
        key, value = entry.split("$equals")
        settings.setdefault(key.strip(), int(value))
    return settings
""",
            """\
def $name(text):
    settings = {}
    for entry in text.split("$separator") if text else []:
        key, value = entry.split("$equals")
        settings[key] = int(value)
    return settings
""",
        ),
    ),
    Family(
        key="phrase_anagrams",
        topic="strings",
        difficulty="medium",
        signature="first, second",
        names=("are_anagrams", "same_letters", "phrase_anagrams", "rearrangeable"),
        statements=(
            "Write `$name(first, second)` that returns True if the two strings are anagrams of each other: they use "
            "the same characters equally often, ignoring spaces and upper or lower case. Otherwise return False.",
            "Can the letters of `first` be rearranged to give `second`? Each letter must be used exactly once, spaces "
            "do not count and 'A' is the same as 'a'. `$name(first, second)` returns a bool (True for two empty "
            "texts).",
            "Implement `$name(first, second)` to test for anagrams. Before comparing, drop all spaces and convert to "
            "lower case; every character must then occur the same number of times in both. Return True or False.",
            "I cut `first` into single characters and throw the spaces away. Can I lay `second` with all the pieces, "
            "none left over, if its spaces come free and case is of no importance? `$name` says True or False.",
            "Decide whether two phrases consist of the same multiset of characters, where blanks are skipped and "
            "capital and small letters are equal. The function `$name(first, second)` returns a boolean.",
        ),
        gold="""\
def $name(first, second):
    left = sorted(first.replace(" ", "").lower())
    right = sorted(second.replace(" ", "").lower())
    return left == right
""",
        inputs=_anagram_or_nearly,
        edges=lambda params: (("aab", "abb"), ("Dormitory", "dirty room"), ("", " "), ("abc", "abcd")),
        wrong=(
            """\
def $name(first, second):
    left = set(first.replace(" ", "").lower())
    return left == set(second.replace(" ", "").lower())
""",
            """\
def $name(first, second):
    return sorted(first.lower()) == sorted(second.lower())
""",
        ),
    ),
    Family(
        key="balanced_brackets",
        topic="logic",
        difficulty="medium",
        signature="text",
        names=("is_balanced", "brackets_match", "well_nested", "check_brackets"),
        statements=(
            "Write `$name(text)` that returns True if the brackets $first and $second in a string are balanced: every "
            "closing bracket closes the most recent one still open, which must be of the same kind, and none is left "
            "open. Other characters are ignored. Return False otherwise.",
            "Check the nesting of two kinds of brackets, $first and $second, in `text`. `$name(text)` is True when "
            "each opening bracket is closed by its partner in the right order, and False when not. Skip all other "
            "characters; a text without brackets is True.",
            "Are the brackets of a formula correct? In `text` there are $first and $second besides other characters. "
            "Pairs may follow or contain each other but not cross, and every bracket needs a partner. `$name(text)` "
            "returns a bool.",
            "`$name(text)` is to be True exactly if repeatedly deleting adjacent pairs $first or $second from the "
            "brackets of `text` (everything that is not one of these four characters is deleted beforehand) "
            "leaves nothing; otherwise False.",
            "Use a stack: push opening brackets, and on a closing one pop its counterpart. For strings with the "
            "bracket kinds $first and $second (and other text to overlook), `$name(text)` tells by True or False "
            "whether all brackets pair up properly, with none missing or left over.",
        ),
        gold="""\
def $name(text):
    stack = []
    for char in text:
        if char in "$openings":
            stack.append(char)
        elif char in "$closings":
            if not stack or stack.pop() + char not in ("$first", "$second"):
                return False
    return not stack
""",
        inputs=_bracketed,
        edges=lambda params: (
            ("",),
            (params["openings"] + params["closings"],),
            (params["first"][::-1],),
            (f"{params['first'][0]}a{params['second']}{params['first'][1]}",),
        ),
        params=lambda random: (
            lambda kinds: {
                "first": kinds[0],
                "second": kinds[1],
                "openings": kinds[0][0] + kinds[1][0],
                "closings": kinds[0][1] + kinds[1][1],
            }
        )(random.sample(("()", "[]", "{}", "<>"), 2)),
        wrong=(
            """\
def $name(text):
    return all(text.count(pair[0]) == text.count(pair[1]) for pair in ("$first", "$second"))
""",
            """\
def $name(text):
    depth = 0
    for char in text:
        depth += (char in "$openings") - (char in "$closings")
        if depth < 0:
            return False
    return depth == 0
""",
        ),
    ),
)
