"""Converted models: they are what they were at first, see both ways where they should, and say what they are."""

import json
from dataclasses import replace

import pytest
import torch
from tiny import END, MASK, tiny_diffusion, tiny_model, tiny_tokenizer

from verigrad.errors import ConfigError
from verigrad.models.base import View
from verigrad.models.checkpoint import save_model
from verigrad.models.diffusion import (
    DiffusionSpec,
    convert,
    diffusion_spec,
    hidden_states,
    load_diffusion,
    unused_ids,
)
from verigrad.models.masked import masked_logprobs, pack_masked_views, score_masked_pack
from verigrad.models.visibility import Places

KINDS = [("causal", 0), ("full", 0), ("block", 4)]


def ids_of(text):
    return torch.tensor(tiny_tokenizer().encode(text))


def all_states(model, spec, ids):
    return hidden_states(model, ids[None], Places.of(torch.ones(1, len(ids)).bool()), spec)[0]


def hide(row, clean, hidden, spec):
    scored = torch.zeros(len(clean), dtype=torch.bool)
    scored[list(hidden)] = True
    return View(row, clean.masked_fill(scored, MASK), scored, attention=spec.attention, clean_ids=clean)


def source_logprobs(model, ids):
    """Of each token after the first under the causal model, the mask left out."""
    logits = model(ids[None]).logits[0, :-1]
    logits[:, MASK] = -torch.inf
    return logits.log_softmax(-1).gather(1, ids[1:, None])[:, 0]


@pytest.mark.parametrize("family", ["llama", "qwen2", "gpt_neox"])
def test_with_a_causal_mask_it_is_the_model_it_was(family):
    source, _ = tiny_model(family, vocab_size=MASK + 1)
    model, spec = tiny_diffusion("causal", family=family)
    ids = ids_of("def f(x): return")
    with torch.no_grad():
        logits = model.get_output_embeddings()(all_states(model, spec, ids))
        assert (logits - source(ids[None]).logits[0]).abs().max() < 1e-5


def test_with_blocks_of_one_and_shift_it_scores_what_the_causal_model_scores():
    """Each token is masked alone and predicted by the clean place before it: the chain rule, from left to right."""
    source, _ = tiny_model(vocab_size=MASK + 1)
    model, spec = tiny_diffusion("block", block_length=1)
    ids = ids_of("x = [1, 2]")
    scores = masked_logprobs(model, [hide(0, ids, range(1, len(ids)), spec)], spec, (1, len(ids)), "exact")
    with torch.no_grad():
        expected = source_logprobs(source, ids)
    assert torch.allclose(scores.values[0, 1:], expected, atol=1e-5)
    assert scores.values[0, 0] == 0


@pytest.mark.parametrize(("attention", "block"), KINDS)
def test_who_sees_a_later_token(attention, block):
    model, spec = tiny_diffusion(attention, block_length=block)
    one, other = ids_of("abcdefgh"), ids_of("abcdefgz")
    with torch.no_grad():
        changed = (all_states(model, spec, one) - all_states(model, spec, other)).abs().amax(1) > 1e-6
    first_seen = {"causal": 7, "full": 0, "block": 4}[attention]
    assert changed.tolist() == [place >= first_seen for place in range(8)]


def one_by_one(model, spec, ids, hidden):
    """Block-diffusion log-probs without the doubled row: each block run behind the clean ones before it."""
    found = []
    for token in hidden:
        start = token // spec.block_length * spec.block_length
        noisy = ids[: start + spec.block_length].clone()
        noisy[[place for place in hidden if start <= place < len(noisy)]] = MASK
        logits = model.get_output_embeddings()(all_states(model, spec, noisy))[token - int(spec.shift)]
        logits[MASK] = -torch.inf
        found.append(logits.log_softmax(-1)[ids[token]])
    return torch.stack(found)


@pytest.mark.parametrize("shift", [True, False])
def test_all_blocks_at_once_score_as_one_after_the_other(shift):
    model, spec = tiny_diffusion("block", shift=shift, block_length=3)
    ids, hidden = ids_of("for i in x:"), [2, 3, 5, 6, 7, 10]
    scores = masked_logprobs(model, [hide(0, ids, hidden, spec)], spec, (1, len(ids)), "bound")
    with torch.no_grad():
        assert torch.allclose(scores.values[0, hidden], one_by_one(model, spec, ids, hidden), atol=1e-5)


