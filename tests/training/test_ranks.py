"""World size changes nothing: the losses and gradients of two gloo processes add up to those of one.

Every algorithm of the table and every preference loss, on a ragged step cut among ranks in several ways. That holds
because what looks at the whole step is settled before the cut; the controls settle it on each rank and get another
answer, so the equalities are no accident of the step.
"""

import math
import os
import subprocess
import sys
import time

import pytest
import ranks
import reference
import torch
import torch.distributed as dist

from verigrad.algorithms.advantages import greedy_baseline, group_centered_batch_whitened, raw_rewards
from verigrad.algorithms.combined import against_past_mean, parts_normalized, towards_teacher, whitened_returns
from verigrad.algorithms.gae import gae
from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES
from verigrad.algorithms.presets import PRESETS
from verigrad.training.options import with_options

pytestmark = [
    pytest.mark.skipif(
        not (dist.is_available() and dist.is_gloo_available()), reason="this build of torch has no gloo"
    ),
]

# Advantages that look at nothing but the rollout itself, and at all of the step; the others look at the group.
ALONE = {raw_rewards, greedy_baseline, against_past_mean, towards_teacher}
WHOLE_STEP = {whitened_returns, group_centered_batch_whitened, parts_normalized, gae}


def run_ranks(folder):
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": loopback, "OMP_NUM_THREADS": "1"}
    logs = [folder / f"rank-{rank}.log" for rank in range(ranks.WORLD)]
    started = []
    try:
        for rank, log in enumerate(logs):
            with log.open("wb") as output:
                command = [sys.executable, ranks.__file__, str(rank), str(folder)]
                started.append(subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT))
        deadline = time.monotonic() + ranks.TIMEOUT + 5
        while time.monotonic() < deadline:
            codes = [process.poll() for process in started]
            if any(codes) or None not in codes:
                break
            time.sleep(0.02)
    finally:
        for process in started:
            process.kill()
            process.wait()
    said = "\n".join(log.read_text() for log in logs)
    assert [process.returncode for process in started] == [0] * ranks.WORLD, said


@pytest.fixture(scope="module")
def sums(once):
    """Of every case the sum over the ranks, and the first rank's part of it."""
    return torch.load(once("ranks", run_ranks) / "sums.pt")


def apart(found, wanted):
    """How far two gradients (the loss set aside) are from each other, as a share of the wanted one."""
    return float((found - wanted)[1:].norm() / wanted[1:].norm())


def same(found, wanted, cut):
    assert float(found[0]) == pytest.approx(float(wanted[0]), rel=1e-10), cut
    assert apart(found, wanted) < 1e-12, cut


@pytest.mark.parametrize("name", ranks.ALGORITHMS)
def test_every_algorithm(sums, name):
    whole = ranks.policy_gradient(name)
    assert whole[1:].norm() > 1e-3
    for cut in (*ranks.ROLLOUT_CUTS, "rows"):
        total, first = sums["policy", name, cut]
        if cut == "rows" and name == "gspo":
            continue
        same(total, whole, cut)
        if cut in ("nothing that trains", "no rows"):
            assert torch.equal(first, total)
        else:
            assert apart(first, total) > 0.05 and first[1:].norm() > 0


def test_a_ratio_over_rows_on_two_ranks_takes_the_cotangents_of_the_whole(sums):
    """GSPO's ratio belongs to a rollout: half of its rows say something else."""
    whole = ranks.policy_gradient("gspo")
    assert apart(sums["policy", "gspo", "rows"][0], whole) > 0.05
    same(sums["cotangents", "gspo", "rows"][0], whole, "rows")


@pytest.mark.parametrize("name", ranks.ALGORITHMS)
def test_advantages_come_before_the_cut(sums, name):
    """Taken of a rank's own rollouts they are right only if the rank has all that they compare."""
    whole, given = ranks.policy_gradient(name), ranks.ALGORITHMS[name].advantage
    function = getattr(given, "func", given)
    # Without whitening GAE would look at single rollouts.
    assert function is not gae or given.keywords["whiten"]
    for cut, right in (("rollouts", function in ALONE), ("groups", function not in WHOLE_STEP)):
        total, _ = sums["policy, own advantages", name, cut]
        if right:
            same(total, whole, cut)
        else:
            assert apart(total, whole) > 1e-3, cut


@pytest.mark.parametrize("name", ranks.ALGORITHMS)
def test_weights_come_before_the_cut(sums, name):
    """Means over each rank's own tokens or rollouts give another step, whether they are added or averaged."""
    whole = ranks.policy_gradient(name)
    for cut in ("rollouts", "groups"):
        total, _ = sums["policy, own weights", name, cut]
        assert apart(total, whole) > 0.05 and apart(total / ranks.WORLD, whole) > 1e-3, cut


@pytest.mark.parametrize("name", [name for name, row in PRESETS.items() if row.keep is not None])
def test_selection_comes_before_the_cut(name):
    """Rollouts of a group are chosen against each other: a rank with half of a group chooses others."""
    # PRIME keeps every group unless it is told not to.
    algorithm = with_options(PRESETS[name], {"accuracy_low": 0.2, "accuracy_high": 0.8} if name == "prime" else {})

    def counted(step):
        chosen = ranks.selected(step, algorithm)
        times = chosen.rollouts.get("counts", torch.ones(chosen.batch.num_rollouts))
        return dict(zip(chosen.rollouts["number"].tolist(), times.tolist(), strict=True))

    step = ranks.made_up_step(name)
    step.rollouts["number"] = torch.arange(step.batch.num_rollouts)
    whole = counted(step)
    for cut, right in (("rollouts", False), ("groups", True)):
        parts = [counted(step.of_rollouts(step.at_rank(cut, rank))) for rank in range(ranks.WORLD)]
        assert (parts[0] | parts[1] == whole) is right


