"""Reward models: they learn, score as transformers' own classifier does, resume, and can be trained against."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from loops import Stopping, check_a_stopped_run_goes_on, pairs, train_metrics
from tiny import tiny_tokenizer
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification
from transformers.models.llama.modeling_llama import LlamaMLP

from verigrad.cli.label import _margins
from verigrad.errors import ConfigError, RunError
from verigrad.evaluation.held_out import read_held_out
from verigrad.evaluation.held_out_figures import calibration, order_accuracy, separation, side_accuracy
from verigrad.models.chat import answer_ids, prompt_ids
from verigrad.models.scalar import load_scalar
from verigrad.preferences.records import Pair, Ranking, Rated, as_rankings, as_rated, write_records
from verigrad.training.batching import make_batch
from verigrad.training.config import CriticConfig, LoraConfig, OptimConfig, RewardModelConfig, RLConfig, SamplingConfig
from verigrad.training.examples import examples_of
from verigrad.training.held_out import held_out_metrics
from verigrad.training.held_out import held_out_rows as rows_to_write
from verigrad.training.reward_model import _split, by_prompt, score_batch, train
from verigrad.training.rl import train as train_policy
from verigrad.types import Message, Rollout, Score, Turn
from verigrad.ui.folder import open_store
from verigrad.ui.items import read_items

ASKED = (Message("user", "Say a."),)
JUDGED = Pair(prompt=ASKED, chosen="a", rejected="b", meta={"chosen_fraction": 1.0, "rejected_fraction": 0.25})


@pytest.fixture
def settings(workshop):
    records = pairs(20)
    write_records(workshop / "pairs.jsonl", records)
    write_records(workshop / "rated.jsonl", as_rated(records))
    rankings = [
        Ranking(prompt=r.prompt, completions=(r.rejected, r.chosen + "!", r.chosen), rewards=(0.0, 0.5, 1.0))
        for r in records
    ]
    write_records(workshop / "rankings.jsonl", rankings)
    return {
        "run": str(workshop / "rm"),
        "model": str(workshop / "model"),
        "data": str(workshop / "pairs.jsonl"),
        "dtype": "float32",
        "device": "cpu",
        "batch_size": 6,
        "max_length": 128,
        "held_out_share": 0.25,
        "head_factor": 1.0,
        "optim": OptimConfig(learning_rate=3e-3, warmup_steps=1),
    }


def held_out(folder):
    return json.loads((Path(folder) / "summary.json").read_text())["held_out"]


def held_out_rows(folder):
    return [json.loads(line) for line in (Path(folder) / "held_out.jsonl").read_text().splitlines()]


def classifier_score(model, prompt, answer):
    tokenizer = tiny_tokenizer()
    ids = prompt_ids(tokenizer, prompt) + answer_ids(tokenizer, answer)
    return float(model(torch.tensor([ids])).logits[0, 0].detach())


@pytest.mark.parametrize(
    ("objective", "file"),
    [("bradley_terry", "pairs"), ("bradley_terry", "rankings"), ("verdict", "rated"), ("regression", "rankings")],
)
def test_it_learns_and_is_measured_on_prompts_it_has_not_seen(settings, workshop, objective, file):
    config = {**settings, "data": f"{workshop}/{file}.jsonl"}
    folder = train(RewardModelConfig(**config, objective=objective, epochs=10))
    rows = train_metrics(folder)
    first = math.log(2) if objective != "regression" else (0.0 + 0.25 + 1.0) / 3
    assert rows[0]["loss"] == pytest.approx(first, abs=1e-5)  # the head starts at zero
    if objective == "regression":
        assert rows[0]["accuracy"] == pytest.approx(1 / 3)  # three scores of 0, one of them the best answer's
    found = held_out(folder)
    assert found["auc"] > 0.95
    assert found.get("pair_accuracy", 1.0) > 0.95
    assert abs(found["length_bias"]) <= 1


def test_the_comparisons_of_a_prompt_are_one_step_and_each_answer_is_run_once(settings, workshop):
    """Three answers, three comparisons of one prompt and one of another: the loss is the mean of the prompts' means."""
    records = [
        Pair(prompt=ASKED, chosen="aa", rejected="b"),
        Pair(prompt=(Message("user", "Say c."),), chosen="c", rejected="b"),
        Pair(prompt=ASKED, chosen="aa", rejected="cccc"),
        Pair(prompt=ASKED, chosen="b", rejected="cccc"),
    ]
    examples = examples_of(tiny_tokenizer(), records, system=None, max_length=128, closing=True)
    first, second = by_prompt(examples)
    assert [len(first.rows), len(second.rows)] == [3, 2]
    texts = [tiny_tokenizer().decode(row.ids[row.prompt_length :]) for row in first.rows]
    assert [text.replace("<|im_end|>", "") for text in texts] == ["aa", "b", "cccc"]
    assert first.facts["comparisons"] == [(0, 1), (0, 2), (1, 2)]

    other = Pair(prompt=(Message("user", "Say d."),), chosen="d", rejected="e")
    write_records(workshop / "few.jsonl", records)
    write_records(workshop / "other.jsonl", [other])
    files = {"data": f"{workshop}/few.jsonl", "held_out": f"{workshop}/other.jsonl"}
    folder = train(RewardModelConfig(**{**settings, **files, "batch_size": 2, "epochs": 3}, centering=0.0))
    rows = train_metrics(folder)
    assert [row["records"] for row in rows] == [4, 4, 4]
    # The model after one step, by transformers, says what the second step's loss was.
    once = train(RewardModelConfig(**{**settings, **files, "batch_size": 2, "run": f"{workshop}/once"}, centering=0.0))
    model = AutoModelForSequenceClassification.from_pretrained(Path(once) / "model")
    gaps = [
        classifier_score(model, pair.prompt, pair.chosen) - classifier_score(model, pair.prompt, pair.rejected)
        for pair in records
    ]
    losses = [math.log1p(math.exp(-gap)) for gap in gaps]
    wanted = ((losses[0] + losses[2] + losses[3]) / 3 + losses[1]) / 2
    assert rows[1]["loss"] == pytest.approx(wanted, abs=1e-5)


