"""Pairs chosen by a language model: the policy learns them, and nobody is asked twice or believed by position."""

import json
from collections import Counter

import pytest
from endpoint import JudgeEndpoint, served
from loops import train_metrics

from verigrad.errors import ConfigError, EngineError
from verigrad.preferences.records import read_records
from verigrad.settings import load_config
from verigrad.training.config import JudgeConfig, OptimConfig, PreferenceConfig, SamplingConfig
from verigrad.training.preference import train
from verigrad.training.reporter import Silent


@pytest.fixture
def endpoint(monkeypatch):
    pytest.importorskip("httpx")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with served(JudgeEndpoint) as server:
        server.reply = more_ascii
        yield server


@pytest.fixture
def settings(workshop, endpoint):
    """Answers end at a digit or at an end token, most of them within their 24 tokens."""
    return {
        "run": str(workshop / "run"),
        "model": str(workshop / "model"),
        "tasks": f"{workshop}/my.py:load",
        "dtype": "float32",
        "device": "cpu",
        "threads": 1,
        "max_length": 128,
        "tasks_per_round": 6,
        "group_size": 8,
        "records_per_round": 12,
        "batch_size": 12,
        "sampling": SamplingConfig(max_tokens=24, stop=tuple("0123456789abcdef")),
        "judge": JudgeConfig(url=endpoint.url, model="judge-1"),
        "optim": OptimConfig(learning_rate=1e-2, warmup_steps=1),
    }


def ascii_share(text):
    return sum(ord(letter) < 128 for letter in text) / max(1, len(text))


def more_ascii(first, second):
    """Prefers the larger share of ASCII, wherever it stands."""
    one, other = ascii_share(first), ascii_share(second)
    return "Verdict: " + ("tie" if one == other else "1" if one > other else "2")


def rows(folder, name):
    return [json.loads(line) for line in (folder / name).read_text().splitlines()]


def asked(endpoint):
    """How often each question came."""
    return Counter(body["messages"][1]["content"] for *_, body in endpoint.received)


@pytest.mark.slow
def test_the_policy_learns_what_the_judge_prefers(settings, endpoint):
    """Of all that it samples the share of ASCII rises, which no test asks for."""
    folder = train(PreferenceConfig(**settings, rounds=16))
    files = sorted((folder / "answers").glob("*.jsonl"))

    def share(files):
        return ascii_share(
            "".join(one["text"] for file in files for task in rows(folder, file) for one in task["answers"])
        )

    first, last = share(files[:3]), share(files[-3:])
    assert first < 0.6 and last > first + 0.08
    for file in sorted((folder / "pairs").glob("*.jsonl")):
        for pair in read_records(file):
            assert ascii_share(pair.chosen.strip()) > ascii_share(pair.rejected.strip())
    metrics = train_metrics(folder)
    for row in metrics:
        assert row["records"] == pytest.approx(row["judge_pairs"] * (row["judge_agreed"] - row["judge_cut_off"]))


def test_a_judge_that_goes_by_position_teaches_nothing(settings, endpoint):
    endpoint.reply = lambda first, second: "Verdict: 1"
    folder = train(PreferenceConfig(**settings))
    (told,) = rows(folder, "judge/round-0001.jsonl")
    assert told["judge_pairs"] == 12 and told["judge_disagreed"] == 1.0 and told["judge_agreed"] == 0.0
    assert (folder / "pairs" / "round-0001.jsonl").read_text() == "" and train_metrics(folder) == []
    replies = rows(folder, "judge/replies.jsonl")
    assert {(len(row["meta"]["asked"]), row["meta"]["asked"][1]["order"]) for row in replies} == {(2, "ba")}
    _, headers, body = endpoint.received[0]
    assert headers["Authorization"] == "Bearer sk-very-secret" and body["model"] == "judge-1"
    assert "sk-very-secret" not in (folder / "config.toml").read_text() + (folder / "judge/replies.jsonl").read_text()