@pytest.mark.parametrize("shift", [True, False])
def test_a_hidden_token_is_predicted_where_the_shift_says(shift):
    model, spec = tiny_diffusion("full", shift=shift)
    ids = ids_of("a+b=c")
    view = hide(0, ids, [3], spec)
    (pack,) = pack_masked_views([view], spec, token_budget=100)
    with torch.no_grad():
        logits = model.get_output_embeddings()(all_states(model, spec, view.input_ids))[2 if shift else 3]
        logits[MASK] = -torch.inf
        logprobs, entropy = score_masked_pack(model, pack, spec)
    wanted = logits.log_softmax(-1)
    assert torch.allclose(logprobs, wanted[ids[3]], atol=1e-5)
    assert torch.allclose(entropy, -torch.special.xlogy(wanted.exp(), wanted.exp()).sum(), atol=1e-4)


@pytest.mark.parametrize(("attention", "block"), KINDS)
@pytest.mark.parametrize("shift", [True, False])
def test_neither_batch_nor_padding_changes_a_score(attention, block, shift):
    model, spec = tiny_diffusion(attention, shift=shift, block_length=block)
    texts = [ids_of(text) for text in ("short", "a much longer row", "middling")]
    views = [hide(row, ids, [1, 3, len(ids) - 1], spec) for row, ids in enumerate(texts)]
    together = masked_logprobs(model, views, spec, (3, 20), "bound", token_budget=1000)
    for row, view in enumerate(views):
        alone = masked_logprobs(model, [view], spec, (3, 20), "bound", token_budget=1)
        assert torch.allclose(together.values[row], alone.values[row], atol=1e-5)
    packs = pack_masked_views(views, spec, token_budget=1)
    assert [len(pack.input_ids) for pack in packs] == [1, 1, 1]