def test_no_task_is_both_trained_on_and_measured(settings, workshop):
    """Twenty prompts that ask ten tasks, each in two ways: a quarter of the tasks is set aside with both.

    Prompts are of one family through a third one, too, that asks the tasks of both.
    """
    asked = [replace(pair, meta={"task_id": f"say@1/{n // 2}"}) for n, pair in enumerate(pairs(20))]
    write_records(workshop / "pairs.jsonl", asked)
    trained, measured = _split(RewardModelConfig(**settings))
    sides = [{record.meta["task_id"] for record in part} for part in (trained, measured)]
    assert not sides[0] & sides[1] and (len(sides[0]), len(sides[1])) == (8, 2)
    assert (len(trained), len(measured)) == (16, 4)

    links = [
        replace(asked[n], meta={"task_id": task}) for n, task in ((0, "a"), (2, "a"), (2, "b"), (4, "b"), (6, "c"))
    ]
    write_records(workshop / "pairs.jsonl", links)
    for seed in range(4):
        sizes = sorted(len(part) for part in _split(RewardModelConfig(**settings, seed=seed)))
        assert sizes == [1, 4]


def test_a_file_to_measure_on_may_not_ask_the_tasks_trained_on(settings, workshop):
    """Other words, the same task; a record that names none may stand on either side."""
    one, other, third = pairs(3)
    write_records(workshop / "pairs.jsonl", [replace(one, meta={"task_id": "say@1/0"}), third])
    write_records(workshop / "other.jsonl", [replace(other, meta={"task_id": "say@1/0"})])
    config = RewardModelConfig(**settings, held_out=f"{workshop}/other.jsonl")
    with pytest.raises(ConfigError, match=r"1 tasks are in both .*pairs\.jsonl and .*other\.jsonl"):
        _split(config)
    write_records(workshop / "other.jsonl", [other])
    assert [len(part) for part in _split(config)] == [2, 1]


def test_scores_are_the_classifiers(settings):
    """What `held_out.jsonl` says is what transformers' classifier says of prompt, answer and end token."""
    folder = train(RewardModelConfig(**settings, epochs=2))
    model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    rows = [json.loads(line) for line in (folder / "held_out.jsonl").read_text().splitlines()]
    assert len(rows) == 5
    measured = {tuple(round(score, 4) for score in row["scores"]) for row in rows}
    everything = {
        tuple(round(classifier_score(model, pair.prompt, text), 4) for text in (pair.chosen, pair.rejected))
        for pair in pairs(20)
    }
    assert measured <= everything


