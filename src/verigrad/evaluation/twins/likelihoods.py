"""Part: how likely the gold answers are, in bits per byte, and each masked token when little is masked.

Estimators are named, since they are different quantities (`verigrad.evaluation.likelihood`): a causal model's chain
rule, a diffusion model's chain rule from left to right, and its bound by sampling masks. A causal model has to tell
where the answer ends, so a diffusion model is not shown the end tokens that fill the canvas behind: the chain rule
leaves these places masked, the bound scores them as well. Of a model trained without them the bound is
`elbo_given_length`: its row ends with the answer, which tells how long it is.
"""

from __future__ import annotations

import torch
from torch import Tensor

from verigrad.evaluation.likelihood import bits_per_byte, chain_rule, elbo
from verigrad.evaluation.twins.bench import Bench, Row
from verigrad.evaluation.twins.models import Twin, dtype_of
from verigrad.evaluation.twins.rows import CLOSE, OPEN, answered
from verigrad.models.base import Batch, View
from verigrad.models.diffusion import DiffusionSpec
from verigrad.models.masked import masked_logprobs
from verigrad.models.scoring import token_logprobs
from verigrad.seeds import derive_seed

__all__ = ["LOW_NOISE", "measure"]

LOW_NOISE = 0.15
_AT_ONCE = 32  # answers scored in one call


def measure(bench: Bench, twin: Twin) -> list[Row]:
    """A row a task: nats of the gold answer and its end by each estimator, its bytes, and the cross-entropy of tokens
    with a share `LOW_NOISE` of them masked (a causal model's: of all tokens)."""
    golds = [(task, f"{OPEN}{(bench.tasks.oracle(task).gold or '').strip()}\n{CLOSE}") for task in bench.tasks.tasks]
    rows: list[Row] = []
    for first in range(0, len(golds), _AT_ONCE):
        part = golds[first : first + _AT_ONCE]
        ids, scored = [], []
        for task, answer in part:
            own = twin.tokenizer.encode(answer, add_special_tokens=False)
            row, start = answered(bench, twin, task.prompt, own)
            places = torch.arange(len(row))
            ids.append(torch.tensor(row))
            scored.append((places >= start) & (places <= start + len(own)))
        nats = _nats(bench, twin, ids, scored, first)
        for number, (task, answer) in enumerate(part):
            found = {name: values[number] for name, values in nats.items()}
            rows.append(
                {
                    "record": "likelihood",
                    "arm": "gold",
                    "setting": "",
                    "task_id": task.id,
                    "tokens": int(scored[number].sum()),
                    "bytes": len(answer.encode()),
                    **found,
                    **{f"{name}_bits_per_byte": bits_per_byte(found[name], answer) for name in nats if name in _LOG},
                }
            )
        bench.progress.advance(len(part))
    return rows


_LOG = ("chain_rule", "elbo", "elbo_given_length")


def _nats(bench: Bench, twin: Twin, ids: list[Tensor], scored: list[Tensor], first: int) -> dict[str, list[float]]:
    """Log-likelihoods by estimator, and `masked_ce`."""
    dtype = dtype_of(bench.config)
    if twin.spec is None:
        logprobs = _causal_logprobs(twin, ids, scored, dtype)
        sums = [float(own.sum()) for own in logprobs]
        means = [-float(own.mean()) for own in logprobs]
        return {"chain_rule": sums, "masked_ce": means}
    seed = derive_seed(bench.config.seed, "elbo", first)
    canvas = [torch.arange(len(own)) >= int(marked.long().argmax()) for own, marked in zip(ids, scored, strict=True)]
    bound = elbo(twin.model, ids, canvas, twin.spec, draws=bench.config.draws, seed=seed, dtype=dtype)
    rows, marks, behind = _on_canvas(bench, twin.spec, ids, scored)
    name = "elbo" if twin.spec.pad_policy == "fill" else "elbo_given_length"
    exact = chain_rule(twin.model, rows, marks, twin.spec, behind=behind, dtype=dtype)
    errors = {f"{name}_standard_error": bound.standard_errors.tolist()} if bench.config.draws > 1 else {}
    return {
        "chain_rule": exact.values.tolist(),
        name: bound.values.tolist(),
        **errors,
        "masked_ce": _masked_ce(bench, twin, ids, scored, first),
    }


def _causal_logprobs(twin: Twin, ids: list[Tensor], scored: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """Log-probs of the scored tokens of each row."""
    shape = (len(ids), max(map(len, ids)))
    mask = torch.zeros(shape, dtype=torch.bool)
    for row, own in enumerate(scored):
        mask[row, : len(own)] = own
    numbers = torch.arange(len(ids))
    batch = Batch(
        views=tuple(View(row, own, scored[row]) for row, own in enumerate(ids)),
        mask=mask,
        sampler_logprobs=torch.zeros(shape),
        temperature=torch.ones(shape),
        kept={},
        prompt_lengths=torch.tensor([int(own.long().argmax()) for own in scored]),
        rollout_index=numbers,
        group_ids=numbers,
        rewards=torch.zeros(len(ids)),
    )
    values = token_logprobs(twin.model, batch, dtype=dtype).values
    return [values[row][mask[row]] for row in range(len(ids))]


def _on_canvas(
    bench: Bench, spec: DiffusionSpec, ids: list[Tensor], scored: list[Tensor]
) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    """Rows with as many places as a sampler gives them, whatever training put there; those behind the end."""
    rows, marks, behind = [], [], []
    for own, marked in zip(ids, scored, strict=True):
        start, end = int(marked.long().argmax()), int(marked.nonzero().max()) + 1
        more = spec.canvas_length(max(len(own), start + bench.config.max_tokens)) - len(own)
        rows.append(torch.cat([own, own.new_full((more,), spec.pad_id)]))
        marks.append(torch.cat([marked, marked.new_zeros(more)]))
        behind.append(torch.arange(len(own) + more) >= end)
    return rows, marks, behind


def _masked_ce(bench: Bench, twin: Twin, ids: list[Tensor], scored: list[Tensor], first: int) -> list[float]:
    """Mean cross-entropy of masked tokens, `LOW_NOISE` of the answer masked, over `draws` masks that hide each token
    about equally often; what stands behind the answer is shown."""
    spec, draws = twin.diffusion, bench.config.draws
    means = []
    for row, (own, marked) in enumerate(zip(ids, scored, strict=True)):
        places = marked.nonzero().flatten()
        count = max(1, round(LOW_NOISE * len(places)))
        generator = torch.Generator().manual_seed(derive_seed(bench.config.seed, "low noise", first + row))
        views = []
        order = torch.randperm(len(places), generator=generator)
        for draw in range(draws):
            chosen = order[torch.arange(draw * count, (draw + 1) * count) % len(places)]
            hidden = torch.zeros_like(marked)
            hidden[places[chosen]] = True
            noisy = own.masked_fill(hidden, spec.mask_id)
            views.append(View(draw, noisy, hidden, 1.0, spec.attention, own, prompt_length=int(places[0])))
        shape = (draws, len(own))
        values = masked_logprobs(twin.model, views, spec, shape, "surrogate", dtype=dtype_of(bench.config)).values
        means.append(-float(values.sum()) / (count * draws))
    return means
