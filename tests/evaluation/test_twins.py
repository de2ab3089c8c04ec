"""A comparison in miniature: what it measures, that it goes on where it stopped, and what the page says."""

import base64
import hashlib
import json
import math
import os
import re
from dataclasses import replace
from itertools import count, permutations
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tiny import END, MASK, VOCABULARY, tiny_model, tiny_tokenizer

from verigrad.cli.main import main
from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.errors import ConfigError, RunError
from verigrad.evaluation.pass_at_k import pass_at_k
from verigrad.evaluation.sources import load_source
from verigrad.evaluation.twins import likelihoods
from verigrad.evaluation.twins.ar_ness import global_ar_ness, local_ar_ness, order_of
from verigrad.evaluation.twins.bench import Bench, passes_of
from verigrad.evaluation.twins.config import PARTS, CompareConfig
from verigrad.evaluation.twins.likelihoods import measure as measure_likelihoods
from verigrad.evaluation.twins.loop import compare
from verigrad.evaluation.twins.models import open_twin
from verigrad.evaluation.twins.order import measure as measure_order
from verigrad.evaluation.twins.page import speed_lines
from verigrad.evaluation.twins.rows import answered
from verigrad.evaluation.twins.steps import settings as ways_of_filling
from verigrad.evaluation.twins.versus import adjusted, versus_rates, versus_values
from verigrad.locks import hold
from verigrad.models.checkpoint import save_model
from verigrad.models.diffusion import DiffusionSpec, convert, hidden_states
from verigrad.models.fim import mark_fim
from verigrad.models.fresh import LEAST_VOCABULARY, MASK_TOKEN, fresh_tokenizer
from verigrad.models.visibility import Places
from verigrad.training.reporter import Silent
from verigrad.training.sft import Demonstration, demonstration_rows
from verigrad.types import Message