def test_held_out_rows_say_what_the_report_needs(settings, workshop):
    """Lengths are those of answer and end token, verdicts those in `meta`, and the worst records have their texts."""
    marked = [
        replace(pair, meta={"task_id": f"say@1/{n}", "chosen_fraction": 1.0, "rejected_fraction": n / 40})
        for n, pair in enumerate(pairs(20))
    ]
    write_records(workshop / "pairs.jsonl", marked)
    by_task = {pair.meta["task_id"]: pair for pair in marked}
    folder = train(RewardModelConfig(**settings, epochs=1))
    rows, tokenizer = held_out_rows(folder), tiny_tokenizer()
    for row in rows:
        pair = by_task[row["task_id"]]
        texts = (pair.chosen, pair.rejected)
        assert row["tokens"] == [len(answer_ids(tokenizer, text)) for text in texts]
        assert row["fractions"] == [1.0, pair.meta["rejected_fraction"]]
        wrong = row["scores"][1] > row["scores"][0]
        assert ("answers" in row) == wrong
        if wrong:
            assert row["answers"] == list(texts) and row["prompt"] == pair.prompt[0].content
    assert len({row["prompt_id"] for row in rows}) == len(rows) == 5
    assert len({text for row in rows for text in row["answer_ids"]}) == 10
    assert "Scores of passing and failing answers" in (folder / "report.html").read_text()
    found, read = held_out(folder), read_held_out(rows)
    assert found["auc_verdicts"] == pytest.approx(separation(read).value)
    assert found["auc_verdicts_within_prompt"] == pytest.approx(separation(read, within_prompts=True).value)


def test_auc_is_against_the_verdicts_not_the_labels():
    """Labels that contradict the tests: the first prompt's wanted answer fails, the second's is as good as the other.

    Passing answers score 1 (first), 3 and 0 (second), the failing one 2: one win of three;
    within the first prompt none.
    """
    told = [("a", "b", 0.5, 1, "p"), ("c", "d", 1, 1, "q"), ("c", "d", 1, 1, "q")]
    records = [
        Pair(
            prompt=(Message("user", prompt),),
            chosen=chosen,
            rejected=rejected,
            meta={"chosen_fraction": first, "rejected_fraction": second},
        )
        for chosen, rejected, first, second, prompt in told
    ]
    examples = examples_of(tiny_tokenizer(), records, system=None, max_length=99, closing=True)
    found = held_out_metrics(torch.tensor([2.0, 1.0, 3.0, 0.0, 3.0, 0.0]), examples)
    assert found["auc_verdicts"] == pytest.approx(1 / 3) and found["auc_verdicts_within_prompt"] == 0.0
    assert found["auc"] > 0.7 and found["pair_accuracy"] == 1.0
    bare = [replace(example, record=replace(example.record, meta={})) for example in examples]
    ties = held_out_metrics(torch.zeros(6), bare)
    assert "auc_verdicts" not in ties and ties["calibration_error"] == 0.0  # one half stated, and ties count half


@pytest.mark.parametrize(
    ("objective", "file"), [("bradley_terry", "pairs"), ("verdict", "rated"), ("regression", "rankings")]
)
def test_the_report_computes_what_the_summary_says(settings, workshop, objective, file):
    """Accuracy, calibration and AUC of the log are those of the page."""
    config = {**settings, "data": f"{workshop}/{file}.jsonl"}
    folder = train(RewardModelConfig(**config, objective=objective, epochs=3))
    found, read = held_out(folder), read_held_out(held_out_rows(folder))
    assert read.kind == {"pairs": "pairs", "rated": "labels", "rankings": "rankings"}[file]
    assert calibration(read).error == pytest.approx(found["calibration_error"])
    if objective == "verdict":
        rows = held_out_rows(folder)
        right = [(row["scores"][0] > 0) == row["desirable"] for row in rows]
        assert side_accuracy(read).value == pytest.approx(sum(right) / len(right))
    else:
        assert order_accuracy(read).value == pytest.approx(found["pair_accuracy"])
    assert separation(read).value == pytest.approx(found["auc"])


