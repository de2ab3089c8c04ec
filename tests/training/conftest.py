"""A tiny model on disk, tasks that are answered in plain text, and a reward that can be learned in seconds."""

import pytest
from tiny import tiny_model

MY = '''
from verigrad import AnswerTest, Oracle, Score, Task, Verdict
from verigrad.tasks.base import TaskSet


def numbers(low, high):
    ids = {n: f"say@1/{n}" for n in range(low, high)}
    tasks = tuple(Task(id=id_, prompt=f"Say {n}.", language="text") for n, id_ in ids.items())
    oracles = {id_: Oracle(task_id=id_, tests=(AnswerTest("a", n),), gold=str(n)) for n, id_ in ids.items()}
    return TaskSet("say@1", tasks, oracles, {})


def load():
    return numbers(0, 6)


def held_out():
    return numbers(6, 9)


def ascii_share(task, answer, verdict):
    """The share of ASCII among the answer's characters: half at the start, one when it is learned."""
    return sum(ord(letter) < 128 for letter in answer.text) / max(1, len(answer.text))


def mostly_ascii(task, answer, verdict):
    """1 where more than six in ten characters are ASCII: a success or a failure."""
    return float(ascii_share(task, answer, verdict) > 0.6)


def judged(task, answer, verdict):
    """The share of ASCII, of an answer that counts as one that passes every test where it is above six in ten."""
    share = ascii_share(task, answer, verdict)
    return Score(share, evidence=Verdict(status="passed" if share > 0.6 else "failed", results=()))


def in_parts(task, answer, verdict):
    """The same reward, named, beside a part that is always equal and a cost of the letter e."""
    share = ascii_share(task, answer, verdict)
    return Score(share, parts={"ascii": share, "constant": 1.0, "cost": float(answer.text.count("e"))})


def dear(task, answer, verdict):
    """ASCII is worth ever less the more of it there is, and costs the same each time."""
    share = ascii_share(task, answer, verdict)
    return Score(1 - (1 - share) ** 2, parts={"cost": share})


def sometimes_missing(task, answer, verdict):
    """1 for every answer that has a score; about half of them have none."""
    return Score(1.0 if len(answer.text) % 2 else None)


def sometimes_nan(task, answer, verdict):
    return ascii_share(task, answer, verdict) if len(answer.text) % 2 else float("nan")


def never_a_number(task, answer, verdict):
    return float("nan")


def only_at_first():
    """A reward whose first 18 scores, those of one step, have parts."""
    count = iter(range(10**6))

    def reward(task, answer, verdict):
        score = in_parts(task, answer, verdict)
        return score if next(count) < 18 else Score(score.value)

    return reward


fading = only_at_first()


def broken(task, answer, verdict):
    raise RuntimeError("judge unreachable")
'''


@pytest.fixture
def workshop(tmp_path):
    """A folder with `model/`, `my.py` and the arguments that use them."""
    model, tokenizer = tiny_model("llama")
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "my.py").write_text(MY)
    return tmp_path


@pytest.fixture
def settings(workshop):
    """Overrides for a small, exact run in this folder."""
    return {
        "run": str(workshop / "run"),
        "model": str(workshop / "model"),
        "tasks": f"{workshop}/my.py:load",
        "reward": f"{workshop}/my.py:ascii_share",
        "dtype": "float32",
        "device": "cpu",
        "tasks_per_step": 3,
        "group_size": 6,
        "slots": 32,
        "max_length": 128,
        "checkpoint_every": 2,
        "threads": 1,
    }