TASKS = """
from verigrad import CallTest, Oracle, Task
from verigrad.tasks.base import TaskSet

GOLDS = {"t@1/0": "def f(n):\\n    n = n + 3\\n    return n\\n", "t@1/1": "def f(n):\\n    return n - 1\\n"}


def load():
    tasks = tuple(Task(id=name, prompt=f"Do {name[-1]}.", entry_point="f") for name in GOLDS)
    oracles = {}
    for name, gold in GOLDS.items():
        space = {}
        exec(gold, space)
        tests = tuple(CallTest(f"c{n}", (n,), space["f"](n)) for n in (0, 1, 5))
        oracles[name] = Oracle(task_id=name, gold=gold, tests=tests)
    return TaskSet("t@1", tasks, oracles, {})
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory):
    """A pair of tiny models, the diffusion one with end tokens behind answers, and two tasks."""
    folder = tmp_path_factory.mktemp("twins")
    (folder / "my.py").write_text(TASKS)
    model, tokenizer = tiny_model(vocab_size=VOCABULARY + 4)
    mark_fim(model, tokenizer, (VOCABULARY + 1, VOCABULARY + 2, VOCABULARY + 3))
    save_model(model, tokenizer, folder / "causal")
    end = tokenizer.eos_token_id
    spec = DiffusionSpec(mask_id=MASK, shift=True, attention="full", block_length=0, pad_policy="fill", pad_id=end)
    convert(model, tokenizer, spec)
    save_model(model, tokenizer, folder / "diffusion")
    return folder


def settings(folder, **changes):
    pairs = {kind: (str(folder / kind),) for kind in ("diffusion", "causal")}
    return CompareConfig(
        **{
            "run": str(folder / "run"),
            **pairs,
            "diffusion_before": pairs["diffusion"],
            "tasks": f"{folder}/my.py:load",
            "max_tokens": 24,
            "samples": 2,
            "ks": (1, 2),
            "temperatures": (1.0,),
            "order_temperatures": (1.0,),
            "fractions": (1.0, 0.25),
            "thresholds": (0.05,),
            "gap": 6,
            "rounds": 2,
            "draws": 8,
            "played": 1,
            "threads": 1,
            "device": "cpu",
            **changes,
        }
    )


@pytest.fixture(scope="module")
def finished(workshop):
    config = settings(workshop)
    page = compare(config, Silent())
    return config, page.parent


def rows_of(folder, name):
    return [json.loads(line) for line in (folder / "rows" / f"{name}.jsonl").read_text().splitlines()]


def test_every_part_is_measured_on_the_models_it_is_about(finished):
    _, folder = finished
    found = {file.stem for file in (folder / "rows").iterdir()}
    both = {f"{part}-0-{role}" for part in PARTS for role in ("diffusion", "causal")}
    assert found == both - {"order-0-causal", "playback-0-causal"} | {"order-0-before"}
    assert len(rows_of(folder, "temperature-0-causal")) == 2 * 2 + 1  # tasks, samples, and what it took


def test_steps_bound_the_passes_and_a_causal_token_takes_one(finished):
    _, folder = finished
    samples = [row for row in rows_of(folder, "steps-0-diffusion") if row["record"] == "sample"]
    assert {row["setting"] for row in samples} == {"24 steps", "6 steps", "threshold 0.05"}
    for row in samples:
        assert row["passes"] <= {"24 steps": 24, "6 steps": 6}.get(row["setting"], 24)
        assert row["tokens"] <= 24
    for row in rows_of(folder, "steps-0-causal"):
        if row["record"] == "sample":
            assert row["passes"] == row["tokens"]


def test_what_is_written_otherwise_by_a_threshold_is_measured_by_steps_too(workshop):
    denoise = DenoiseParams(order="margin", schedule="threshold", threshold=0.7)
    assert ways_of_filling(settings(workshop, denoise=denoise)) == {
        "24 steps": DenoiseParams(order="margin", steps=24),
        "6 steps": DenoiseParams(order="margin", steps=6),
        "threshold 0.05": DenoiseParams(order="margin", schedule="threshold", threshold=0.05),
    }


def test_passes_that_fill_again_what_was_masked_again_count(workshop):
    """Sixteen tokens one by one, and three times half of them."""
    twin = open_twin(str(workshop / "diffusion"), "diffusion", settings(workshop))
    params = DenoiseParams(remask_rounds=3, remask_share=0.5)
    engine = DenoiseEngine(twin.model, twin.tokenizer, params=params, device="cpu", end_ids=())
    (completion,) = generate(engine, [Request(prompt_ids=(65, 66), params=SamplingParams(max_tokens=16))])
    assert passes_of(completion) == 16 + 3 * 8


def test_the_order_of_writing_is_measured_without_masking_again(workshop):
    found = []
    for denoise in (DenoiseParams(), DenoiseParams(remask_rounds=2)):
        config = settings(workshop, denoise=denoise)
        twin = open_twin(str(workshop / "diffusion"), "diffusion", config)
        with Bench(config, load_source(config.tasks), Silent()) as bench:
            found.append(measure_order(bench, twin))
    assert found[0] == found[1]


def test_gaps_have_the_length_their_policy_says(finished):
    _, folder = finished
    rows = rows_of(folder, "infilling-0-diffusion")
    told = {(row["setting"], row["task_id"]): row["tokens"] for row in rows}
    assert told["one line, oracle", "t@1/1"] == len("    return n - 1\n")
    assert told["several lines, oracle", "t@1/0"] == len("    n = n + 3\n    return n\n")
    assert {row["tokens"] for row in rows if row["setting"].endswith("fixed")} == {6}
    assert not any(row["setting"].endswith("free") for row in rows)
    for row in rows_of(folder, "infilling-0-causal"):
        if not row["setting"].endswith("free"):
            assert row["tokens"] <= told[row["setting"], row["task_id"]]
    assert {row["arm"] for row in rows_of(folder, "infilling-0-causal")} == {"fim", "prefix"}


def test_likelihoods_are_those_of_the_whole_softmax(finished, workshop):
    """The causal chain rule against transformers' own logits, and the bound below it for an untrained twin."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    _, folder = finished
    model = AutoModelForCausalLM.from_pretrained(workshop / "causal").eval()
    tokenizer = AutoTokenizer.from_pretrained(workshop / "causal")
    row = next(row for row in rows_of(folder, "likelihood-0-causal") if row["task_id"] == "t@1/1")
    text = "```python\ndef f(n):\n    return n - 1\n```"
    given = tokenizer.encode("<|im_start|>user\nDo 1.<|im_end|>\n<|im_start|>assistant\n")
    ids = torch.tensor([*given, *tokenizer.encode(text), tokenizer.eos_token_id])
    with torch.no_grad():
        logprobs = model(ids[None]).logits[0].log_softmax(-1)
    nats = sum(float(logprobs[t - 1, ids[t]]) for t in range(len(given), len(ids)))
    assert row["chain_rule"] == pytest.approx(nats, rel=1e-4)
    assert row["bytes"] == len(text) and row["tokens"] == len(text) + 1
    assert row["chain_rule_bits_per_byte"] == pytest.approx(-nats / math.log(2) / len(text), rel=1e-4)
    assert row["masked_ce"] == pytest.approx(-nats / (len(text) + 1), rel=1e-4)
    for own in rows_of(folder, "likelihood-0-diffusion"):
        assert own["elbo_standard_error"] > 0 and own["masked_ce"] > 0