@pytest.mark.parametrize(
    ("record", "fractions"),
    [
        (Pair(prompt=ASKED, chosen="a", rejected="b", meta={"chosen_fraction": 1, "rejected_fraction": 0.5}), [1, 0.5]),
        (Pair(prompt=ASKED, chosen="a", rejected="b", meta={"chosen_fraction": "all"}), [None, None]),
        (Rated(prompt=ASKED, completion="a", desirable=True, meta={"fraction": 0.75}), [0.75]),
        (as_rated([JUDGED])[1], [0.25]),
        (as_rankings([JUDGED])[0], [1.0, 0.25]),
        (Ranking(prompt=ASKED, completions=("a", "b", "c"), rewards=(1, 0, 0)), None),
    ],
)
def test_what_records_know_of_their_tests(record, fractions):
    (example,) = examples_of(tiny_tokenizer(), [record], system=None, max_length=99, closing=True)
    (row,) = rows_to_write(torch.zeros(len(example.rows)), [example])
    assert row["fractions"] == fractions


def test_at_most_twenty_texts_and_one_a_prompt():
    """Thirty prompts with two wrong pairs each, ever more wrong: of each of the last twenty the second is told."""
    records = [
        Pair(prompt=(Message("user", f"Say {n}."),), chosen=f"a{n}{copy}", rejected=f"b{n}{copy}")
        for n in range(30)
        for copy in range(2)
    ]
    examples = examples_of(tiny_tokenizer(), records, system=None, max_length=99, closing=True)
    scores = torch.tensor([float(side * number) for number in range(60) for side in range(2)])
    rows = rows_to_write(scores, examples)
    assert [row["record"] for row in rows if "answers" in row] == list(range(21, 60, 2))


def test_the_second_loss_is_the_slow_one(settings):
    """One epoch in one batch, twice: AdamW on -log sigmoid(chosen - rejected) + 0.01 (chosen + rejected)^2."""
    optim = OptimConfig(learning_rate=1e-3, warmup_steps=0, max_grad_norm=1e9)
    config = RewardModelConfig(**{**settings, "batch_size": 100, "optim": optim}, epochs=2)
    folder = train(config)
    numbers = {json.loads(line)["record"] for line in (folder / "held_out.jsonl").read_text().splitlines()}
    assert len(numbers) == 5
    unseen = {tuple(row["scores"]) for row in map(json.loads, (folder / "held_out.jsonl").read_text().splitlines())}
    final = AutoModelForSequenceClassification.from_pretrained(folder / "model")

    def is_unseen(pair):
        own = [classifier_score(final, pair.prompt, text) for text in (pair.chosen, pair.rejected)]
        return any(all(abs(a - b) < 1e-4 for a, b in zip(own, other, strict=True)) for other in unseen)

    train_pairs = [pair for pair in pairs(20) if not is_unseen(pair)]
    assert len(train_pairs) == 15
    model, tokenizer = load_scalar(settings["model"])
    groups = [[p for p in model.parameters() if p.ndim >= 2], [p for p in model.parameters() if p.ndim < 2]]
    optimizer = torch.optim.AdamW(
        [{"params": group} for group in groups], lr=1e-3, betas=(optim.beta1, optim.beta2), weight_decay=0.0
    )
    losses = []
    for _ in range(2):
        total = 0.0
        for pair in train_pairs:
            good, bad = (
                model(torch.tensor([prompt_ids(tokenizer, pair.prompt) + answer_ids(tokenizer, text)])).logits[0, 0]
                for text in (pair.chosen, pair.rejected)
            )
            loss = (-torch.nn.functional.logsigmoid(good - bad) + 0.01 * (good + bad) ** 2) / 15
            loss.backward()
            total += float(loss.detach())
        losses.append(total)
        optimizer.step()
        optimizer.zero_grad()
    assert [row["loss"] for row in train_metrics(folder)] == pytest.approx(losses, rel=1e-4)


