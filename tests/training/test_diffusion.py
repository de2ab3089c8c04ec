"""Masked-diffusion training: what is noised and what it weighs, that it learns, that it goes on where it stopped."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from loops import check_a_stopped_run_goes_on, train_metrics
from safetensors.torch import load_file
from tiny import END, MASK, tiny_diffusion, tiny_model, tiny_tokenizer

from verigrad.cli.main import main
from verigrad.engines.base import Request, SamplingParams, generate
from verigrad.engines.denoise_params import DenoiseParams
from verigrad.engines.diffusion import DenoiseEngine
from verigrad.errors import ConfigError, DataError
from verigrad.models.chat import prompt_ids
from verigrad.models.checkpoint import save_model
from verigrad.models.diffusion import DiffusionSpec, load_diffusion
from verigrad.seeds import derive_seed
from verigrad.training.canvases import answer_canvas, noised_step, text_canvases
from verigrad.training.config import (
    DiffusionConfig,
    NoiseConfig,
    OptimConfig,
    PreferenceConfig,
    ReportConfig,
    RLConfig,
    SamplingConfig,
)
from verigrad.training.diffusion import chosen_spec, step_attention, train
from verigrad.training.reporter import Silent
from verigrad.types import Message, Row

KEYS = ("run", "dtype", "device", "slots", "max_length", "checkpoint_every", "threads")


def spec_of(attention="full", *, shift=True, block_length=0, pad_policy="fill"):
    return DiffusionSpec(
        mask_id=MASK, shift=shift, attention=attention, block_length=block_length, pad_policy=pad_policy, pad_id=END
    )


@pytest.fixture
def diffusion_settings(settings, tmp_path):
    """Settings of a small run from a causal model with one id free for the mask."""
    model, tokenizer = tiny_model(vocab_size=MASK + 1)
    model.save_pretrained(tmp_path / "causal")
    tokenizer.save_pretrained(tmp_path / "causal")
    return {**{key: settings[key] for key in KEYS}, "model": str(tmp_path / "causal"), "mask_id": MASK}


@pytest.fixture
def few(diffusion_settings, tmp_path):
    """Settings with four demonstrations, in batches of two."""
    rows = [{"prompt": f"Say {n}.", "completion": f"{n}{n}!"} for n in range(4)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return {**diffusion_settings, "data": str(tmp_path / "data.jsonl"), "batch_size": 2}


def row_of(prompt, answer):
    ids = (*prompt.encode(), *answer.encode(), END)
    mask = (False,) * len(prompt) + (True,) * (len(answer) + 1)
    return Row(ids, mask, (0.0,) * len(ids), (1.0,) * len(ids), {}, len(prompt))


@pytest.mark.parametrize(
    ("spec", "canvas", "total"),
    [
        (spec_of(), 0, 7),  # 4 of the prompt, 2 of the answer, its end
        (spec_of(), 8, 12),  # 4 and 8
        (spec_of("block", block_length=5), 0, 10),
        (spec_of("block", block_length=5), 8, 15),
        (spec_of("block", block_length=5, pad_policy="none"), 0, 7),
    ],
)
def test_a_canvas_is_filled_as_the_pad_policy_says(spec, canvas, total):
    found = answer_canvas(row_of("abcd", "xy"), spec, canvas=canvas, eos_in_loss=True, pad_weight=0.25)
    assert found.ids.tolist() == [*b"abcdxy", END] + [END] * (total - 7)
    assert found.eligible.tolist() == [False] * 4 + [True] * (total - 4)
    assert found.weight.tolist() == [0.0] * 4 + [1.0] * 3 + [0.25] * (total - 7)
    without = answer_canvas(row_of("abcd", "xy"), spec, canvas=canvas, eos_in_loss=False, pad_weight=0.25)
    assert without.weight.tolist() == [0.0] * 4 + [1.0, 1.0, 0.0] + [0.25] * (total - 7)


def test_texts_are_cut_into_rows_whose_first_token_is_given(tmp_path):
    (tmp_path / "texts.jsonl").write_text('{"text": "abcdefg"}\n{"text": "xy"}\n')
    found = text_canvases(tmp_path / "texts.jsonl", tiny_tokenizer(), spec_of(), 4)
    assert [canvas.ids.tolist() for canvas in found] == [[*b"abcd"], [*b"efg", END], [*b"xy", END]]
    assert all(canvas.eligible.tolist() == [False] + [True] * (len(canvas.ids) - 1) for canvas in found)
    unshifted = text_canvases(tmp_path / "texts.jsonl", tiny_tokenizer(), spec_of(shift=False), 4)
    assert all(bool(canvas.eligible.all()) for canvas in unshifted)
    (tmp_path / "texts.jsonl").write_text('{"words": "abc"}\n')
    with pytest.raises(DataError, match=r"texts.jsonl:1.*wanted a text under 'text'"):
        text_canvases(tmp_path / "texts.jsonl", tiny_tokenizer(), spec_of(), 4)


def canvases_of(count=6):
    return [
        answer_canvas(row_of("ab", "x" * (3 + n)), spec_of(), canvas=12, eos_in_loss=True, pad_weight=1.0)
        for n in range(count)
    ]


@pytest.mark.parametrize("form", ["fixed_count", "bernoulli"])
def test_prompts_are_never_noised_and_pairs_cover_every_answer_once(form):
    canvases = canvases_of()
    noised = noised_step(canvases, spec_of(), NoiseConfig(form=form, complementary=True), 0, 3)
    assert len(noised.views) == 12
    for row, canvas in enumerate(canvases):
        one, other = (view for view in noised.views if view.row == row)
        assert torch.equal(one.scored ^ other.scored, canvas.eligible)
        for view in (one, other):
            assert torch.equal(view.input_ids == MASK, view.scored)
            assert torch.equal(view.input_ids[~view.scored], canvas.ids[~view.scored])


@pytest.mark.parametrize("complementary", [False, True])
def test_more_draws_are_their_mean(complementary):
    """With a cross-entropy of 1 everywhere a row's views add up to its answer on average, however many they are."""
    canvases = canvases_of()
    noise = NoiseConfig(draws=3, complementary=complementary, form="fixed_count")
    totals = torch.zeros(150, len(canvases))
    for step in range(150):
        noised = noised_step(canvases, spec_of(), noise, 0, step)
        per_row = 6 if complementary else 3
        assert noised.views_per_row == per_row and len(noised.views) == per_row * len(canvases)
        assert [view.row for view in noised.views] == [row for row in range(len(canvases)) for _ in range(per_row)]
        for view in noised.views:
            totals[step, view.row] += view.weight[view.scored].sum()
    wanted = noised.tokens
    error = totals.std(0) / 150**0.5
    assert ((totals.mean(0) - wanted).abs() <= 4 * error + 1e-4).all()
    levels = {tuple(view.scored.tolist()) for view in noised.views if view.row == 5}
    assert len(levels) > 1  # the draws differ


