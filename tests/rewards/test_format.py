"""Finding programs in what small models really write."""

import textwrap

import pytest

from verigrad.rewards.format import extract_program
from verigrad.types import Task

TASK = Task(id="t", prompt="", entry_point="add")
BODY = "def add(a, b):\n    return a + b"
LONG = "def add(\n    a,\n    b,\n):\n    return sum([\n        a,\n        b,\n])\n"
HELPER = "# What helps\ndef more():\n    pass\n"
STUB = 'from typing import List\n\ndef helper(x):\n    return x\n\ndef add(a: int, b: int) -> int:\n    """Add."""\n'


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (f"```python\n{BODY}\n```", BODY),
        (f"Sure!\n\n```py\n{BODY}\n```\nThis adds.", BODY),
        (f"```\n{BODY}\n```", BODY),
        (f"```python\n{BODY}", BODY),  # cut off by the token limit
        (f"Here it is:\n{BODY}", BODY),
        (f"```bash\npip install x\n```\nthen\n```python\n{BODY}\n```", BODY),  # the block that defines it
        (f"```python\n{BODY}\n```\n```python\nassert add(1, 2) == 3\n```", BODY),
        (f"{BODY}\n\nThis function adds.\nIt is (not", BODY + "\n\n"),  # prose behind it
        (f"```python\n{BODY}\n\n# Example\nassert add(1,", BODY + "\n\n"),  # cut off in its own examples
        (
            f"import math\n\n{BODY}\n\ndef other():\n    pass\nprint(",
            f"import math\n\n{BODY}\n\ndef other():\n    pass\n",
        ),
        (f"```python title=add.py\n{BODY}\n```\nIt adds.", BODY),
        (f"```python:add.py\n{BODY}\n```\n```\nadd(1, 2)\n```", BODY),
        (f"Call ```add(1, 2)``` like this:\n{BODY}", BODY),
        (f"{LONG}It adds.", LONG),
        (f"{BODY}\n{HELPER}# So:\nDone", f"{BODY}\n{HELPER}"),
        (f"Usage:\n```python\nprint(add(1, 2))\n```\nSolution:\n```python\n{BODY}\n```", BODY),
        (f"```\n>>> add(1, 2)\n3\n```\n```python\n{BODY}\n```", BODY),
        ("```\nadd(1, 2) == 3\n```\n```\nadd = lambda a, b: a + b\n```", "add = lambda a, b: a + b"),
        ("```\nadd: f\n```\n```\nadd: type = lambda a, b: a + b\n```", "add: type = lambda a, b: a + b"),
        ("```\nadd(1, 2)\n```\n```\nclass add:\n    pass\n```", "class add:\n    pass"),
        ("```\npip install x\n```\n```\nadd(1, 2)\n```", "add(1, 2)"),
        ("I cannot do that.", None),
        ("", None),
        ("```python\n\n```", None),
    ],
)
def test_the_block_that_counts(text, program):
    found = extract_program(text, TASK)
    assert (found and found.program) == program


def test_the_span_is_where_the_source_stands():
    text = f"Sure!\n```python\n{BODY}\n```"
    found = extract_program(text, TASK)
    assert text[slice(*found.span)] == found.program


def test_a_whole_program_gets_the_stubs_imports_and_helpers():
    found = extract_program(f"```python\n{BODY}\n```", Task(id="t", prompt="", entry_point="add", stub=STUB))
    space = {}
    exec(found.program, space)
    assert space["add"](1, 2) == 3
    assert "List" in space and "helper" in space


def test_an_import_that_begins_like_the_stubs_is_another():
    task = Task(id="t", prompt="", entry_point="add", stub="import re\n\ndef add(a, b):\n    ...\n")
    program = "import reprlib\n\ndef add(a, b):\n    return re.escape(a) + b"
    assert extract_program(f"```python\n{program}\n```", task).program == "import re\n" + program
    assert extract_program(f"```python\nimport re\n{program}\n```", task).program == "import re\n" + program


@pytest.mark.parametrize("stub", ["", STUB])
def test_a_program_loses_the_margin_of_its_block(stub):
    """But for its span, which is where it stands."""
    program = 'def add(a, b):\n    """\n    \n    """\n\n    return a + b'
    block = textwrap.indent(f"```python\n{program}\n```\n", "   ")
    text = f"1. We add:\n\n{block}\n2. It adds."
    found = extract_program(text, Task(id="t", prompt="", entry_point="add", stub=stub))
    exec(found.program, space := {})
    assert space["add"](1, 2) == 3
    lines = found.program.split("\n")[-6:]
    assert [line.strip() for line in text[slice(*found.span)].split("\n")] == [line.strip() for line in lines]
    flush = extract_program(f"```python\n{program}\n```", Task(id="t", prompt="", entry_point="add", stub=stub))
    assert flush.program.endswith(program)  # to the letter, with the white space in its text


def test_helpers_of_the_stub_keep_their_decorators():
    pair = "@dataclass(\n    frozen=True,\n)\nclass Pair:\n    a: int\n    b: int\n\n"
    stub = f'from dataclasses import dataclass\n\n{pair}def add(pair: Pair) -> int:\n    """Add."""\n'
    task = Task(id="t", prompt="", entry_point="add", stub=stub)
    program = "@dataclass\nclass Own:\n    c: int\n\ndef add(pair):\n    return pair.a + pair.b\n"
    exec(extract_program(f"```python\n{program}```", task).program, space := {})
    assert space["add"](space["Pair"](1, 2)) == 3
    own = "class Pair:\n    def __init__(self, a, b):\n        self.a, self.b = a, b\n\n" + program
    assert "frozen" not in extract_program(f"```python\n{own}```", task).program


