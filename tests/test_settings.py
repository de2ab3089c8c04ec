"""Recipes and overrides into dataclasses and back: worked cases, an exact round trip, and what errors say."""

import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from verigrad.errors import ConfigError
from verigrad.settings import Setting, describe, diff, load_config, to_toml


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How tokens are drawn.

    Attributes:
        temperature: logits are divided by it.
        max_tokens: completion tokens at most.
        stop: texts that end a completion.
    """

    temperature: float = 1.0
    max_tokens: int = 256
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything a run depends on.

    Attributes:
        model: path or hub id.
        learning_rate: of the
            optimizer, at its peak.
        steps: optimizer steps.
        shared_prompt: one prompt forward per group.
        betas: of AdamW.

    Nothing after this paragraph counts:
        steps: wrong.
    """

    model: str
    learning_rate: float = 1e-6
    steps: int = 100
    shared_prompt: bool = True
    algorithm: Literal["grpo", "dapo", "rloo"] = "grpo"
    output: Path = Path("runs/rl")
    seed: int | None = 0
    note: str | None = None
    clip: Literal[False, 0.2, 0.28] = 0.2
    resume: bool | None = None
    eval_splits: tuple[str, ...] = ("humaneval",)
    betas: tuple[float, float] = (0.9, 0.95)
    weights: dict[str, float] = field(default_factory=lambda: {"tests": 1.0, "syntax": 0.1})
    sampling: Sampling = Sampling(temperature=0.9)
    evaluation: Sampling | None = None
    agents: dict[str, Sampling] = field(default_factory=dict)
    phases: tuple[Sampling, ...] = ()

    def __post_init__(self):
        if self.steps < 0:
            raise ValueError(f"steps must be at least 0, got {self.steps}")


def write(folder: Path, text: str) -> Path:
    recipe = folder / "recipe.toml"
    recipe.write_text(text, encoding="utf-8")
    return recipe


def from_flags(*words: str) -> Config:
    return load_config(Config, None, ["--model", "m", *words])


def message(call, *args) -> str:
    with pytest.raises(ConfigError) as caught:
        call(*args)
    return str(caught.value)


# ------------------------------------------------------------------------------------------ values


def test_recipe_then_overrides(tmp_path):
    recipe = write(
        tmp_path,
        """
        model = "smollm2"
        learning_rate = 1          # an integer will do for a float
        eval_splits = ["humaneval", "mbpp"]
        seed = "none"
        clip = false
        [sampling]
        max_tokens = 96
        [evaluation]
        temperature = 0.0
        [agents.coder]
        stop = ["\\n\\n"]
        """,
    )
    config = load_config(Config, recipe, ["--steps=7", "--evaluation.max-tokens", "5"])
    assert config == Config(
        model="smollm2",
        learning_rate=1.0,
        eval_splits=("humaneval", "mbpp"),
        seed=None,
        clip=False,
        steps=7,
        sampling=Sampling(temperature=0.9, max_tokens=96),  # the field's own default stays underneath
        evaluation=Sampling(temperature=0.0, max_tokens=5),
        agents={"coder": Sampling(stop=("\n\n",))},
    )
    assert type(config.learning_rate) is float


