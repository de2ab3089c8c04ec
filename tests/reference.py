"""Slow, obvious versions of the tensor functions: loops over Python lists, straight from the formulas.

Nothing here imports verigrad or torch. A reward of NaN means "left out". A `mask[b][t]` is True where the token counts.
"""

import math
from statistics import mean


def _groups(rewards, group_ids):
    """For each rollout the rewards of its group, left-out ones set aside."""
    return [[r for r, g in zip(rewards, group_ids, strict=True) if g == own and not math.isnan(r)] for own in group_ids]


def group_centered(rewards, group_ids):
    return [
        0.0 if math.isnan(r) else r - mean(group) for r, group in zip(rewards, _groups(rewards, group_ids), strict=True)
    ]


def group_normalized(rewards, group_ids, eps, ddof):
    advantages = []
    for r, group in zip(rewards, _groups(rewards, group_ids), strict=True):
        if math.isnan(r) or len(group) < 2:
            advantages.append(0.0)
            continue
        center = mean(group)
        std = math.sqrt(sum((x - center) ** 2 for x in group) / (len(group) - ddof))
        advantages.append((r - center) / (std + eps) if std > 1e-12 else 0.0)
    return advantages


def leave_one_out(rewards, group_ids):
    advantages = []
    for i, (r, own) in enumerate(zip(rewards, group_ids, strict=True)):
        others = [
            other
            for j, (other, g) in enumerate(zip(rewards, group_ids, strict=True))
            if j != i and g == own and not math.isnan(other)
        ]
        advantages.append(0.0 if math.isnan(r) or not others else r - mean(others))
    return advantages


def mean_normalized(rewards, group_ids):
    advantages = []
    for r, group in zip(rewards, _groups(rewards, group_ids), strict=True):
        center = mean(group) if group else 0.0
        advantages.append(0.0 if math.isnan(r) or center == 0 else (r - center) / center)
    return advantages


def batch_whitened(rewards, eps, ddof):
    return group_normalized(rewards, [0] * len(rewards), eps, ddof)


def has_signal(rewards, group_ids):
    return [
        not math.isnan(r) and max(group) > min(group)
        for r, group in zip(rewards, _groups(rewards, group_ids), strict=True)
    ]


def ppo_clip(logprobs, old_logprobs, advantages, mask, clip_low, clip_high, dual_clip=None):
    """Per-token losses; `advantages` one per row."""
    losses = []
    for row, old_row, advantage, mask_row in zip(logprobs, old_logprobs, advantages, mask, strict=True):
        losses.append([])
        for new, old, counts in zip(row, old_row, mask_row, strict=True):
            if not counts:
                losses[-1].append(0.0)
                continue
            ratio = math.exp(new - old)
            clipped = min(max(ratio, 1 - clip_low), 1 + clip_high)
            objective = min(ratio * advantage, clipped * advantage)
            if dual_clip is not None and advantage < 0:
                objective = max(objective, dual_clip * advantage)
            losses[-1].append(-objective)
    return losses


def tokens_by_rollout(per_token, mask, rollout_index, num_rollouts):
    """The losses of each rollout's counted tokens, its rows joined."""
    tokens = [[] for _ in range(num_rollouts)]
    for losses, mask_row, rollout in zip(per_token, mask, rollout_index, strict=True):
        tokens[rollout] += [loss for loss, counts in zip(losses, mask_row, strict=True) if counts]
    return tokens


def token_mean(tokens, group_ids, horizon):
    return mean(loss for own in tokens for loss in own)


def token_sum(tokens, group_ids, horizon):
    return sum(loss for own in tokens for loss in own)


def sequence_mean(tokens, group_ids, horizon):
    return mean(mean(own) if own else 0.0 for own in tokens)


def sequence_sum(tokens, group_ids, horizon):
    return mean(sum(own) for own in tokens)


def fixed_length(tokens, group_ids, horizon):
    return mean(sum(own) / horizon for own in tokens)


def prompt_mean(tokens, group_ids, horizon):
    per_group = []
    for group in sorted(set(group_ids)):
        joined = [loss for own, g in zip(tokens, group_ids, strict=True) if g == group for loss in own]
        per_group.append(mean(joined) if joined else 0.0)
    return mean(per_group)


def entropy(logits):
    """Of one distribution, in nats."""
    weights = [math.exp(x) for x in logits]
    return -sum(w / sum(weights) * math.log(w / sum(weights)) for w in weights if w > 0)


def pass_at_k(num_samples, num_correct, k, subsets):
    """Share of the given k-subsets of samples (the first `num_correct` of which are right) that hold a right one."""
    return mean(any(i < num_correct for i in chosen) for chosen in subsets(range(num_samples), k))