@pytest.mark.parametrize(("attention", "block"), [*KINDS, ("prefix", 0)])
@pytest.mark.parametrize("left", [1, 3, 8])
def test_padding_on_the_left_changes_no_state(attention, block, left):
    """Canvases of half a row behind padding, beside a longer row, against the row alone."""
    model, spec = tiny_diffusion(attention, block_length=block)
    ids = ids_of("a + b")
    length = len(ids)
    row = torch.cat([torch.full((left,), spec.pad_id), ids])
    batch = torch.stack([row, torch.arange(left + length) + 60])
    real = torch.arange(left + length)[None] >= torch.tensor([[left], [0]])
    places = Places.of(real)
    noisy = (places.positions >= length // 2) & real if attention == "prefix" else places.noisy
    alone = Places.of(torch.ones(1, length, dtype=torch.bool))
    with torch.no_grad():
        states = hidden_states(model, batch, replace(places, noisy=noisy), spec)
        wanted = hidden_states(model, ids[None], replace(alone, noisy=noisy[:1, left:]), spec)
    assert torch.allclose(states[0, left:], wanted[0], atol=1e-5)


def behind(row, clean, prompt, hidden, spec):
    """A view of an answer behind `prompt` tokens."""
    return replace(hide(row, clean, hidden, spec), prompt_length=prompt)


@pytest.mark.parametrize("shift", [True, False])
def test_what_a_view_hides_of_the_prompt_no_later_block_sees(shift):
    """Blocks of three: the second token of a prompt of four is hidden, the eighth is scored."""
    model, spec = tiny_diffusion("block", shift=shift, block_length=3)
    ids = ids_of("for i in x:")
    view = behind(0, ids, 4, [7], spec)
    view = replace(view, input_ids=view.input_ids.index_fill(0, torch.tensor([1]), MASK))
    scores = masked_logprobs(model, [view], spec, (1, len(ids)), "surrogate")
    with torch.no_grad():
        logits = model.get_output_embeddings()(all_states(model, spec, view.input_ids[:9]))[7 - int(shift)]
    logits[MASK] = -torch.inf
    assert float(scores.values[0, 7]) == pytest.approx(float(logits.log_softmax(-1)[ids[7]]), abs=1e-5)


@pytest.mark.parametrize("shift", [True, False])
@pytest.mark.parametrize("prompt", [1, 5])
def test_canvases_that_share_a_prompt_score_as_alone_under_the_dense_mask(prompt, shift):
    """Three views of one row and one of another with the same prompt in a pack, against a pass a view."""
    model, spec = tiny_diffusion("prefix", shift=shift)
    model = model.double()
    ids, other = ids_of("print(a+b)"), ids_of("printed")[: prompt + 2]
    views = [behind(0, ids, prompt, hidden, spec) for hidden in ([5, 6], [7, 8, 9], [5, 9])]
    views.append(behind(1, other, prompt, range(prompt, prompt + 2), spec))
    (pack,) = pack_masked_views(views, spec, token_budget=1000)
    start = prompt - int(shift)
    assert pack.num_tokens == start + 3 * (10 - start) + len(other) - start
    with torch.no_grad():
        got, _ = score_masked_pack(model, pack, spec, dtype=torch.float64)
        expected = torch.cat([dense_logprobs(model, spec, view) for view in views])
    assert torch.allclose(got.double(), expected, atol=1e-5)  # log-probs are made in float32
    budget = 2 * 10 - start  # two views of the first row
    shapes = [pack.num_tokens for pack in pack_masked_views(views, spec, token_budget=budget)]
    assert shapes == [budget, 10 + len(other) - start]


def dense_logprobs(model, spec, view):
    """Log-probs of a view's hidden tokens by a forward pass with the mask written out."""
    places = torch.arange(len(view.input_ids))[None]
    noisy = places >= view.prompt_length - int(spec.shift)
    states = hidden_states(
        model, view.input_ids[None], Places(places, torch.ones_like(noisy), noisy), spec, dtype=torch.float64
    )[0]
    logits = model.get_output_embeddings()(states)
    logits[:, MASK] = -torch.inf
    tokens = view.scored.nonzero().flatten()
    return logits[tokens - int(spec.shift)].log_softmax(-1).gather(1, view.clean_ids[tokens, None])[:, 0]


def test_what_is_written_changes_nothing_in_the_prompt():
    model, spec = tiny_diffusion("prefix")
    one, other = ids_of("abcdefgh"), ids_of("abcdefgz")
    noisy = (torch.arange(8) >= 4)[None]
    with torch.no_grad():
        states = [
            hidden_states(model, ids[None], Places(torch.arange(8)[None], torch.ones_like(noisy), noisy), spec)[0]
            for ids in (one, other)
        ]
    changed = (states[0] - states[1]).abs().amax(1) > 1e-6
    assert changed.tolist() == [False] * 4 + [True] * 4


def test_a_text_without_a_prompt_is_as_under_full_attention():
    model, full = tiny_diffusion("full")
    ids = ids_of("x = [1, 2]")
    prefix = replace(full, attention="prefix")
    scores = [
        masked_logprobs(model, [behind(0, ids, 1, [2, 3, 7], spec)], spec, (1, 10), "bound") for spec in (full, prefix)
    ]
    assert torch.allclose(scores[0].values, scores[1].values, atol=1e-5)


def test_gradients_of_shared_prompts_are_those_of_views_alone():
    model, spec = tiny_diffusion("prefix")
    model = model.double()
    ids = ids_of("print(a+b)")
    views = [behind(0, ids, 4, hidden, spec) for hidden in ([5, 6], [7, 8, 9], [4])]
    found = []
    for budget in (1000, 1):
        model.zero_grad()
        for pack in pack_masked_views(views, spec, token_budget=budget):
            score_masked_pack(model, pack, spec, dtype=torch.float64)[0].sum().backward()
        found.append(torch.cat([own.grad.flatten() for own in model.parameters() if own.grad is not None]))
    assert found[0].norm() > 1 and (found[0] - found[1]).norm() < 1e-6 * found[0].norm()


def test_weights_add_views_up():
    model, spec = tiny_diffusion()
    ids = ids_of("abcd")
    one, other = hide(0, ids, [1], spec), hide(0, ids, [1, 2], spec)
    alone = [masked_logprobs(model, [view], spec, (1, 4), "bound").values for view in (one, other)]
    weighted = View(0, other.input_ids, other.scored, torch.tensor([0.0, 0.5, 3.0, 0.0]), "full", ids)
    both = masked_logprobs(model, [one, weighted], spec, (1, 4), "bound")
    assert both.kind == "bound"
    assert torch.allclose(both.values, alone[0] + torch.tensor([0.0, 0.5, 3.0, 0.0]) * alone[1], atol=1e-6)


def test_scores_are_those_of_the_temperature_asked_for():
    model, spec = tiny_diffusion()
    ids = ids_of("abcd")
    view = hide(0, ids, [2], spec)
    heat = torch.full((1, 4), 2.0)
    scores = masked_logprobs(model, [view], spec, (1, 4), "exact", temperature=heat)
    with torch.no_grad():
        logits = model.get_output_embeddings()(all_states(model, spec, view.input_ids))[1] / 2
        logits[MASK] = -torch.inf
    assert torch.allclose(scores.values[0, 2], logits.log_softmax(-1)[ids[2]], atol=1e-5)


def test_gradients_reach_the_weights_and_none_the_logit_of_the_mask():
    model, spec = tiny_diffusion(tie_word_embeddings=False)
    (pack,) = pack_masked_views([hide(0, ids_of("abcd"), [1, 2], spec)], spec, token_budget=100)
    score_masked_pack(model, pack, spec)[0].sum().backward()
    head = model.get_output_embeddings().weight.grad
    assert head[MASK].abs().max() == 0 < head[:MASK].abs().max()


def test_views_that_cannot_be_scored_are_refused():
    _, spec = tiny_diffusion()
    ids = ids_of("abcd")
    with pytest.raises(ValueError, match="the first token of a row is scored"):
        pack_masked_views([hide(0, ids, [0], spec)], spec, token_budget=10)
    with pytest.raises(ValueError, match="needs clean_ids"):
        pack_masked_views([View(0, ids, ids == ids[1], attention="full")], spec, token_budget=10)
    with pytest.raises(ValueError, match="got a model of 'full' attention"):
        pack_masked_views([View(0, ids, ids == ids[1], clean_ids=ids)], spec, token_budget=10)
    prefix = replace(spec, attention="prefix")
    with pytest.raises(ValueError, match="a token of the prompt is scored, among the first 2"):
        pack_masked_views([behind(0, ids, 2, [1, 3], prefix)], prefix, token_budget=10)


def test_saved_and_loaded_it_is_the_same(tmp_path):
    model, spec = tiny_diffusion("block", shift=False, block_length=8)
    save_model(model, tiny_tokenizer(), tmp_path / "model")
    loaded, _, found = load_diffusion(str(tmp_path / "model"), device="cpu")
    assert found == spec
    ids = ids_of("abcdefghij")
    with torch.no_grad():
        assert torch.allclose(all_states(loaded, found, ids), all_states(model, spec, ids), atol=1e-5)


@pytest.mark.parametrize("field", ["shift", "mask_id", "attention", "block_length", "pad_policy"])
def test_a_checkpoint_that_does_not_say_all_is_refused(tmp_path, field):
    model, _ = tiny_diffusion()
    save_model(model, tiny_tokenizer(), tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["verigrad_diffusion"][field]
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=f"lacks {field}"):
        load_diffusion(str(tmp_path / "model"), device="cpu")


def test_what_is_unknown_is_refused():
    causal, _ = tiny_model()
    with pytest.raises(ConfigError, match="is not a masked-diffusion model"):
        diffusion_spec(causal)
    model, _ = tiny_diffusion()
    model.config.verigrad_diffusion["noise"] = "cosine"
    with pytest.raises(ConfigError, match="has unknown noise"):
        diffusion_spec(model)


@pytest.mark.parametrize("mask_id", [ord("a"), END, 256, 257, MASK + 1, -1])
def test_a_mask_id_in_use_or_out_of_the_vocabulary_is_refused(mask_id):
    """A letter, the end, the pad, what begins a chat turn, and ids there are not."""
    model, tokenizer = tiny_model(vocab_size=MASK + 1)
    spec = DiffusionSpec(mask_id=mask_id, shift=True, attention="full", block_length=0, pad_policy="none", pad_id=255)
    with pytest.raises(ConfigError, match=f"mask_id {mask_id} .* wanted one of {MASK}"):
        convert(model, tokenizer, spec)


def test_unused_ids_are_those_no_text_needs():
    tokenizer = tiny_tokenizer()
    assert unused_ids(tokenizer, MASK + 3) == [MASK, MASK + 1, MASK + 2]
    assert unused_ids(tokenizer, MASK) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"attention": "sliding"}, "wanted one of: causal, full, block"),
        ({"attention": "block"}, "needs a length of 1 or more"),
        ({"block_length": 4}, "the others have none"),
        ({"pad_policy": "maybe"}, "wanted one of: none, fill"),
        ({"pad_id": MASK}, "a padded canvas would look masked"),
    ],
)
def test_what_contradicts_itself_is_refused(change, says):
    fields = {"mask_id": MASK, "shift": True, "attention": "full", "block_length": 0, "pad_policy": "none"}
    with pytest.raises(ConfigError, match=says):
        DiffusionSpec(**{**fields, "pad_id": 0, **change})