@pytest.mark.parametrize(
    ("words", "change"),
    [
        (["--learning-rate", "1e-5"], {"learning_rate": 1e-5}),
        (["--learning_rate=-3"], {"learning_rate": -3.0}),
        (["--learning-rate", "-3"], {"learning_rate": -3.0}),
        (["--steps", "1", "--steps", "2"], {"steps": 2}),
        (["--shared-prompt", "false"], {"shared_prompt": False}),
        (["--shared-prompt", "--steps", "2"], {"shared_prompt": True, "steps": 2}),
        (["--no-shared-prompt", "--steps", "2"], {"shared_prompt": False, "steps": 2}),
        (["--resume"], {"resume": True}),
        (["--no-resume"], {"resume": False}),
        (["--resume", "--resume", "none"], {"resume": None}),
        (["--seed", "none"], {"seed": None}),
        (["--note", "a=b c"], {"note": "a=b c"}),
        (["--note=--x"], {"note": "--x"}),
        (["--algorithm", "rloo"], {"algorithm": "rloo"}),
        (["--clip", "0.28"], {"clip": 0.28}),
        (["--clip", "false"], {"clip": False}),
        (["--output", "a/b"], {"output": Path("a/b")}),
        (["--eval-splits", "a,b"], {"eval_splits": ("a", "b")}),
        (["--eval-splits="], {"eval_splits": ()}),
        (["--betas", "0,0.5"], {"betas": (0.0, 0.5)}),
        (["--weights.tests", "2"], {"weights": {"tests": 2.0, "syntax": 0.1}}),
        (["--weights.my-own", "2"], {"weights": {"tests": 1.0, "syntax": 0.1, "my-own": 2.0}}),
        (["--sampling.temperature", "0.8"], {"sampling": Sampling(temperature=0.8)}),
        (["--sampling.max_tokens=8"], {"sampling": Sampling(temperature=0.9, max_tokens=8)}),
        (["--evaluation.max-tokens", "8"], {"evaluation": Sampling(max_tokens=8)}),
        (["--evaluation.max-tokens", "8", "--evaluation", "none"], {"evaluation": None}),
        (["--agents.coder.temperature", "0"], {"agents": {"coder": Sampling(temperature=0.0)}}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_overrides(words, change):
    assert from_flags(*words) == replace(Config(model="m"), **change)


def test_a_table_in_the_recipe_replaces_a_dict_and_an_override_then_changes_one_key(tmp_path):
    recipe = write(tmp_path, 'model = "m"\nweights = {format = 0.5}\n')
    assert load_config(Config, recipe).weights == {"format": 0.5}
    assert load_config(Config, recipe, ["--weights.tests", "2"]).weights == {"format": 0.5, "tests": 2.0}


def test_instances_do_not_share_a_mutable_default():
    from_flags("--weights.tests", "2")
    assert from_flags().weights == {"tests": 1.0, "syntax": 0.1}


# ------------------------------------------------------------------------------------------ writing

samplings = st.builds(
    Sampling,
    temperature=st.floats(allow_nan=False),
    max_tokens=st.integers(),
    stop=st.lists(st.text(), max_size=3).map(tuple),
)
configs = st.builds(
    Config,
    model=st.text(),
    learning_rate=st.floats(allow_nan=False),
    steps=st.integers(min_value=0),
    shared_prompt=st.booleans(),
    algorithm=st.sampled_from(["grpo", "dapo", "rloo"]),
    output=st.text(st.characters(codec="utf-8", exclude_characters="\0")).map(Path),
    seed=st.none() | st.integers(),
    note=st.none() | st.text().filter(lambda text: text != "none"),
    clip=st.sampled_from([False, 0.2, 0.28]),
    resume=st.none() | st.booleans(),
    eval_splits=st.lists(st.text(), max_size=3).map(tuple),
    betas=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    weights=st.dictionaries(st.text(), st.floats(allow_nan=False), max_size=3),
    sampling=samplings,
    evaluation=st.none() | samplings,
    agents=st.dictionaries(st.text(), samplings, max_size=2),
    phases=st.lists(samplings, max_size=2).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(configs)
def test_toml_round_trip_is_exact(config):
    with tempfile.TemporaryDirectory() as folder:
        assert load_config(Config, write(Path(folder), to_toml(config))) == config


def test_toml_says_the_same_to_an_independent_reader():
    written = tomllib.loads(to_toml(Config(model='a "b"\n\x7f\U0001f600', evaluation=Sampling(stop=("x",)))))
    assert written["model"] == 'a "b"\n\x7f\U0001f600'
    assert written["learning_rate"] == 1e-6
    assert written["note"] == "none"
    assert written["weights"] == {"tests": 1.0, "syntax": 0.1}
    assert written["evaluation"] == {"temperature": 1.0, "max_tokens": 256, "stop": ["x"]}
    assert written["agents"] == {}


def test_a_text_that_would_be_read_as_none_is_refused():
    assert "note" in message(to_toml, Config(model="m", note="none"))


# ------------------------------------------------------------------------------------ help, changes


def test_describe_lists_every_setting_with_its_sentence():
    settings_by_key = {setting.key: setting for setting in describe(Config)}
    assert settings_by_key["model"] == Setting("model", "str", "required", "path or hub id.")
    assert settings_by_key["learning_rate"].sentence == "of the optimizer, at its peak."
    assert settings_by_key["steps"] == Setting("steps", "int", "100", "optimizer steps.")
    assert settings_by_key["seed"][1:3] == ("int or none", "0")
    assert settings_by_key["note"][1:3] == ("str or none", "none")
    assert settings_by_key["algorithm"][1:3] == ("one of grpo, dapo, rloo", "grpo")
    assert settings_by_key["shared_prompt"][1:3] == ("bool", "true")
    assert settings_by_key["betas"] == Setting("betas", "a list: float, float", "0.9,0.95", "of AdamW.")
    assert settings_by_key["sampling.temperature"] == Setting(
        "sampling.temperature", "float", "0.9", "logits are divided by it."
    )
    assert "sampling" not in settings_by_key


def test_diff_names_what_changed_and_nothing_else():
    before = Config(model="m")
    after = replace(before, steps=5, sampling=Sampling(temperature=0.5), weights={"tests": 1.0})
    assert diff(before, before) == {}
    assert diff(before, after) == {
        "steps": (100, 5),
        "sampling.temperature": (0.9, 0.5),
        "weights": ({"tests": 1.0, "syntax": 0.1}, {"tests": 1.0}),
    }


def test_help_needs_no_torch():
    script = "import sys, verigrad.settings; assert not {'torch', 'numpy', 'rich'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


# ------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--learning-rat", "1"], ["unknown setting --learning-rat", "did you mean '--learning-rate'?", "--steps"]),
        (["--temperature", "1"], ["did you mean '--sampling.temperature'?"]),
        (["--sampling.temprature", "1"], ["did you mean '--sampling.temperature'?"]),
        (["--steps.more", "1"], ["unknown setting --steps.more"]),
        (["--no-steps"], ["unknown setting --no-steps"]),
        (["--no-shared-prompt=true"], ["takes none", "--shared-prompt true"]),
        (["--steps", "many"], ["--steps", "got 'many'", "wanted int", "--steps 8"]),
        (["--steps", "1e3"], ["got '1e3'", "wanted int"]),
        (["--steps"], ["--steps has no value", "--steps 8"]),
        (["--steps", "--seed"], ["--steps has no value"]),
        (["--shared-prompt", "maybe"], ["got 'maybe'", "--key value"]),
        (["--shared-prompt=maybe"], ["got 'maybe'", "wanted bool", "--shared-prompt true"]),
        (["steps", "3"], ["got 'steps'", "--key value"]),
        (["--algorithm", "ppo"], ["got 'ppo'", "one of grpo, dapo, rloo"]),
        (["--betas", "0.9"], ["--betas", "wanted a list: float, float", "--betas 0.5,0.5"]),
        (["--eval-splits", "a", "b"], ["got 'b'"]),
        (["--weights", "3"], ["wanted a table of float", "--weights.key 0.5"]),
        (["--sampling", "3"], ["wanted a table", "--sampling.temperature 0.5"]),
        (["--steps", "-1"], ["steps must be at least 0, got -1"]),
    ],
    ids=lambda value: " ".join(value) if value[0].startswith("--") else "",
)
def test_flag_errors_say_what_got_wanted_and_how(words, parts):
    text = message(from_flags, *words)
    assert all(part in text for part in parts), text


@pytest.mark.parametrize(
    ("toml", "parts"),
    [
        ("stepz = 3", ["recipe.toml: stepz: unknown key (did you mean 'steps'?)", "known: agents, algorithm"]),
        ("[sampling]\ntemprature = 1", ["recipe.toml: sampling.temprature", "did you mean 'temperature'?"]),
        ("learning_rate = '1e-6'", ["recipe.toml: learning_rate: got '1e-6' (str), wanted float", "learning_rate = 0"]),
        ("steps = 1.0", ["got 1.0 (float), wanted int"]),
        ("steps = true", ["got True (bool), wanted int"]),
        ("shared_prompt = 1", ["got 1 (int), wanted bool", "shared_prompt = true"]),
        ("clip = 0", ["got 0 (int), wanted one of false, 0.2, 0.28"]),
        ("seed = 'x'", ["wanted int or none"]),
        ("steps = 'none'", ["got 'none'", "wanted int"]),
        ("eval_splits = 'a'", ["wanted a list of str", 'eval_splits = ["text"]']),
        ("eval_splits = [1]", ["eval_splits: got 1 (int), wanted str"]),
        ("weights = {tests = 'a'}", ["weights.tests: got 'a'"]),
        ("sampling = 3", ["sampling: got 3 (int), wanted a table of temperature, max_tokens, stop"]),
        ("steps = -1", ["recipe.toml: steps must be at least 0, got -1"]),
        ("steps =", ["recipe.toml is not valid TOML"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_recipe_errors_name_the_file_and_the_key(tmp_path, toml, parts):
    text = message(load_config, Config, write(tmp_path, f'model = "m"\n{toml}\n'))
    assert all(part in text for part in parts), text


def test_a_missing_setting_and_a_missing_recipe_are_named(tmp_path):
    assert "model must be given" in message(load_config, Config, write(tmp_path, "steps = 1"))
    assert "nowhere.toml" in message(load_config, Config, tmp_path / "nowhere.toml")


def test_an_unsupported_annotation_is_a_programming_error():
    @dataclass(frozen=True)
    class Odd:
        value: complex = 0j

    with pytest.raises(TypeError, match="complex"):
        describe(Odd)
