"""From the lines a judge reports to tokens, on programs whose tokens are their bytes."""

import time
from dataclasses import replace

import pytest
import torch
from tiny import END, tiny_tokenizer

from verigrad.algorithms.combined import turn_returns
from verigrad.errors import ConfigError
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
    """The return in the branch did not run; of the statement of two lines the tracer reports the first alone."""
    found, batch = tensors(rollout(executed_lines=frozenset({1, 2, 4, 6})), executed_only=True)
    left_out = positions(batch.mask[0] & (found["token_weights"][0] == 0))
    assert left_out == tokens_of_line(3)


STATEMENTS = """\
import functools
@functools.cache
def f(x):
    '''Says
    something.'''
    global y
    match x:
        case [
            1,
        ]:
            return g(
                # why
                x,
            )
        case _:
            try:
                y = 1

            finally:
                y = 2
    def unused(
        a=1,
    ):
        # never
        return a
    return x"""


def test_a_statement_ran_where_one_of_its_lines_did():
    """As traced for f(3): the case of two lines and all below it did not run, nor did the body of `unused`."""
    traced = frozenset({1, 2, 3, 7, 8, 15, 16, 17, 20, 21, 22, 26})
    found = blame(rollout(f"```python\n{STATEMENTS}\n```", executed_lines=traced), TASK)
    assert found.executable - found.executed == {11, 12, 13, 14, 25}
    assert found.executable == set(range(1, 27))


def test_a_program_whose_code_is_exponentially_long_is_read_in_time():
    nested, indent = "def f(x):\n", "    "
    for _ in range(20):  # a compiler writes the innermost line 2 ** 20 times
        nested, indent = f"{nested}{indent}try:\n{indent}    x = 1\n{indent}finally:\n", indent + "    "
    text = f"```python\n{nested}{indent}x = 2\n```"
    started = time.process_time()
    found = blame(rollout(text, executed_lines=frozenset({1, 2, 3})), TASK)
    assert time.process_time() - started < 1
    # `try:` and what it tries ran, and `finally:` is a line of the same statement.
    assert found.executable - found.executed == set(range(5, 63))


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


def test_spans_of_a_score_reach_the_tokens_that_touch_them():
    """Of "Sure é!" the character é is two bytes, so two tokens; where spans overlap, rewards add up."""
    marked = replace(rollout(), score=Score(0.0, spans=((5, 6, 0.5), (0, 6, -0.25))))
    found, batch = tensors(rollout(), marked)
    bonus = found["token_bonus"][1][batch.mask[1]]
    assert bonus[:8].tolist() == [-0.25] * 5 + [0.25] * 2 + [0.0]
    assert not bonus[8:].any() and not found["token_bonus"][0].any()
    assert "token_bonus" not in tensors(rollout())[0]


def test_spans_count_from_the_beginning_that_was_given():
    """The reward saw the whole answer; "b" of "ab cd" is its second character, and "a" was not sampled."""
    marked = replace(rollout("b cd"), score=Score(0.0, spans=((1, 4, 0.5), (0, 1, 9.0))))
    found, batch = tensors(marked, prefills={"t": "a"})
    assert found["token_bonus"][0][batch.mask[0]].tolist() == [0.5, 0.5, 0.5, 0.0, 0.0]


def test_spans_where_the_last_turn_has_no_token_of_the_policys():
    """One that a scaffold made up, and one in which the engine wrote nothing: what came before has no part in them."""
    made_up, silent = turned((2, None), 3, outcome=0.0), turned((2, None), (0, None), outcome=0.0)
    found, batch = tensors(*(replace(own, score=Score(0.0, spans=((0, 9, 0.5),))) for own in (made_up, silent)))
    assert not found["token_bonus"].any() and int(batch.mask.sum()) == 4


def test_spans_are_refused_where_rows_are_not_causal():
    marked = replace(rollout(), score=Score(0.0, spans=((0, 1, 1.0),)))
    groups = [Group(TASK, (marked,))]
    batch = make_batch(group.rollouts for group in groups)
    masked = replace(batch, views=tuple(replace(view, clean_ids=view.input_ids) for view in batch.views))
    with pytest.raises(ConfigError, match="works on causal rows"):
        credit_tensors(groups, masked, tiny_tokenizer(), error_penalty=0.0, executed_only=False)


def turned(*turns, outcome):
    """A rollout of turns (tokens, reward); a number alone is text that a scaffold made up."""
    made, history = [], (1, 2)
    for number, turn in enumerate(turns):
        tokens, reward = turn if isinstance(turn, tuple) else (turn, None)
        ids = tuple(10 + number for _ in range(tokens))
        made.append(
            Turn(prompt_ids=history, completion_ids=ids, sampler_logprobs=(-1.0,) * tokens, reward=reward,
                 sampled=isinstance(turn, tuple), text="x")
        )  # fmt: skip
        # The second prompt goes on from the first exactly; a third is written anew, so that a new row begins.
        history = (*history, *ids, 3) if number == 0 else (7, 7, 7)
    return Rollout(
        task_id="t", episode_id="e", group_id="t", turns=tuple(made), status="finished", score=Score(outcome)
    )


def test_rewards_of_turns_and_whose_turn_a_token_is_of():
    """Three turns of 2, 1 and 2 tokens in two rows, a made-up turn between them, and a rollout that ends after one."""
    long = turned((2, -0.2), (1, None), 3, (2, 0.1), outcome=1.0)
    short = turned((3, None), outcome=0.5)
    found, batch = tensors(long, short)
    nan = float("nan")
    expected = torch.tensor([[-0.2, 0.0, 0.1], [0.0, nan, nan]])
    torch.testing.assert_close(found["turn_rewards"], expected, equal_nan=True)
    own = batch.rollout_index == 0
    assert int(own.sum()) > 1 and found["turn_index"][own][batch.mask[own]].tolist() == [0, 0, 1, 2, 2]
    advantages = turn_returns(
        batch.rewards, batch.group_ids, found["turn_rewards"], found["turn_index"], batch.mask, batch.rollout_index
    )
    # From the first turn on 0.9 against 0.5; the second and third against a rollout that is over, so against 0.
    per_token = [round(value, 4) for value in advantages[own][batch.mask[own]].tolist()]
    assert per_token == [0.4, 0.4, 1.1, 1.1, 1.1]
    assert advantages[~own][batch.mask[~own]].tolist() == pytest.approx([-0.4] * 3)
