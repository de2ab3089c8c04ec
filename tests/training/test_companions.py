"""What learns beside the policy: a critic that goes first, and weights that are averaged."""

import json
from types import SimpleNamespace

import pytest
import torch
from loops import check_a_stopped_run_goes_on, train_metrics
from safetensors.torch import load_file
from tiny import VOCABULARY, tiny_model
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from verigrad.errors import ConfigError
from verigrad.models.checkpoint import save_model
from verigrad.training.batching import make_batch
from verigrad.training.companions import AveragedPolicy, Teacher
from verigrad.training.config import CriticConfig, OptimConfig, RLConfig, SamplingConfig
from verigrad.training.rl import train
from verigrad.types import Rollout, Score, Turn

RATE = 5e-3
FAST = OptimConfig(learning_rate=RATE, warmup_steps=1)
SHORT = SamplingConfig(max_tokens=8)


def test_while_the_critic_warms_up_the_policy_keeps_every_bit(settings):
    """Five steps teach the critic alone; of the sixth AdamW makes its first, which moves a weight by the rate."""
    critic = CriticConfig(learning_rate=RATE, clip=0.0, warmup_steps=5)
    every_step = {**settings, "checkpoint_every": 1, "keep_checkpoints": 9}
    folder = train(RLConfig(**every_step, algorithm="ppo", steps=6, optim=FAST, critic=critic, sampling=SHORT))
    begun = load_file(f"{settings['model']}/model.safetensors")
    *warming, moved = (load_file(path / "policy.safetensors") for path in sorted((folder / "checkpoints").iterdir()))
    assert len(warming) == 5
    for weights in warming:
        assert all(torch.equal(weights[name], value) for name, value in begun.items())
    largest = max(float((moved[name] - value).abs().max()) for name, value in begun.items())
    assert largest == pytest.approx(RATE, rel=1e-3)
    rows = train_metrics(folder)
    losses = [row["critic_loss"] for row in rows]
    assert losses[4] < losses[0] / 2
    assert ["grad_norm" in row for row in rows] == [False] * 5 + [True]


def answered(*completions):
    """One group of rollouts to the prompt 5, 6, 7."""
    rollouts = []
    for ids in completions:
        turn = Turn(prompt_ids=(5, 6, 7), completion_ids=ids, sampler_logprobs=(-5.0,) * len(ids))
        rollouts.append(
            Rollout(task_id="t", episode_id="e", group_id="t", turns=(turn,), status="finished", score=Score(1.0))
        )
    return make_batch([rollouts])


@pytest.mark.parametrize("decay", [0.9, 0.5, 0.0, 1.0])
def test_averaged_weights_are_the_mean_of_all_there_were_by_age(settings, decay):
    """Weights of n steps ago count decay ** n, those of the start too; the counts are divided by their sum.

    So of the first steps the average is not biased towards the start: at decay 1 it is the plain mean, at 0 the last.
    """
    model, _ = tiny_model("llama")
    average = AveragedPolicy(RLConfig(**settings, ewma_decay=decay), SimpleNamespace(model=model, dtype=torch.float32))
    batch = answered((40, 41, 42), (50, 51))
    past = [[weight.detach().double() for weight in model.parameters()]]
    generator = torch.Generator().manual_seed(0)
    for step in range(5):
        with torch.no_grad():
            for weight in model.parameters():
                weight += 0.1 * torch.randn(weight.shape, generator=generator)
        average.learn(batch, {}, step)
        past.append([weight.detach().double() for weight in model.parameters()])
        counts = [decay ** (len(past) - 1 - number) for number in range(len(past))]
        expected = [
            sum(count * weight for count, weight in zip(counts, own, strict=True)) / sum(counts)
            for own in zip(*past, strict=True)
        ]
        for found, wanted in zip(average.learner.model.parameters(), expected, strict=True):
            torch.testing.assert_close(found.detach().double(), wanted, rtol=1e-5, atol=1e-6)
    slow, _ = tiny_model("llama")
    with torch.no_grad():
        for weight, wanted in zip(slow.parameters(), expected, strict=True):
            weight.copy_(wanted)
    anchor = average.signals(batch, {}, 5)["old_logprobs"]
    for view in batch.views:
        with torch.no_grad():
            logprobs = slow(view.input_ids[None]).logits[0].log_softmax(-1)
        for place in view.scored.nonzero().flatten().tolist():
            wanted = float(logprobs[place - 1, view.input_ids[place]])
            assert float(anchor[view.row, place]) == pytest.approx(wanted, abs=1e-4)


def test_a_stopped_run_goes_on_with_its_average(settings):
    fields = {"algorithm": "ppo_ewma", "steps": 6, "optim": FAST, "sampling": SHORT}
    check_a_stopped_run_goes_on(train, RLConfig, {**settings, **fields})


def test_a_teacher_has_the_policys_tokens(settings, workshop):
    """As many ids are no common vocabulary; rows that no token uses, as larger models have, make no other."""
    model, tokenizer = tiny_model("llama")
    stage = SimpleNamespace(model=model, tokenizer=tokenizer, device=torch.device("cpu"), dtype=torch.float32)
    padded, _ = tiny_model("llama", seed=1, vocab_size=VOCABULARY + 5)
    save_model(padded, tokenizer, workshop / "padded")
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    ids = state["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]
    save_model(
        model, PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(state))), workshop / "other"
    )

    def teacher(name):
        return Teacher(RLConfig(**settings, algorithm="distill", teacher=str(workshop / name)), stage)

    told = teacher("padded").signals(answered((97, 98)), {}, 0)["teacher_logprobs"]
    logits = padded(torch.tensor([[5, 6, 7, 97, 98]])).logits.log_softmax(-1)[0]
    wanted = torch.stack([logits[2, 97], logits[3, 98]])
    torch.testing.assert_close(told[told != 0], wanted.detach(), atol=1e-5, rtol=1e-5)
    with pytest.raises(ConfigError, match="has other ids for 2 of the policy's tokens, such as 'a'"):
        teacher("other")