def test_margins_are_asked_for_where_the_setting_says_so(settings, workshop):
    """Three prompts in one batch, with margins of 0.5, 2 and none: the loss is the mean of -log s(gap - margin).

    The head starts at zero, so that the first step's gaps are 0; the second step's are those of the model after one.
    """
    margins = (0.5, 2.0, None)
    records = [
        Pair(prompt=(Message("user", f"Say {n}."),), chosen="a" * (3 + n), rejected="bbb", margin=margin)
        for n, margin in enumerate(margins)
    ]
    write_records(workshop / "some.jsonl", records)
    write_records(workshop / "other.jsonl", [Pair(prompt=ASKED, chosen="d", rejected="e", margin=3.0)])
    files = {"data": f"{workshop}/some.jsonl", "held_out": f"{workshop}/other.jsonl", "centering": 0.0}

    def losses(use_margin, epochs):
        own = {**settings, **files, "run": f"{workshop}/{use_margin}-{epochs}", "epochs": epochs}
        folder = train(RewardModelConfig(**own, use_margin=use_margin))
        return Path(folder) / "model", [row["loss"] for row in train_metrics(folder)]

    assert losses(False, 1)[1] == pytest.approx([math.log(2)])
    once, _ = losses(True, 1)
    model = AutoModelForSequenceClassification.from_pretrained(once)
    gaps = [
        classifier_score(model, pair.prompt, pair.chosen) - classifier_score(model, pair.prompt, pair.rejected)
        for pair in records
    ]
    wanted = [
        sum(math.log1p(math.exp((margin or 0.0) - gap)) for gap, margin in zip(own, margins, strict=True)) / 3
        for own in ((0.0, 0.0, 0.0), gaps)
    ]
    assert losses(True, 2)[1] == pytest.approx(wanted, abs=1e-5)


def test_a_stopped_run_goes_on_to_the_same_weights(settings):
    settings = {**settings, "epochs": 3, "checkpoint_every": 2}
    check_a_stopped_run_goes_on(train, RewardModelConfig, settings)


def test_a_resumed_run_whose_files_changed_is_refused(settings, workshop):
    """With other records other prompts are held out, and some of them have been trained on by then."""
    config = RewardModelConfig(**{**settings, "epochs": 3, "checkpoint_every": 1})
    with pytest.raises(KeyboardInterrupt):
        train(config, reporter=Stopping(2))
    file = workshop / "pairs.jsonl"
    before = file.read_bytes()
    write_records(file, pairs(24))
    with pytest.raises(RunError, match=r"the content of data has changed since .*rm was begun"):
        train(config, resume=True)
    file.write_bytes(before)
    assert len(train_metrics(train(config, resume=True))) == 9


def test_adapters_and_head_train_and_are_saved_merged(settings):
    config = {**settings, "optim": OptimConfig(learning_rate=2e-2, warmup_steps=1)}
    folder = train(RewardModelConfig(**config, epochs=10, lora=LoraConfig(rank=4, alpha=8.0)))
    assert held_out(folder)["pair_accuracy"] > 0.95
    rows = [json.loads(line) for line in (folder / "held_out.jsonl").read_text().splitlines()]
    model = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    everything = [
        [classifier_score(model, pair.prompt, text) for text in (pair.chosen, pair.rejected)] for pair in pairs(20)
    ]
    for row in rows:
        assert any(row["scores"] == pytest.approx(own, abs=1e-3) for own in everything)


def test_the_head_is_trained_with_the_weights_named(settings):
    """One step of AdamW moves every weight that has a gradient; the others keep every bit."""
    optim = OptimConfig(learning_rate=1e-3, warmup_steps=0)
    # The head starts at zero, so that nothing below it has a gradient before the second step.
    config = RewardModelConfig(**{**settings, "optim": optim, "epochs": 2, "batch_size": 99}, train_only=("norm",))
    model, _ = load_scalar(str(train(config) / "model"))
    found = {name.removeprefix("model."): weight for name, weight in model.named_parameters()}
    before = AutoModelForCausalLM.from_pretrained(settings["model"]).model.state_dict()
    moved = {name for name, old in before.items() if not torch.equal(found[name], old)}
    assert moved == {name for name in before if "norm" in name} and bool(found["score.weight"].any())


def test_rollouts_are_scored_at_the_end_of_their_last_row(settings):
    folder = train(RewardModelConfig(**settings, epochs=2))
    model, _ = load_scalar(str(folder / "model"))

    def rollout(prompt, completion):
        turn = Turn(prompt_ids=prompt, completion_ids=completion, sampler_logprobs=(-1.0,) * len(completion))
        return Rollout(task_id="t", episode_id="e", group_id="g", turns=(turn,), status="finished", score=Score(0.0))

    texts = [((5, 6, 7), (8, 9)), ((5, 6, 7), (10, 11, 12, 13)), ((20, 21), (22,))]
    batch = make_batch([[rollout(*text)] for text in texts])
    found = score_batch(model, batch, token_budget=16, dtype=torch.float32)
    expected = [float(model(torch.tensor([prompt + completion])).logits[0, 0].detach()) for prompt, completion in texts]
    assert found.tolist() == pytest.approx(expected, abs=1e-5)