def test_noise_is_a_function_of_seed_step_and_row():
    def hidden(canvases, seed, step):
        noise = NoiseConfig(stratified=False)
        return [view.scored.tolist() for view in noised_step(canvases, spec_of(), noise, seed, step).views]

    six = canvases_of()
    state = torch.get_rng_state()
    assert hidden(six, 0, 3) == hidden(six, 0, 3)
    assert hidden(six, 0, 3) != hidden(six, 0, 4) and hidden(six, 0, 3) != hidden(six, 1, 3)
    assert torch.equal(torch.get_rng_state(), state)


def test_warming_up_noise_is_little_and_unweighted():
    noise = NoiseConfig(warmup_steps=10)
    first, last = (noised_step(canvases_of(), spec_of(), noise, 0, step) for step in (0, 10))
    for view in first.views:
        assert int(view.scored.sum()) <= 2  # a tenth of at most 14 places, rounded up
        assert view.weight[view.scored].max() == 1.0
    assert max(int(view.scored.sum()) for view in last.views) > 7
    assert max(float(view.weight.max()) for view in last.views) > 1.0


def test_attention_grows_from_causal_to_full():
    config = DiffusionConfig(data="x", anneal_steps=4, max_length=100)
    shares = []
    for step in range(6):
        spec, edges = step_attention(spec_of(), config, step)
        assert spec.attention == ("causal" if step < 3 else "full")
        shares.append(1.0 if edges is None else float(edges.float().mean()))
    assert shares == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0], abs=0.02)