def test_a_diffusion_model_is_not_told_where_the_answer_ends(workshop):
    """Its chain rule, pass by pass, on a canvas of 64 places of which those to come are all masked."""
    config = settings(workshop, max_tokens=64, parts=("likelihood",), draws=2)
    twin = open_twin(str(workshop / "diffusion"), "diffusion", config)
    with Bench(config, load_source(config.tasks), Silent()) as bench:
        row = measure_likelihoods(bench, twin)[1]
    text = "```python\ndef f(n):\n    return n - 1\n```"
    given = twin.tokenizer.encode("<|im_start|>user\nDo 1.<|im_end|>\n<|im_start|>assistant\n")
    answer, nats = [*twin.tokenizer.encode(text), twin.tokenizer.eos_token_id], 0.0
    assert len(answer) < 64
    for number, token in enumerate(answer):
        ids = torch.tensor([[*given, *answer[:number], *[MASK] * (64 - number)]])
        with torch.no_grad():
            states = hidden_states(twin.model, ids, Places.of(torch.ones_like(ids).bool()), twin.diffusion)
            logits = twin.model.lm_head(states)[0, len(given) + number - 1]
        logits[MASK] = -torch.inf
        nats += float(logits.log_softmax(-1)[token])
    assert row["chain_rule"] == pytest.approx(nats, rel=1e-4)


def test_a_bound_is_named_for_what_it_is_given(workshop):
    """A row that ends with the answer tells how long it is; one filled up with end tokens does not."""
    config = settings(workshop, parts=("likelihood",), draws=2)
    twin = open_twin(str(workshop / "diffusion"), "diffusion", config)
    bare = replace(twin, spec=replace(twin.diffusion, pad_policy="none"))
    with Bench(config, load_source(config.tasks), Silent()) as bench:
        filled, ended = (measure_likelihoods(bench, own)[0] for own in (twin, bare))
    assert "elbo_bits_per_byte" in filled and not any("given_length" in key for key in filled)
    assert "elbo_given_length_bits_per_byte" in ended and "elbo_bits_per_byte" not in ended