def test_a_policy_trained_against_it_raises_its_score(settings, workshop):
    """The reward model likes a's and not b's; so does the policy in the end. The verdicts are still measured."""
    folder = train(RewardModelConfig(**settings, epochs=10))
    config = RLConfig(
        run=str(workshop / "run"),
        model=settings["model"],
        tasks=f"{workshop}/my.py:load",
        reward=f"{workshop}/my.py:ascii_share",
        reward_model=str(folder / "model"),
        steps=25,
        tasks_per_step=3,
        group_size=6,
        dtype="float32",
        device="cpu",
        max_length=128,
        optim=OptimConfig(learning_rate=5e-3, warmup_steps=1),
        sampling=SamplingConfig(max_tokens=8),
    )
    rows = train_metrics(train_policy(config))
    start, end = (sum(row["proxy_reward"] for row in part) / 3 for part in (rows[:3], rows[-3:]))
    assert end > start + 0.7
    assert all(0 <= row["reward"] <= 1 for row in rows)


@pytest.mark.slow
def test_ppo_against_it_trains_a_critic_and_is_held_by_the_kl(settings, workshop):
    """Both runs raise the score; a heavy KL penalty, taken off the reward, keeps the policy nearer to its start."""
    folder = train(RewardModelConfig(**settings, epochs=10))
    ends = {}
    for kl_coef in (0.01, 5.0):
        config = RLConfig(
            run=str(workshop / f"run-{kl_coef}"),
            model=settings["model"],
            tasks=f"{workshop}/my.py:load",
            reward=f"{workshop}/my.py:ascii_share",
            reward_model=str(folder / "model"),
            algorithm="ppo",
            kl_coef=kl_coef,
            steps=25,
            tasks_per_step=3,
            group_size=6,
            dtype="float32",
            device="cpu",
            max_length=128,
            optim=OptimConfig(learning_rate=5e-3, warmup_steps=1),
            critic=CriticConfig(learning_rate=5e-3),
            sampling=SamplingConfig(max_tokens=8),
        )
        rows = train_metrics(train_policy(config))
        start, end = (
            {k: sum(r[k] for r in part) / 3 for k in ("proxy_reward", "kl")} for part in (rows[:3], rows[-3:])
        )
        assert rows[-1]["critic_loss"] < rows[0]["critic_loss"] or kl_coef > 1
        ends[kl_coef] = end["proxy_reward"] - start["proxy_reward"], end["kl"]
    assert ends[0.01][0] > 0.7
    assert ends[5.0][1] < ends[0.01][1] / 2 and ends[5.0][0] < ends[0.01][0]