def test_blocks_grow_as_asked():
    config = DiffusionConfig(data="x", block_warmup=(1, 4), block_warmup_steps=2)
    lengths = [step_attention(spec_of("block", block_length=8), config, step)[0].block_length for step in range(6)]
    assert lengths == [1, 1, 4, 4, 8, 8]


def test_what_the_model_is_comes_from_the_settings_then_the_checkpoint():
    causal, tokenizer = tiny_model(vocab_size=MASK + 1)
    asked = DiffusionConfig(data="x", mask_id=MASK, attention="block", block_length=4)
    assert chosen_spec(causal, tokenizer, asked) == spec_of("block", block_length=4)
    assert chosen_spec(causal, tokenizer, DiffusionConfig(text="x", mask_id=MASK)) == spec_of(pad_policy="none")
    with pytest.raises(ConfigError, match="mask_id is not set"):
        chosen_spec(causal, tokenizer, DiffusionConfig(data="x"))
    own, spec = tiny_diffusion("block", shift=False, block_length=4)
    assert chosen_spec(own, tokenizer, DiffusionConfig(text="x")) == spec
    assert chosen_spec(own, tokenizer, DiffusionConfig(text="x", attention="full")) == spec_of(shift=False)
    with pytest.raises(ConfigError, match="shift is True, but the model was trained with False"):
        chosen_spec(own, tokenizer, DiffusionConfig(text="x", shift=True))


@pytest.mark.parametrize("config", [{}, {"canvas": 8}, {"attention": "block", "block_length": 4}], ids=str)
def test_the_checkpoint_says_fill_where_end_tokens_stand_behind_answers(config):
    causal, tokenizer = tiny_model(vocab_size=MASK + 1)
    config = DiffusionConfig(data="x", mask_id=MASK, **config)
    spec = chosen_spec(causal, tokenizer, config)
    filled = answer_canvas(row_of("ab", "xy"), spec, canvas=config.canvas, eos_in_loss=True, pad_weight=1.0)
    assert (spec.pad_policy == "fill") == (len(filled.ids) > len(row_of("ab", "xy").ids))


def test_what_is_not_filled_is_not_called_so():
    _, tokenizer = tiny_model(vocab_size=MASK + 1)
    own, spec = tiny_diffusion("full")
    for source in ({"data": "x"}, {"text": "x"}):
        with pytest.raises(ConfigError, match="nothing puts end tokens behind"):
            chosen_spec(own, tokenizer, DiffusionConfig(**source, pad_policy="fill"))
    assert chosen_spec(own, tokenizer, DiffusionConfig(data="x")) == spec  # filled in an earlier stage


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"attention": "prefix", "anneal_steps": 9},
            "anneal_steps is 9, which ends at 'full' attention, but .* 'prefix'",
        ),
        ({"block_warmup": (1, 2), "block_warmup_steps": 3}, "ends at 'block' attention, but the model's is 'full'"),
    ],
)
def test_a_warm_up_to_another_attention_is_refused(change, says):
    causal, tokenizer = tiny_model(vocab_size=MASK + 1)
    with pytest.raises(ConfigError, match=says):
        chosen_spec(causal, tokenizer, DiffusionConfig(data="x", mask_id=MASK, **change))
    own, _ = tiny_diffusion("full")
    with pytest.raises(ConfigError, match=says):
        chosen_spec(own, tokenizer, DiffusionConfig(data="x", **change))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({}, "set exactly one of text"),
        ({"text": "a", "data": "b"}, "set exactly one of text"),
        ({"text": "a", "block_warmup": (1,)}, "go together"),
        ({"data": "a", "canvas": 8, "pad_policy": "none"}, "forbids"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(change, says):
    with pytest.raises(ConfigError, match=says):
        DiffusionConfig(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"attention": "full", "anneal_steps": 3},
        {"attention": "block", "block_length": 4, "noise": NoiseConfig(complementary=True, warmup_steps=2)},
    ],
)
def test_a_stopped_run_goes_on_to_the_same_weights(few, change):
    check_a_stopped_run_goes_on(train, DiffusionConfig, {**few, **change, "epochs": 3})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"attention": "full", "anneal_steps": 6}, "anneal_steps is 6 steps, and the run has 6"),
        ({"noise": NoiseConfig(warmup_steps=9)}, "noise.warmup_steps is 9 steps"),
        (
            {"attention": "block", "block_length": 4, "block_warmup": (1, 2), "block_warmup_steps": 3},
            "block_warmup x block_warmup_steps is 6 steps",
        ),
    ],
)
def test_a_warm_up_is_over_before_the_run_is(few, change, says):
    """Four rows in batches of two, three times: six steps."""
    config = DiffusionConfig(**{**few, **change, "epochs": 3})
    with pytest.raises(ConfigError, match=says):
        train(config)
    assert not Path(config.run).exists()