def test_an_endpoint_that_fails_ends_the_run_and_is_no_preference(settings, endpoint, workshop):
    """Refused from the fourth pair on, the run ends; resumed, it asks for the rest, and one refusal costs one pair."""
    config = PreferenceConfig(**{**settings, "judge": JudgeConfig(url=endpoint.url, model="judge-1", concurrency=1)})
    said = iter([None] * 6)
    endpoint.reply = lambda first, second: more_ascii(first, second) if next(said, 401) is None else 401
    with pytest.raises(EngineError, match=r"'judge-1' gave no opinion on 5 pairs in a row.*status 401.*--resume"):
        train(config)
    assert not (workshop / "run" / "pairs").exists() and len(endpoint.received) == 6 + 5
    before, refused = asked(endpoint), iter([400])
    endpoint.received.clear()
    endpoint.reply = lambda first, second: next(refused, None) or more_ascii(first, second)
    folder = train(config, resume=True)
    (told,) = rows(folder, "judge/round-0001.jsonl")
    assert told["judge_failed"] == pytest.approx(1 / 12) and len(endpoint.received) == 1 + 2 * 8
    answered = [question for question, times in before.items() if times == 1][:6]
    assert len(answered) == 6 and not set(answered) & set(asked(endpoint))


class _Killed(Exception):
    pass


class Killing(Silent):
    """Ends a run after so many opinions of its judge."""

    def __init__(self, after):
        self.left, self.phase = after, ""

    def begin(self, phase, total):
        self.phase = phase

    def advance(self, amount=1):
        if self.phase.startswith("asking"):
            self.left -= 1
            if self.left < 0:
                raise _Killed


def test_a_killed_run_goes_on_and_asks_nothing_twice(settings, endpoint):
    """Killed while the second round asks, and resumed elsewhere with a torn line in the log: the same run."""
    settings["judge"] = JudgeConfig(url=endpoint.url, model="judge-1", concurrency=1)
    settings |= {"rounds": 2, "checkpoint_every": 1}
    whole = train(PreferenceConfig(**{**settings, "run": settings["run"] + "-whole"}))
    questions = asked(endpoint)
    endpoint.received.clear()
    config = PreferenceConfig(**settings)
    with pytest.raises(_Killed):
        train(config, reporter=Killing(12 + 3))
    with served(JudgeEndpoint) as moved:
        moved.reply = more_ascii
        there = PreferenceConfig(**{**settings, "judge": JudgeConfig(url=moved.url, model="judge-1", timeout_s=60)})
        resumed = train(there, resume=True)
        assert moved.received
        assert asked(endpoint) + asked(moved) == questions and set(questions.values()) == {1}
    assert train_metrics(resumed) == train_metrics(whole)
    pairs = [(folder / "pairs" / "round-0002.jsonl").read_text() for folder in (whole, resumed)]
    assert pairs[0] == pairs[1]


def test_behind_the_miner_it_is_asked_where_the_tests_find_nothing(settings, endpoint, workshop):
    (workshop / "miner.py").write_text(
        "from verigrad.preferences.records import Pair\n\n\n"
        "def first_task(answers, *, max_records=0, seed=0):\n"
        "    if answers[0].prompt[0].content != 'Say 0.':\n"
        "        return []\n"
        "    return [Pair(prompt=answers[0].prompt, chosen='0', rejected='1')]\n"
    )
    judge = JudgeConfig(url=endpoint.url, model="judge-1", when="no_record", pairs_per_task=1)
    own = {**settings, "judge": judge, "miner": f"{workshop}/miner.py:first_task"}
    folder = train(PreferenceConfig(**own))
    prompts = Counter(question.split("\n")[1] for question in asked(endpoint).elements())
    assert prompts == {f"Say {n}.": 2 for n in range(1, 6)}
    pairs = read_records(folder / "pairs" / "round-0001.jsonl")
    assert Counter(pair.prompt[0].content for pair in pairs)["Say 0."] == 1 and len(pairs) > 1


def test_settings_that_do_not_go_together():
    words = ["--tasks", "builtin", "--judge.url", "http://localhost:1/v1", "--judge.model", "m"]
    config = load_config(PreferenceConfig, None, words)
    assert config.judge == JudgeConfig(url="http://localhost:1/v1", model="m")
    for more, says in (
        (["--judge.model", ""], "wanted both"),
        (["--judge.url", "localhost:1"], "wanted an address"),
        (["--judge.concurrency", "0"], "wanted all above 0"),
        (["--miner", "acecoder"], "leave the miner out, or set judge.when"),
        (["--tasks", "", "--data", "pairs.jsonl"], "set tasks"),
        (["--judge.url", "", "--judge.model", "", "--judge.max-tokens", "9"], "no judge.url"),
    ):
        with pytest.raises(ConfigError, match=says):
            load_config(PreferenceConfig, None, [*words, *more])
