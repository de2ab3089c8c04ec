"""From the lines a judge reports to tokens, on programs whose tokens are their bytes."""

import pytest
import torch
from tiny import END, tiny_tokenizer

from verigrad.rewards.format import extract_program
from verigrad.rollout import Group
from verigrad.training.batching import make_batch
from verigrad.training.credit import blame, credit_tensors, program_lines
from verigrad.types import Rollout, Score, Task, Turn, Verdict

TASK = Task(id="t", prompt="p", entry_point="f")
PROGRAM = "def f(x):\n    if x:\n        return 1\n    y = (2 +\n        x)\n    return y"
TEXT = f"Sure é!\n```python\n{PROGRAM}\n```"
PROMPT = (1, 2, 3)


def rollout(text=TEXT, **verdict):
    ids = (*text.encode(), END)
    turn = Turn(prompt_ids=PROMPT, completion_ids=ids, sampler_logprobs=(-1.0,) * len(ids), text=text)
    evidence = Verdict(**{"status": "failed", "results": (), **verdict}) if verdict else None
    score = Score(0.0, evidence=evidence)
    return Rollout(task_id="t", episode_id="e", group_id="t", turns=(turn,), status="finished", score=score)


def tokens_of_line(number, text=TEXT):
    """Positions (bytes) of a line of the program, its line break included, found by searching the text."""
    line = PROGRAM.split("\n")[number - 1]
    assert text.count(line) == 1
    start = len(text[: text.index(line)].encode())
    length = len(line.encode()) + (number < PROGRAM.count("\n") + 1)
    return set(range(start, start + length))


def tensors(*rollouts, **settings):
    groups = [Group(TASK, tuple(rollouts))]
    batch = make_batch(group.rollouts for group in groups)
    asked = {"error_penalty": 0.0, "executed_only": False, **settings}
    return credit_tensors(groups, batch, tiny_tokenizer(), **asked), batch


def positions(row):
    return {int(place) - len(PROMPT) for place in row.nonzero()[:, 0]}


def test_lines_of_tokens():
    lines = program_lines(rollout(), TASK, tiny_tokenizer())
    assert len(lines) == len(TEXT.encode()) + 1
    for number in range(1, 7):
        touching = {n for n, (first, last) in enumerate(lines.tolist()) if first <= number <= last and first}
        assert touching == tokens_of_line(number)


def test_text_without_a_program():
    assert program_lines(rollout("I cannot."), TASK, tiny_tokenizer()) is None


def test_the_line_that_failed_is_blamed():
    found, batch = tensors(rollout(status="exception", error="ZeroDivisionError", error_line=3), error_penalty=-0.3)
    bonus = found["token_bonus"][0]
    assert positions(bonus != 0) == tokens_of_line(3)
    # However short the line, its tokens have -0.3 times the row's length in all.
    assert bonus.sum() == pytest.approx(-0.3 * int(batch.mask.sum()))


@pytest.mark.parametrize(
    "verdict",
    [{"status": "timeout"}, {"status": "exception", "error": "RecursionError: too deep", "error_line": 2}],
)
def test_endless_programs_are_blamed_whole(verdict):
    found, _ = tensors(rollout(**verdict), error_penalty=-0.3)
    everything = set().union(*(tokens_of_line(number) for number in range(1, 7)))
    assert positions(found["token_bonus"][0] != 0) == everything


def test_wrong_answers_blame_nothing():
    found, _ = tensors(rollout(status="failed"), rollout("no code here"), error_penalty=-0.3)
    assert not found["token_bonus"].any()


def test_code_that_never_ran_has_no_weight():
    """The return in the branch did not run; the second line of a statement holds nothing the tracer reports."""
    found, batch = tensors(rollout(executed_lines=frozenset({1, 2, 4, 5, 6})), executed_only=True)
    left_out = positions(batch.mask[0] & (found["token_weights"][0] == 0))
    assert left_out == tokens_of_line(3)


def test_nothing_traced_leaves_all_weights():
    found, batch = tensors(rollout(status="syntax_error"), rollout(), executed_only=True)
    assert torch.equal(found["token_weights"] > 0, batch.mask)


def test_outcomes():
    found, _ = tensors(rollout(status="passed"), rollout("no"), rollout(status="timeout"), rollout(status="failed"))
    assert found["outcomes"].tolist() == [3, 0, 1, 2]


def test_lines_that_the_task_put_before():
    """A stub's imports and helpers stand before the program that is judged, not in the text."""
    stub = 'import math\n\n\ndef helper(x):\n    return x\n\n\ndef f(x):\n    """Doc."""\n'
    task = Task(id="t", prompt="p", entry_point="f", stub=stub)
    before = 3  # the import, and two lines of the helper
    program = extract_program(TEXT, task).program
    assert program.split("\n")[before] == "def f(x):"
    ran = frozenset({1, before + 2})
    found = blame(rollout(status="exception", error="E", error_line=before + 3, executed_lines=ran), task)
    assert found.error_line == 3
    assert 2 in found.executed


def test_a_beginning_that_was_given():
    """The first two lines are of the prompt: the policy's own tokens begin with line 3."""
    prefill = "```python\n" + "\n".join(PROGRAM.split("\n")[:2]) + "\n"
    rest = "\n".join(PROGRAM.split("\n")[2:]) + "\n```"
    own = rollout(rest, status="exception", error="E", error_line=4)
    lines = program_lines(own, TASK, tiny_tokenizer(), prefill)
    assert lines[0].tolist() == [3, 3]
    found, _ = tensors(own, error_penalty=-0.3, prefills={"t": prefill})
    start = rest.index("    y = (2 +")
    assert positions(found["token_bonus"][0] != 0) == set(range(start, start + len("    y = (2 +\n")))