def test_it_goes_on_where_it_stopped_and_refuses_other_settings(finished):
    config, folder = finished
    summary = (folder / "summary.json").read_bytes()
    times = {file: file.stat().st_mtime_ns for file in (folder / "rows").iterdir()}
    lost = folder / "rows" / "output-0-diffusion.jsonl"
    before = [row for row in rows_of(folder, "output-0-diffusion") if row["record"] == "sample"]
    lost.unlink()
    compare(config, Silent())
    assert {file for file, time in times.items() if file.stat().st_mtime_ns != time} == {lost}
    assert [row for row in rows_of(folder, "output-0-diffusion") if row["record"] == "sample"] == before
    assert json.loads((folder / "summary.json").read_bytes())["parts"] == json.loads(summary)["parts"]
    with pytest.raises(ConfigError, match="begun with gap = 6, and now it is 7"):
        compare(settings(folder.parent, gap=7), Silent())
    with pytest.raises(ConfigError, match="begun with threads = 1, and now it is 2"):  # rows hold times
        compare(settings(folder.parent, threads=2), Silent())


def test_other_tasks_or_weights_by_the_same_names_are_refused(finished):
    config, folder = finished
    weights = Path(config.causal[0]) / "model.safetensors"
    status = weights.stat()
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    with pytest.raises(ConfigError, match=f"begun when {re.escape(config.causal[0])} had another content"):
        compare(config, Silent())
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    compare(config, Silent())
    inputs = json.loads((folder / "inputs.json").read_text())
    (folder / "inputs.json").write_text(json.dumps({**inputs, "tasks": "0" * 16}))
    with pytest.raises(ConfigError, match="begun when tasks had another content"):
        compare(config, Silent())
    (folder / "inputs.json").write_text(json.dumps(inputs))


def test_one_comparison_at_a_time_in_a_folder(finished, monkeypatch):
    config, folder = finished
    with hold(folder / ".lock", "a comparison", "--run"):
        monkeypatch.setattr("time.monotonic", count(0, 100).__next__)
        with pytest.raises(RunError, match=r"a comparison is at work in .*; wait for it, or choose another --run"):
            compare(config, Silent())


def test_the_page_of_some_parts_keeps_those_measured_before_and_leaves_out_those_half_done(finished):
    config, folder = finished
    summary = json.loads((folder / "summary.json").read_bytes())
    hidden = (folder / "rows" / "repair-0-causal.jsonl").rename(folder / "repair")
    compare(settings(folder.parent, parts=("output",)), Silent())
    found = json.loads((folder / "summary.json").read_bytes())
    assert found["parts"] == {name: own for name, own in summary["parts"].items() if name != "repair"}
    hidden.rename(folder / "rows" / "repair-0-causal.jsonl")
    compare(config, Silent())
    assert json.loads((folder / "summary.json").read_bytes()) == summary


def test_the_page_needs_nothing_and_runs_its_own_script_alone(finished):
    _, folder = finished
    html = (folder / "compare.html").read_text()
    assert not re.search(r"https?://|src=|@import|url\(", html)
    script = re.search(r"<script>(.*)</script>", html, re.DOTALL).group(1)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in html
    assert html.count("<script") == 1
    assert "The causal model wins" in html and 'data-step="1"' in html