@pytest.mark.parametrize("which", ["critic", "prm", "demonstrations"])
def test_what_is_trained_beside_the_policy(sums, which):
    whole = ranks.companion_gradient(which)
    assert whole[1:].norm() > 1e-3
    for cut in (*ranks.ROLLOUT_CUTS, "rows"):
        same(sums["companion", which, cut][0], whole, cut)


@pytest.mark.parametrize("name", PREFERENCE_LOSSES)
def test_every_preference_loss(sums, name):
    whole = ranks.preference_gradient(name)
    assert whole[1:].norm() > 1e-3
    for cut in ranks.RECORD_CUTS:
        total, first = sums["preference", name, cut]
        same(total, whole, cut)
        if cut == "no records":
            assert torch.equal(first, total)
        else:
            assert apart(first, total) > 0.05 and first[1:].norm() > 0


@pytest.mark.parametrize("name", PREFERENCE_LOSSES)
def test_records_are_counted_before_the_cut(sums, name):
    whole = ranks.preference_gradient(name)
    for cut in ("every other", "the first ones"):
        total, _ = sums["preference, own count", name, cut]
        assert apart(total, whole) > 0.05 and apart(total / ranks.WORLD, whole) > 1e-3, cut


@pytest.mark.parametrize("name", ["kto", "bco"])
def test_numbers_of_the_whole_step_come_before_the_cut(sums, name):
    """KTO's KL and BCO's shift are means over the step; a rank's own are other numbers."""
    whole = ranks.preference_gradient(name)
    for cut in ("every other", "the first ones"):
        assert apart(sums["preference, own numbers", name, cut][0], whole) > 1e-3, cut


# ------------------------------------------------------------------------------------------- and it is the right sum


def slow_logprobs(ids, mask, temperature):
    """Of each token that counts, 0 elsewhere: one row at a time, one token at a time."""
    model, state, found = ranks.Small(), None, []
    before = torch.zeros(8, dtype=torch.float64)
    with torch.no_grad():
        for token, counts, heat in zip(ids, mask, temperature, strict=True):
            logits = [float(x) / heat for x in model.head(before)]
            total = math.log(sum(math.exp(x) for x in logits))
            found.append(logits[token] - total if counts else 0.0)
            _, state = model.mix(model.embed(torch.tensor([[token]])), state)
            before = state[0, 0]
    return found


@pytest.mark.parametrize(
    ("name", "advantage", "reduction"),
    [
        ("grpo", lambda r, g: reference.group_normalized(r, g, 1e-4, 1), reference.sequence_mean),
        ("dr_grpo", reference.group_centered, reference.fixed_length),
        ("prompt_mean", lambda r, g: reference.group_normalized(r, g, 1e-4, 1), reference.prompt_mean),
    ],
    ids=["grpo", "dr_grpo", "prompt_mean"],
)
def test_the_ranks_add_up_to_the_slow_loss(sums, name, advantage, reduction):
    """PPO's clip times the truncated weight of the sampler, plus 0.1 times k3, reduced over lists."""
    step = ranks.made_up_step(name)
    batch = step.batch
    rows = []
    for view in batch.views:
        ids, width = view.input_ids.tolist(), batch.mask.shape[1]
        length = len(ids)
        own = slow_logprobs(ids, batch.mask[view.row, :length].tolist(), batch.temperature[view.row].tolist()[:length])
        rows.append(own + [0.0] * (width - length))
    old, ref = (step.tokens[which].tolist() for which in ("old_logprobs", "ref_logprobs"))
    mask, index, groups = batch.mask.tolist(), batch.rollout_index.tolist(), batch.group_ids.tolist()
    values = advantage(batch.rewards.tolist(), groups)
    losses = reference.ppo_clip(rows, old, [values[i] for i in index], mask, 0.2, 0.2)
    for b, sampler in enumerate(batch.sampler_logprobs.tolist()):
        for t, new in enumerate(rows[b]):
            behind = min(math.exp(old[b][t] - sampler[t]), ranks.CAP)
            k3 = math.exp(ref[b][t] - new) - 1 - (ref[b][t] - new)
            losses[b][t] = losses[b][t] * behind + ranks.KL_COEF * k3
    wanted = reduction(reference.tokens_by_rollout(losses, mask, index, len(groups)), groups, ranks.HORIZON)
    for cut in (*ranks.ROLLOUT_CUTS, "rows"):
        # The weights and the rewards are float32.
        assert float(sums["policy", name, cut][0][0]) == pytest.approx(wanted, rel=2e-6, abs=1e-8)


def test_the_ranks_add_up_to_the_slow_dpo(sums):
    """The mean over all pairs of -log sigmoid(0.1 (log-ratio of the chosen - log-ratio of the rejected))."""
    records, losses = ranks.made_up_records("pairs"), []
    for example, refs in zip(records.examples, records.reference, strict=True):
        chosen, rejected = (
            sum(slow_logprobs(row.ids, row.mask, row.temperature)) - float(ref.sum())
            for row, ref in zip(example.rows, refs, strict=True)
        )
        losses.append(math.log1p(math.exp(-0.1 * (chosen - rejected))))
    for cut in ranks.RECORD_CUTS:
        assert float(sums["preference", "dpo", cut][0][0]) == pytest.approx(sum(losses) / len(losses), rel=1e-9)
