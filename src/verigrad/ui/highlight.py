"""Programs as HTML: Python in colours, lines numbered by the style sheet, and nothing of the text taken as markup."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from html import escape

from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, Operator, String

__all__ = ["code_block", "differing_lines", "plain"]

_CLASSES = (
    (Comment, "cm"),
    (String, "st"),
    (Number, "nu"),
    (Keyword, "kw"),
    (Operator.Word, "kw"),
    (Name.Function, "fn"),
    (Name.Class, "fn"),
    (Name.Decorator, "fn"),
    (Name.Builtin, "bi"),
    (Name.Exception, "bi"),
)
# Characters that change how text around them reads, or that cannot be seen: a person must see them to judge.
# Controls, what Unicode lets a font draw as nothing (but \ufe0e and \ufe0f, which say how an emoji looks), line
# separators that end no line here, and halves of surrogate pairs.
_UNSEEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff]"
)
_ALIKE = 0.35  # below this share of equal lines, marking what differs would mark nearly everything


def plain(text: str) -> str:
    """Text as HTML; unseen characters are shown by their numbers.

    >>> plain('<b> \\u202e')
    '&lt;b&gt; <i class="odd">U+202E</i>'
    """
    return _UNSEEN.sub(lambda found: f'<i class="odd">U+{ord(found[0]):04X}</i>', escape(text.replace("\r\n", "\n")))


def code_block(text: str, *, python: bool = True, differing: frozenset[int] = frozenset()) -> str:
    """A program as a `<pre>` with one `<span class="ln">` a line; `differing` lines (from 0) are marked."""
    text = text.rstrip("\n")
    lines = _coloured(text) if python else [plain(line) for line in text.split("\n")]
    spans = "".join(
        f'<span class="ln{" differs" if number in differing else ""}">{line or " "}</span>'
        for number, line in enumerate(lines)
    )
    return f'<pre class="code{"" if python else " prose"}"><code>{spans}</code></pre>'


def _coloured(text: str) -> list[str]:
    lines = [""]
    for kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens(text):
        css = next((css for parent, css in _CLASSES if kind in parent), "")
        for number, part in enumerate(value.split("\n")):
            if number:
                lines.append("")
            if part:
                lines[-1] += f'<span class="{css}">{plain(part)}</span>' if css else plain(part)
    return lines


def differing_lines(first: str, second: str) -> tuple[frozenset[int], frozenset[int]]:
    """Numbers of the lines of each text that the other has not, spaces apart; none where hardly any line is shared.

    >>> differing_lines("a\\nb\\nc", "a\\nx\\nc")
    (frozenset({1}), frozenset({1}))
    """
    one, other = _lines(first), _lines(second)
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    if matcher.ratio() < _ALIKE:
        return frozenset(), frozenset()
    changes = [code for code in matcher.get_opcodes() if code[0] != "equal"]
    left = frozenset(line for _, start, end, _, _ in changes for line in range(start, end))
    right = frozenset(line for _, _, _, start, end in changes for line in range(start, end))
    return left, right


def _lines(text: str) -> Sequence[str]:
    return [line.strip() for line in text.replace("\r\n", "\n").split("\n")]