def test_the_token_budget_changes_nothing_but_rounding(few, tmp_path):
    """The loss is divided by counts of the whole step, so cutting it into passes changes nothing."""
    seen = []
    for budget in (10_000, 1):
        config = DiffusionConfig(**{**few, "run": str(tmp_path / f"run-{budget}"), "token_budget": budget, "canvas": 8})
        seen.append([row["loss"] for row in train_metrics(train(replace(config, normalisation="masked", epochs=1)))])
    assert seen[0] == pytest.approx(seen[1], rel=1e-4)


def ask(number, seed=0):
    ids = prompt_ids(tiny_tokenizer(), [Message("user", f"Say {number}.")])
    return Request(prompt_ids=ids, params=SamplingParams(max_tokens=8, temperature=0.0), seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attention", "block_length", "shift", "normalisation"),
    [
        ("full", 0, True, "batch_tokens"),
        ("full", 0, False, "answer"),
        ("block", 4, True, "masked"),
        ("prefix", 0, True, "batch_tokens"),
    ],
)
def test_it_learns_and_the_sampler_solves_the_task(few, attention, block_length, shift, normalisation):
    """Saying a number twice: masked cross-entropy falls to about nothing, and every order and schedule writes it."""
    optim = OptimConfig(learning_rate=1e-2, schedule="cosine")
    config = DiffusionConfig(
        **few, attention=attention, block_length=block_length, shift=shift, normalisation=normalisation, canvas=8,
        epochs=150, optim=optim, noise=NoiseConfig(complementary=True),
    )  # fmt: skip
    folder = train(config)
    rows = train_metrics(folder)
    last = sum(row["masked_ce"] for row in rows[-10:]) / 10
    assert rows[0]["masked_ce"] > 2 and last < 0.1
    model, tokenizer, spec = load_diffusion(str(folder / "model"), device="cpu")
    assert (spec.attention, spec.shift, spec.pad_policy) == (attention, shift, "fill")
    for params in (
        DenoiseParams(),
        DenoiseParams(order="left_to_right"),
        DenoiseParams(order="random", steps=4),
        DenoiseParams(order="confidence", schedule="threshold", threshold=0.9),
    ):
        engine = DenoiseEngine(model, tokenizer, params=params, device="cpu")
        texts = [completion.text for completion in generate(engine, [ask(n) for n in range(4)])]
        assert texts == [f"{n}{n}!" for n in range(4)], params


def test_the_command_line_samples_a_diffusion_model_as_asked(tmp_path, capsys):
    model, _ = tiny_diffusion()
    save_model(model, tiny_tokenizer(), tmp_path / "model")
    words = ["sample", "Hi", "--model", str(tmp_path / "model"), "--max-tokens", "8", "--dtype", "float32"]
    words += ["--device", "cpu", "--temperature", "1"]
    assert main([*words, "--denoise", "order=margin,steps=4"]) == 0
    engine = DenoiseEngine(model, tiny_tokenizer(), params=DenoiseParams(order="margin", steps=4), device="cpu")
    ids = prompt_ids(tiny_tokenizer(), [Message("user", "Hi")])
    seed = derive_seed(0, "sample", 0)
    (found,) = generate(engine, [Request(prompt_ids=ids, params=SamplingParams(max_tokens=8), seed=seed)])
    assert capsys.readouterr().out == found.text + "\n\n"
    assert main([*words, "--denoise", "order=margin,steps=9"]) == 1
    assert "9 steps for at most 8 masked tokens" in capsys.readouterr().err
    assert main([*words, "--denoise", "ordering=margin"]) == 1
    assert "did you mean" in capsys.readouterr().err
    assert main([*words, "--engine", "local"]) == 1
    assert "use the engine `denoise`" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command", [["sample", "Hi"], ["eval", "--tasks", "{}/my.py:load"]], ids=lambda words: words[0]
)
@pytest.mark.parametrize(
    ("more", "status", "says"),
    [
        (["--system", "x" * 600], 0, "samples had no room for their prompt"),
        (["--denoise", "steps=9"], 1, "9 steps for at most 8 masked tokens"),
    ],
    ids=["prompt", "steps"],
)
def test_a_canvas_that_cannot_be_is_told_on_the_command_line(workshop, capsys, command, more, status, says):
    """The model has 512 positions."""
    model, _ = tiny_diffusion()
    save_model(model, tiny_tokenizer(), workshop / "diffusion")
    words = [word.format(workshop) for word in command] + ["--model", str(workshop / "diffusion"), "--max-tokens", "8"]
    assert main([*words, "--dtype", "float32", "--device", "cpu", *more]) == status
    assert says in "".join(capsys.readouterr())


