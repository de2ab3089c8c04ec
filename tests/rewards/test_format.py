"""Finding programs in what small models really write."""

import pytest

from verigrad.rewards.format import extract_program
from verigrad.types import Task

TASK = Task(id="t", prompt="", entry_point="add")
BODY = "def add(a, b):\n    return a + b"
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


def test_a_bare_body_continues_the_stub():
    found = extract_program("    return a + b\n", Task(id="t", prompt="", entry_point="add", stub=STUB))
    space = {}
    exec(found.program, space)
    assert space["add"](1, 2) == 3


def test_an_answer_is_the_text():
    assert extract_program(" [1, 2] \n", Task(id="t", prompt="", language="text")).program == "[1, 2]"