def test_a_dry_run_tells_what_is_left_and_measures_nothing(finished, capsys):
    config, folder = finished
    words = ["--run", str(folder), "--diffusion", ",".join(config.diffusion), "--causal", ",".join(config.causal)]
    assert main(["compare", str(folder / "config.toml"), *words, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert out.count(", done") == 8 + 6 + 1
    assert re.search(r"temperature +causal .*causal: 4 answers, done", out)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"causal": ()}, "1 diffusion and 0 causal models"),
        ({"causal_fim": ("x", "y")}, "2 models under causal_fim"),
        ({"parts": ("step",)}, "unknown part 'step'"),
        ({"ks": (3,)}, "pass@3 of 2 samples"),
        ({"temperatures": (0.0,)}, "temperature of 0"),
        ({"fractions": (0.01,)}, "one step at least"),
        ({"thresholds": (90.0,)}, "threshold is 90.0; wanted a probability"),
    ],
)
def test_settings_that_do_not_fit(tmp_path, changes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        settings(tmp_path, **changes)


def test_models_of_the_wrong_kind_or_without_a_middle_are_refused(workshop, tmp_path):
    swapped = settings(workshop, run=str(tmp_path / "a"), diffusion=(str(workshop / "causal"),))
    with pytest.raises(ConfigError, match="is no masked-diffusion model; wanted diffusion"):
        compare(swapped, Silent())
    model, tokenizer = tiny_model(vocab_size=VOCABULARY + 4)
    save_model(model, tokenizer, tmp_path / "plain")
    plain = settings(workshop, run=str(tmp_path / "b"), causal=(str(tmp_path / "plain"),), parts=("infilling",))
    with pytest.raises(ConfigError, match=r"not trained to fill in.*--fim 0\.5"):
        compare(plain, Silent())


def test_an_answer_ends_as_it_did_in_training():
    """By the chat template's end token, also where texts have another."""
    tokenizer = fresh_tokenizer(["return x"], vocabulary=LEAST_VOCABULARY)
    tokenizer.eos_token = MASK_TOKEN
    twin, bench = SimpleNamespace(tokenizer=tokenizer, spec=None), SimpleNamespace()
    (row,) = demonstration_rows(tokenizer, [Demonstration((Message("user", "f"),), "x")], None, 99)
    assert row.ids[-1] != tokenizer.eos_token_id
    assert answered(bench, twin, "f", tokenizer.encode("x")) == (list(row.ids), row.prompt_length)


@pytest.mark.parametrize(("pad_policy", "places"), [("fill", 48), ("none", 36)])
def test_canvases_end_where_the_samplers_do(pad_policy, places):
    """A prompt of 20 tokens and 16 places are 36, and with filled blocks of 16 they are 48."""
    spec = DiffusionSpec(
        mask_id=MASK, shift=True, attention="block", block_length=16, pad_policy=pad_policy, pad_id=END
    )
    bench = SimpleNamespace(config=SimpleNamespace(max_tokens=16))
    twin = SimpleNamespace(tokenizer=tiny_tokenizer(), spec=spec)
    row, start = answered(bench, twin, "f", [60] * 5)
    length = start + 6
    assert start == 20 and len(row) == (48 if pad_policy == "fill" else length)
    assert row[length - 1 :] == [END] * (len(row) - length + 1)
    own = torch.tensor(row[:length])
    (ids,), (marks,), (behind,) = likelihoods._on_canvas(bench, spec, [own], [torch.arange(length) >= start])
    assert len(ids) == len(marks) == len(behind) == places
    assert int(behind.sum()) == places - length and not bool(marks[length:].any())


def test_more_steps_than_places_are_refused_with_the_settings(workshop):
    with pytest.raises(ConfigError, match=r"25 steps for at most 24 masked tokens \(max_tokens\)"):
        settings(workshop, denoise=DenoiseParams(steps=25))


def test_a_prompt_that_leaves_no_room_for_a_canvas_is_an_error(workshop, tmp_path):
    long = settings(workshop, run=str(tmp_path / "long"), max_length=40, parts=("output",))
    with pytest.raises(
        ConfigError, match=r"prompt of t@1/output/0 has \d+ tokens, and .* has room for 16 beside a canvas"
    ):
        compare(long, Silent())


# ----------------------------------------------------------------------------------------- AR-ness, by hand


def test_ar_ness_of_written_orders_by_hand():
    """Four places from right to left: no step goes on a run; the k leftmost masked are met in the last k steps."""
    ahead, back = [0, 1, 2, 3], [3, 2, 1, 0]
    for k in (1, 2, 4, 9):
        assert local_ar_ness(ahead, k) == global_ar_ness(ahead, k) == 1.0
        assert local_ar_ness(back, k) == 0.0
        assert global_ar_ness(back, k) == min(k, 4) / 4
    # 0 and 1 go on the given text; 4 follows nothing, 5 follows 4; 2 and 3 come last, 3 after 2 alone.
    order = [0, 1, 4, 5, 2, 3]
    assert [local_ar_ness(order, k) for k in (1, 2)] == [pytest.approx(4 / 6), pytest.approx(2 / 6)]
    assert [global_ar_ness(order, k) for k in (1, 3)] == [pytest.approx(4 / 6), 1.0]


def test_ar_ness_of_a_random_order_on_average():
    """Global@1 of three places: the leftmost of 3, of 2, of 1 is hit with chances 1/3, 1/2 and 1."""
    orders = list(permutations(range(3)))
    assert sum(global_ar_ness(order, 1) for order in orders) / 6 == pytest.approx((1 / 3 + 1 / 2 + 1) / 3)


def test_places_of_one_step_count_from_left_to_right():
    assert order_of([1, 0, 1, 0]) == [1, 3, 0, 2]
    assert order_of([3, -1, 0]) == [2, 0]


# -------------------------------------------------------------------------------------------- who wins


def test_a_side_wins_only_where_both_intervals_leave_zero_out():
    always = {f"t{n}": [True] for n in range(40)}
    never = {f"t{n}": [False] for n in range(40)}
    mixed = {f"t{n}": [n % 2 == 0] for n in range(40)}
    won = versus_rates("won", [always, always], [never, never])
    lost = versus_rates("lost", [never, never], [mixed, mixed])
    same = versus_rates("same", [mixed, mixed], [mixed, mixed])
    shaky = versus_rates("shaky", [always, never], [never, never])  # a half better, but not with every seed
    short = versus_values("short", "bits", [{f"t{n}": 1.0 for n in range(9)}], [{f"t{n}": 2.0 for n in range(9)}],
                          more_is_better=False)  # fmt: skip
    found = {own.measure: own for own in adjusted([won, lost, same, shaky, short])}
    assert {name: own.winner for name, own in found.items()} == {
        "won": "diffusion",
        "lost": "causal",
        "same": "tie",
        "shaky": "tie",
        "short": "diffusion",
    }
    assert (won.diffusion, won.causal, won.difference) == (1.0, 0.0, 1.0)
    assert shaky.difference == 0.5 and shaky.low > 0 > shaky.wide_low
    assert found["won"].p_value >= won.p_value


def test_the_page_tells_times_and_the_way_that_is_no_worse():
    way = {"pass@1": 0.5, "not_worse": True, "tokens_per_pass": 1.0, "seconds_per_answer": 0.4}
    steps = {
        "diffusion/64 steps": way,
        "diffusion/16 steps": {**way, "tokens_per_pass": 4.0, "seconds_per_answer": 0.1},
        "diffusion/8 steps": {**way, "not_worse": False, "seconds_per_answer": 0.05},
        "causal/KV cache": {**way, "seconds_per_answer": 0.2},
    }
    assert speed_lines(steps) == [
        "diffusion, 64 steps: 400.0 ms; causal with a KV cache: 200.0 ms (2.00 times), 1.00 tokens per forward pass",
        "diffusion, 16 steps: 100.0 ms; causal with a KV cache: 200.0 ms (0.50 times), 4.00 tokens per forward pass",
    ]


def test_pass_at_k_on_the_page_is_that_of_the_rows(finished):
    _, folder = finished
    summary = json.loads((folder / "summary.json").read_text())
    for role in ("diffusion", "causal"):
        rows = [row for row in rows_of(folder, f"temperature-0-{role}") if row["record"] == "sample"]
        right = [sum(r["status"] == "passed" for r in rows if r["task_id"] == t) for t in ("t@1/0", "t@1/1")]
        value = summary["parts"]["temperature"][f"{role}/1.0"]["pass@2"]["value"]
        assert value == pytest.approx(pass_at_k(2, right, 2).mean())