class Heard(Silent):
    def __init__(self):
        self.words = []

    def message(self, text):
        self.words.append(text)


def test_answers_longer_than_the_canvas_are_left_out_and_counted(few, tmp_path):
    """Answers of `33!` and their ends are four tokens; of one digit more, five."""
    with pytest.raises(
        ConfigError, match="canvas is 3, and all of 4 answers have more tokens, the shortest 4 with its end"
    ):
        train(DiffusionConfig(**few, canvas=3))
    assert not Path(few["run"]).exists()
    longer = Path(few["data"]).read_text() + json.dumps({"prompt": "12", "completion": "333!"}) + "\n"
    (tmp_path / "longer.jsonl").write_text(longer)
    heard = Heard()
    train(DiffusionConfig(**{**few, "data": str(tmp_path / "longer.jsonl")}, canvas=4, epochs=1), reporter=heard)
    assert "1 answers longer than the canvas of 4 left out, the longest 5" in heard.words


@pytest.mark.parametrize(
    "kind", [partial(RLConfig), partial(DiffusionConfig, data="a"), partial(PreferenceConfig, data="a")]
)
def test_more_steps_than_places_are_refused_with_the_settings(kind):
    sampling, denoise = SamplingConfig(max_tokens=8), DenoiseParams(steps=8)
    kind(sampling=sampling, denoise=denoise)
    with pytest.raises(ConfigError, match=r"9 steps for at most 8 masked tokens \(sampling.max_tokens\)"):
        kind(sampling=sampling, denoise=DenoiseParams(steps=9))
    with pytest.raises(ConfigError, match=r"8 steps for at most 4 masked tokens \(report.max_tokens\)"):
        kind(sampling=sampling, denoise=denoise, report=ReportConfig(max_tokens=4))


def test_adapting_on_texts_then_tuning_keeps_what_the_model_is(diffusion_settings, few, tmp_path):
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": f"{n} is {n}"}) + "\n" for n in range(4)))
    texts = {**diffusion_settings, "text": str(tmp_path / "texts.jsonl"), "run": str(tmp_path / "adapted")}
    adapted = train(DiffusionConfig(**texts, epochs=1, attention="block", block_length=4, shift=False))
    tuned = train(DiffusionConfig(**{**few, "mask_id": None, "model": str(adapted / "model"), "epochs": 1}))
    _, _, before = load_diffusion(str(adapted / "model"), device="cpu")
    _, _, after = load_diffusion(str(tuned / "model"), device="cpu")
    assert before == spec_of("block", shift=False, block_length=4, pad_policy="none")
    assert after == replace(before, pad_policy="fill")


def test_a_step_in_which_no_token_was_masked_learns_nothing(few):
    """Bernoulli noise at a level of one in a hundred thousand masks none of a dozen tokens."""
    noise = NoiseConfig(form="bernoulli", low=1e-5, high=2e-5)
    folder = train(DiffusionConfig(**few, epochs=1, noise=noise))
    for row in train_metrics(folder):
        assert (row["loss"], row["masked_tokens"]) == (0.0, 0) and "masked_ce" not in row
    begun, ended = (load_file(Path(path) / "model.safetensors") for path in (few["model"], folder / "model"))
    assert all(torch.equal(ended[name], weight) for name, weight in begun.items())
