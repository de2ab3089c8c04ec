"""Training never holds tables as wide as the vocabulary over the whole batch, and gives freed memory back."""

from types import SimpleNamespace

import pytest
import torch
from loops import train_metrics
from tiny import tiny_model
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from verigrad import allocator
from verigrad.preferences.records import Pair, as_rankings, as_rated, write_records
from verigrad.training.config import OptimConfig, PreferenceConfig, RewardModelConfig
from verigrad.training.preference import train as train_preference
from verigrad.training.reward_model import train as train_reward_model
from verigrad.types import Message

VOCABULARY, HIDDEN = 50_021, 48  # a prime, so that no other size is one of its multiples
BUDGET = 150  # positions of a forward pass
ANSWER = 20  # tokens, the end token included


class WideRows(TorchDispatchMode):
    """Counts rows as wide as the vocabulary that are alive at one time, in the forward and the backward pass.

    Weights and what has their shape (gradients, optimizer state) do not count. Storages are what is counted, so views
    do not add to their table, and what only autograd still holds is alive.
    """

    def __init__(self):
        super().__init__()
        self.most = 0
        self._alive = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor) and self._is_wide(tensor):
                storage = tensor.untyped_storage()
                rows = storage.nbytes() // tensor.element_size() // VOCABULARY
                self._alive.setdefault(storage._cdata, (StorageWeakRef(storage), rows))
        self._alive = {key: entry for key, entry in self._alive.items() if not entry[0].expired()}
        self.most = max(self.most, sum(rows for _, rows in self._alive.values()))
        return out

    def _is_wide(self, tensor):
        sizes = sorted(size for size in tensor.shape if size != 1)
        return VOCABULARY in sizes and sizes != [HIDDEN, VOCABULARY]


def pairs(count):
    """Prompts all differ, and all have equal lengths."""
    texts = ("a" * (ANSWER - 1), "b" * (ANSWER - 1))
    prompts = [(Message("user", f"Say {n}."),) for n in range(100, 100 + count)]
    return [Pair(prompt=prompt, chosen=texts[0], rejected=texts[1]) for prompt in prompts]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model of a large vocabulary, its tokenizer as ever."""
    folder = tmp_path_factory.mktemp("wide")
    model, tokenizer = tiny_model("llama", vocab_size=VOCABULARY)
    assert model.config.hidden_size == HIDDEN
    model.save_pretrained(folder / "model")
    tokenizer.save_pretrained(folder / "model")
    return folder


@pytest.fixture
def wide_rows(folder, tmp_path):
    """Most wide rows alive at once in a command's run of one step over so many pairs."""

    def run(config_type, train, count, *, dtype="float32", token_budget=BUDGET, **settings):
        records = pairs(count)
        made = {"kto": as_rated, "rrhf": as_rankings}.get(settings.get("loss"))
        records = made(records) if made else records
        place = tmp_path / f"{len(list(tmp_path.iterdir()))}"
        place.mkdir()
        write_records(place / "data.jsonl", records)
        if config_type is RewardModelConfig:
            write_records(place / "held_out.jsonl", pairs(count + 1)[count:])
            settings["held_out"] = str(place / "held_out.jsonl")
        config = config_type(
            run=str(place / "run"),
            model=str(folder / "model"),
            data=str(place / "data.jsonl"),
            dtype=dtype,
            device="cpu",
            threads=1,
            batch_size=len(records),
            token_budget=token_budget,
            optim=OptimConfig(warmup_steps=0),
            **settings,
        )
        with WideRows() as seen:
            run_folder = train(config)
        assert [row["records"] for row in train_metrics(run_folder)] == [len(records)]
        return seen.most

    return run


@pytest.mark.parametrize("dtype", ["float32", pytest.param("bfloat16", marks=pytest.mark.slow)])
@pytest.mark.parametrize("loss", ["dpo", "kto", "rrhf"])
def test_wide_rows_of_preferences_are_bounded_by_the_token_budget(wide_rows, loss, dtype):
    """The probabilities of a pass, the logits they are made of, and two tables of 16 rows for the softmax."""
    most = wide_rows(PreferenceConfig, train_preference, 8, loss=loss, dtype=dtype)
    assert 0 < most <= 2 * BUDGET + 32
    assert most < 8 * 2 * ANSWER  # less than the answers of the batch, to say nothing of their prompts
    assert wide_rows(PreferenceConfig, train_preference, 16, loss=loss, dtype=dtype) == most


def test_reward_models_have_no_wide_rows(wide_rows):
    for count in (8, 16):
        assert wide_rows(RewardModelConfig, train_reward_model, count) == 0


def test_the_count_sees_a_batch_in_one_pass(wide_rows):
    """Negative control, the real loop: with a budget for everything, all answers' tokens have their probabilities."""
    for count in (8, 16):
        most = wide_rows(PreferenceConfig, train_preference, count, token_budget=1 << 20)
        assert most >= count * 2 * ANSWER


def test_the_count_sees_the_obvious_way():
    """Negative control: all logits at once, or a row at a time with one backward pass at the end, which keeps them."""
    model, _ = tiny_model("llama", vocab_size=VOCABULARY)
    ids = torch.arange(8 * ANSWER).view(8, ANSWER)

    def loss(rows):
        return -model(rows).logits.log_softmax(-1).gather(2, rows[..., None]).sum()

    with WideRows() as at_once:
        loss(ids).backward()
    with WideRows() as kept:
        sum(loss(row[None]) for row in ids).backward()
    with WideRows() as freed:
        for row in ids:
            loss(row[None]).backward()
    assert at_once.most >= 2 * ids.numel()  # the logits, and what log_softmax makes of them
    assert kept.most >= ids.numel()
    assert freed.most <= 4 * ANSWER


# ------------------------------------------------------------------------------------------------ freed memory


def test_freed_memory_goes_back_at_once_and_then_every_ten_seconds(monkeypatch):
    """Steps at 100, 101, 109.9, 110, 119.9 and 130.1 seconds: given back at the first, the fourth and the last."""
    given = []
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(allocator, "_given_back_at", 0.0)
    monkeypatch.setattr(allocator, "_glibc", lambda: SimpleNamespace(malloc_trim=lambda pad: given.append(clock.now)))
    monkeypatch.setattr(allocator, "time", SimpleNamespace(monotonic=lambda: clock.now))
    for now in (100.0, 101.0, 109.9, 110.0, 119.9, 130.1):
        clock.now = now
        allocator.give_back_freed_memory()
    assert given == [100.0, 110.0, 130.1]
