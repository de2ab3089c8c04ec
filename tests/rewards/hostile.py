"""Programs that are hard to read: every reward must give each of them a number or nothing, and soon."""

__all__ = ["HOSTILE"]

NAMES = ",".join(f"a{n}" for n in range(1200))

HOSTILE = {
    "empty": "",
    "blank": " \n\t\n",
    "broken": "def double(n:\n    return",
    "tabs and spaces": "def double(n):\n\tif n:\n        return n\n",
    "null byte": "def double(n):\n    return n\0\n",
    "surrogate": "def double(n):\n    return '\ud800'\n",
    "surrogate in a comment": "def double(n):\n    return n  # \udfff\n",
    "byte order mark": "\ufeffdef double(n):\n    return n\n",
    "coding": "# coding: rot13\ndef double(n):\n    return n\n",
    "form feeds": "\f\fdef double(n):\n\f    return n\f\n",
    "carriage returns": "def double(n):\r    return n\r",
    "line separators": "def double(n):\n    return '\u2028\x85\x1c'\n",
    "100 kB of comment": "def double(n):\n    return n\n# " + "x" * 100_000,
    "100 kB of statements": "def double(n):\n" + "    n = n + 1\n" * 7_600,
    "100 kB of one line": "def double(n): return [" + "n," * 49_900 + "]",
    "100 kB of text": "def double(n):\n    return '" + "x" * 99_900 + "'\n",
    "1 MB": "def double(n):\n    return n\n" + "x = 1\n" * 170_000,
    "nested brackets": "def double(n):\n    return " + "(" * 190 + "n" + ")" * 190,
    "too many brackets": "(" * 50_000 + ")" * 50_000,
    "nested signs": "def double(n):\n    return " + "-" * 900 + "n\n",
    "too many signs": "def double(n):\n    return " + "-" * 90_000 + "n\n",
    "nested sums": "def double(n):\n    return " + "n + " * 900 + "n\n",
    "nested attributes": "def double(n):\n    return n" + ".a" * 800 + "\n",
    "nested else": "def double(n):\n    if n:\n        pass\n" + "    elif n:\n        pass\n" * 400,
    "nested blocks": "def double(n):\n" + "".join(" " * i + "if n:\n" for i in range(1, 95)) + " " * 95 + "pass\n",
    "nested strings": "def double(n):\n    return f\"{f'{n}'}\"\n",
    "invalid escape": "def double(n):\n    return '\\d' + b'\\q'.decode()\n",
    "huge number": "def double(n):\n    return " + "9" * 5_000 + "\n",
    "int plus complex": "x = 1" + "0" * 400 + " + 1j\ndef double(n):\n    return n\n",
    "finally in finally": "def double(n):\n"
    + "".join("    " * d + "try:\n" + "    " * d + "    n\n" + "    " * d + "finally:\n" for d in range(1, 21))
    + "    " * 21
    + "n\n",
    "many names at a time": f"def double(n):\n    {NAMES} = {NAMES}\n    return n\n",
    "deep and wide": "def double(n):\n    return " + "-" * 180 + "[" + "n," * 22_000 + "]\n",
    "deep f-strings": "def double(n):\n    return " + "(f'{" * 60 + "n" + "}')" * 60,
    "no entry point": "import os\nprint(os.sep)\n",
    "unfinished string": "def double(n):\n    return '''" + "x" * 1000,
}