def test_its_margins_choose_what_people_are_asked_first(settings, workshop):
    """Trained to like a's and not b's: the surest comparison, a against b, comes last, the one of two a's before it."""
    folder = train(RewardModelConfig(**settings, epochs=6)) / "model"
    texts = {"a": "aaaa", "a too": "aaaaa", "b": "bbbb", "long": "a" * 3000}
    rows = [
        {"task_id": "t", "prompt": "Say a.", "completion": text, "passed": 0, "total": 1} for text in texts.values()
    ]
    (workshop / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = read_items(workshop / "samples.jsonl")
    found = {frozenset((i.a.completion, i.b.completion)): m
             for i, m in zip(items, _margins(str(folder))(items), strict=True)}  # fmt: skip
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    scores = {text: classifier_score(model, ASKED, text) for text in list(texts.values())[:3]}
    for one, other in (("aaaa", "aaaaa"), ("aaaa", "bbbb")):
        assert found[frozenset((one, other))] == pytest.approx(abs(scores[one] - scores[other]), abs=1e-3)
    assert found[frozenset(("aaaa", "aaaaa"))] < found[frozenset(("aaaa", "bbbb"))]
    assert all(margin is None for pair, margin in found.items() if texts["long"] in pair)
    store = open_store(workshop / "labels", workshop / "samples.jsonl", margins=_margins(str(folder)))
    asked = [frozenset((item.a.completion, item.b.completion)) for item in store.items.values()]
    store.close()
    assert asked[0] == {"aaaa", "aaaaa"} and texts["long"] in asked[-1]


@pytest.mark.parametrize(
    ("written", "asked"), [('system = "Be brief."\n', "Be brief."), ("seed = 1\n", None), (None, None)]
)
def test_its_margins_are_asked_under_the_system_message_it_was_trained_with(tmp_path, monkeypatch, written, asked):
    folder, seen = tmp_path / "model", []
    folder.mkdir()
    if written is not None:
        (tmp_path / "config.toml").write_text(written)

    def answer_scores(folder, answers, *, system):
        seen.append(system)
        return [0.0] * len(answers)

    monkeypatch.setattr("verigrad.training.answer_scores.answer_scores", answer_scores)
    assert _margins(str(folder))([]) == [] and seen == [asked]


def test_clear_errors(settings, workshop):
    with pytest.raises(ConfigError, match="data is not set"):
        RewardModelConfig(run="x")
    with pytest.raises(ConfigError, match="prompts are in both"):
        train(RewardModelConfig(**settings, held_out=str(workshop / "rated.jsonl")))
    write_records(workshop / "one.jsonl", pairs(1))
    with pytest.raises(ConfigError, match="holds one prompt"):
        train(RewardModelConfig(**{**settings, "data": str(workshop / "one.jsonl")}))


def test_gradient_checkpointing_runs_layers_again_and_changes_nothing(settings, monkeypatch):
    runs = {"forward": 0}
    forward = LlamaMLP.forward

    def counted(self, x):
        runs["forward"] += 1
        return forward(self, x)

    monkeypatch.setattr(LlamaMLP, "forward", counted)
    rows, counts = [], []
    for wanted in (False, True):
        runs["forward"] = 0
        config = RewardModelConfig(
            **{**settings, "run": settings["run"] + str(wanted)}, gradient_checkpointing=wanted, epochs=1
        )
        rows.append(train_metrics(train(config)))
        counts.append(runs["forward"])
    assert counts[1] > counts[0]
    for plain, again in zip(*rows, strict=True):
        for key in ("loss", "grad_norm", "accuracy"):
            assert again[key] == pytest.approx(plain[key], rel=1e-4, abs=1e-6)


def test_decay_shrinks_matrices_by_rate_times_decay(settings):
    """AdamW's decay is apart from the gradient: after one step the two runs differ by 0.01 x 0.5 of where they began.

    Only the head has a gradient in that step, and it has no decay.
    """
    optim = OptimConfig(learning_rate=1e-2, warmup_steps=0, schedule="constant")
    found = []
    for decay in (0.0, 0.5):
        own = {"run": settings["run"] + str(decay), "optim": replace(optim, weight_decay=decay), "batch_size": 99}
        folder = train(RewardModelConfig(**{**settings, **own}))
        found.append(load_scalar(str(folder / "model"), device="cpu")[0].state_dict())
    plain, decayed = found
    begun = AutoModelForCausalLM.from_pretrained(settings["model"]).model.state_dict()
    assert torch.equal(plain.pop("score.weight"), decayed.pop("score.weight"))
    assert {name.removeprefix("model.") for name in plain} == begun.keys()
    for name, value in plain.items():
        old = begun[name.removeprefix("model.")]
        shrunk = old.ndim >= 2
        torch.testing.assert_close(decayed[name], value - 0.005 * old if shrunk else value, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("lora", [LoraConfig(), LoraConfig(rank=2)])
def test_the_head_learns_faster(settings, lora):
    """AdamW's first step moves every weight with a gradient by its rate: the head, from zero, by a factor more."""
    optim = OptimConfig(learning_rate=1e-4, warmup_steps=0, schedule="constant", max_grad_norm=1e9)
    config = RewardModelConfig(**{**settings, "optim": optim, "batch_size": 99, "head_factor": 50.0}, lora=lora)
    model, _ = load_scalar(str(train(config) / "model"), device="cpu")
    head = model.score.weight.detach()
    assert head.abs().max() == pytest.approx(50 * 1e-4, rel=1e-3)
    assert head.abs().median() == pytest.approx(50 * 1e-4, rel=1e-3)