def test_a_bare_body_continues_the_stub():
    found = extract_program("    return a + b\n", Task(id="t", prompt="", entry_point="add", stub=STUB))
    space = {}
    exec(found.program, space)
    assert space["add"](1, 2) == 3


@pytest.mark.parametrize(
    ("body", "behind"),
    [
        ("    return a + b\n\n\ndef other():\n    return add(1, 2)\n", ""),  # what base models go on to write
        ("    total = a\n    import math\n    return total + b\n", ""),
        ("\n    def inner(x):\n        return x + b\n    return inner(a)\n", ""),
        ("    return a + b\n", "\n\n# Test\nassert add(1, 2) == 4\n"),
        ("    return a + b\n", "if __name__ == '__main__':\n    print(add(1,"),
        ("    return a + b\n", "```\nThis adds a and b."),
        ("    return a + b\n", "\ndef add(a, b):\n    return"),
    ],
)
def test_a_bare_body_is_found_whole_and_ends_where_it_ends(body, behind):
    task = Task(id="t", prompt="", entry_point="add", stub=STUB)
    found = extract_program(body + behind, task)
    assert (body + behind)[slice(*found.span)].rstrip() == body.rstrip()
    exec(found.program, space := {})
    assert space["add"](1, 2) == 3


def test_white_space_is_no_body():
    task = Task(id="t", prompt="", entry_point="add", stub=STUB)
    assert extract_program("  \n\nI cannot do that.", task) is None


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (f"    I would write:\n```python\n{BODY}\n```", BODY),
        (" Here is the rest:\n```python\n    return a + b\n```", "    return a + b"),
        ("\n  ```python\n    return a + b\n```", "    return a + b"),
    ],
)
def test_a_fenced_program_goes_before_a_bare_body(text, body):
    assert extract_program(text, Task(id="t", prompt="", entry_point="add", stub=STUB)).program.endswith("\n" + body)


def test_an_answer_is_the_text():
    assert extract_program(" [1, 2] \n", Task(id="t", prompt="", language="text")).program == "[1, 2]"


C_BODY = "int add(int a, int b) {\n    return a + b;\n}"
JS_BODY = "const add = (a, b) => a + b;"


@pytest.mark.parametrize(
    ("language", "text", "program"),
    [
        ("c", f"Sure.\n```c\n{C_BODY}\n```\nIt adds.", C_BODY),
        ("c", f"```bash\ngcc add.c\n```\n```c\n{C_BODY}\n```", C_BODY),
        ("cpp", f"```c++\n{C_BODY}", C_BODY),  # cut off by the token limit
        ("cpp", f"#include <vector>\n{C_BODY}", f"#include <vector>\n{C_BODY}"),
        ("c", f"Here it is:\n{C_BODY}", C_BODY),
        ("c", "I would add (the numbers) myself.", None),
        ("javascript", f"```js\n{JS_BODY}\n```\n```js\nconsole.log(add(1, 2));\n```", JS_BODY),
        ("javascript", f"Here:\n{JS_BODY}", JS_BODY),
        ("javascript", "Let me think about it.", None),
    ],
)
def test_programs_in_other_languages(language, text, program):
    found = extract_program(text, Task(id="t", prompt="", language=language, entry_point="add"))
    assert (found and found.program) == program


@pytest.mark.parametrize(
    ("language", "stub", "text", "program"),
    [
        ("c", "int add(int a, int b);", C_BODY, C_BODY),
        (
            "c",
            "int add(int a, int b) {",
            "```c\n    return add(b, a);\n}\n```",
            "int add(int a, int b) {\n    return add(b, a);\n}",
        ),
        (
            "javascript",
            "function add(a, b) {",
            "```js\n  return a + b;\n}\n```",
            "function add(a, b) {\n  return a + b;\n}",
        ),
        (
            "javascript",
            "function add(a, b) {",
            "  a += 1;\n  const c = a;\n  return b + c - 1;\n}\n```\nDone",
            "function add(a, b) {\n  a += 1;\n  const c = a;\n  return b + c - 1;\n}",
        ),
        ("javascript", "function add(a, b) {", f"```js\n{JS_BODY}\n```", JS_BODY),
    ],
)
def test_stubs_in_other_languages(language, stub, text, program):
    found = extract_program(text, Task(id="t", prompt="", language=language, entry_point="add", stub=stub))
    assert found.program == program


def test_without_an_entry_point_the_fence_of_the_language_counts():
    task = Task(id="t", prompt="", language="cpp")
    assert extract_program("```sh\ng++ a.cpp\n```\n```cpp\nint main() {}\n```", task).program == "int main() {}"
    assert extract_program("```\nint main() {}\n```", task).program == "int main() {}"


def test_text_made_to_be_slow_is_read_in_time():
    for text in (
        "a<" * 20_000,
        "unsigned " * 10_000,
        "int f(" * 20_000,
        "template <" * 10_000,
        ("x" * 150 + "\n") * 600,
    ):
        for language in ("c", "javascript"):
            extract_program(text, Task(id="t", prompt="", language=language, entry_point="add"))
