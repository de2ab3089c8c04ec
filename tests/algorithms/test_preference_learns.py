"""Every preference loss teaches a tiny policy what it promises: its closed-form optimum where it has one.

The policy is a softmax over six "sequences", starts at a random reference, and sees every pair with the exact
probability of its outcome, so nothing is left to sampling. `prefer(i, j)` is the probability that i wins over j.
"""

import pytest
import torch

from verigrad.algorithms.preference import implicit_rewards, preference_summary
from verigrad.algorithms.preference_presets import PREFERENCE_LOSSES
from verigrad.algorithms.presets import call

COUNT = 6
SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2, 3))]


class World:
    """A reference, rewards from best to worst, and lengths; all drawn from the seed."""

    def __init__(self, seed):
        rng = torch.Generator().manual_seed(seed)
        self.ref = (0.5 * torch.randn(COUNT, generator=rng, dtype=torch.float64)).log_softmax(0)
        gaps = 0.2 + 0.3 * torch.rand(COUNT, generator=rng, dtype=torch.float64)
        self.rewards = gaps.cumsum(0).flip(0) - gaps.sum() / 2
        self.lengths = torch.randint(2, 6, (COUNT,), generator=rng)
        self.logits = self.ref.clone().requires_grad_()

    def logprobs(self):
        return self.logits.log_softmax(0)

    def offered(self, chosen, rejected):
        """What a loop would hand over for these pairs."""
        offer = {}
        for kind, rows in (("chosen", chosen), ("rejected", rejected)):
            offer[f"{kind}_lengths"] = self.lengths[rows]
            for who, logprobs in (("policy", self.logprobs()), ("ref", self.ref)):
                offer[f"{who}_{kind}"] = logprobs[rows]
                offer[f"{who}_{kind}_mean"] = (logprobs / self.lengths)[rows]
        return offer

    def bradley_terry(self):
        return (self.rewards[:, None] - self.rewards[None, :]).sigmoid()

    def loss(self, name, prefer, **options):
        """Expected loss over pairs (i, j), i chosen, with weight prefer[i, j]; weight 0 is never compared."""
        chosen, rejected = prefer.nonzero(as_tuple=True)
        losses = call(PREFERENCE_LOSSES[name].loss, **self.offered(chosen, rejected), **options)
        return (losses * prefer[chosen, rejected]).sum()

    def solve(self, loss, parameters=None):
        """Go to the minimum of a smooth loss that has one."""
        optimizer = torch.optim.LBFGS(
            parameters or [self.logits],
            max_iter=500,
            tolerance_grad=1e-11,
            tolerance_change=1e-14,
            line_search_fn="strong_wolfe",
        )

        def closure():
            optimizer.zero_grad()
            value = loss()
            value.backward()
            return value

        optimizer.step(closure)

    def descend(self, loss, steps=500):
        """Walk downhill for a while, where the minimum is at infinity or the loss has corners."""
        optimizer = torch.optim.Adam([self.logits], lr=0.05)
        for _ in range(steps):
            optimizer.zero_grad()
            loss().backward()
            optimizer.step()

    def log_ratios(self):
        return (self.logprobs() - self.ref).detach()

    def policy(self):
        return self.logprobs().exp().detach()


def off_diagonal(prefer):
    return prefer * (1 - torch.eye(COUNT, dtype=prefer.dtype))


def better_wins():
    """Every better one beats every worse one, always."""
    return torch.ones(COUNT, COUNT, dtype=torch.float64).triu(1)


def neighbours():
    """Each beats the next one, and nothing else is compared: a tree, so every margin is free of the others."""
    return torch.ones(COUNT, COUNT, dtype=torch.float64).triu(1).tril(1)


def only(prefer, compared):
    """The rest is never compared, and takes up what probability is left."""
    kept = torch.zeros_like(prefer)
    kept[:compared, :compared] = prefer[:compared, :compared]
    return kept


def assert_optimum(world, log_ratios, atol=1e-5):
    """The policy is ref * exp(log_ratios + c) with the one c that makes it a distribution."""
    wanted = (world.ref + log_ratios).log_softmax(0).exp()
    torch.testing.assert_close(world.policy(), wanted, atol=atol, rtol=0)
    assert (wanted - world.ref.exp()).abs().max() > 0.02  # there was something to learn


def assert_ordered(scores):
    assert (scores[:-1] > scores[1:]).all(), scores


# -------------------------------------------------------------------------------------------- closed-form optima


def learn_dpo(world):
    """Rafailov et al. 2023, eq. 4: Bradley-Terry preferences of reward r lead to pi ~ ref exp(r / beta)."""
    world.solve(lambda: world.loss("dpo", off_diagonal(world.bradley_terry()), beta=0.7))
    assert_optimum(world, world.rewards / 0.7)
    implied = implicit_rewards(world.logprobs().detach(), world.ref, beta=0.7)
    torch.testing.assert_close(implied - implied.mean(), world.rewards - world.rewards.mean(), atol=1e-4, rtol=0)
    assert preference_summary(implied[:-1], implied[1:])["accuracy"] == 1.0


def learn_robust_dpo(world):
    """The same optimum, out of labels of which a fifth are flipped; dpo itself would fall short of it."""
    clean = world.bradley_terry()
    noisy = off_diagonal(0.8 * clean + 0.2 * (1 - clean))
    world.solve(lambda: world.loss("robust_dpo", noisy, beta=0.7, label_smoothing=0.2))
    assert_optimum(world, world.rewards / 0.7)
    robust = world.policy()
    world.solve(lambda: world.loss("dpo", noisy, beta=0.7))
    assert world.policy()[0] < robust[0] - 0.02


def per_length_optimum(world, scores):
    """Log-ratios l_i (s_i + c) whose means per token differ as the scores do; c by bisection."""
    low, high = -100.0, 100.0
    for _ in range(200):
        middle = (low + high) / 2
        mass = (world.ref + world.lengths * (scores + middle)).exp().sum()
        low, high = (middle, high) if mass < 1 else (low, middle)
    return world.lengths * (scores + low)


def learn_dpo_norm(world):
    """As dpo, but the mean log-ratios per token are r / beta up to a constant."""
    world.solve(lambda: world.loss("dpo_norm", off_diagonal(world.bradley_terry()), beta=2.0))
    assert_optimum(world, per_length_optimum(world, world.rewards / 2.0), atol=1e-4)


def learn_ipo(world):
    """h = (2 p - 1) / (2 beta) for every pair; preferences 1/2 + (s_i - s_j) / 2 make that log-ratios s / (2 beta)."""
    scores = world.rewards.sigmoid()
    prefer = off_diagonal((1 + scores[:, None] - scores[None, :]) / 2)
    world.solve(lambda: world.loss("ipo", prefer, beta=0.3))
    assert_optimum(world, scores / 0.6)
    world.solve(lambda: world.loss("ipo", prefer, beta=0.3, length_normalized=True))
    assert_optimum(world, per_length_optimum(world, scores / 0.6), atol=1e-4)


def learn_exo(world):
    """Every margin ends where the odds are the labels': beta h = log((1 - e) / e). So does dpo's, smoothed."""
    wanted = torch.tensor(0.9 / 0.1).log().item() / 1.5
    for name in ("exo", "dpo"):
        world.logits.data.copy_(world.ref)
        world.solve(lambda name=name: world.loss(name, neighbours(), beta=1.5, label_smoothing=0.1))
        margins = world.log_ratios().diff().neg()
        torch.testing.assert_close(margins, torch.full_like(margins, wanted), atol=1e-4, rtol=0)


def learn_bco(world):
    """A classifier: s(beta u_i - delta) is how often i wins."""
    prefer = only(off_diagonal(world.bradley_terry()), 3)
    world.solve(lambda: world.loss("bco", prefer, beta=2.0, delta=-0.3))
    wins = (prefer.sum(dim=1) / 2)[:3]
    wanted = ((wins / (1 - wins)).log() - 0.3) / 2.0
    torch.testing.assert_close(world.log_ratios()[:3], wanted, atol=1e-4, rtol=0)


def learn_sppo(world):
    """Wu et al. 2024, eq. 4.7: u_i = (P(i wins) - 1/2) / beta, the multiplicative-weights step."""
    prefer = only(off_diagonal(world.bradley_terry()), 3)
    world.solve(lambda: world.loss("sppo", prefer, beta=1.5))
    wanted = ((prefer.sum(dim=1) / 2)[:3] - 0.5) / 1.5
    torch.testing.assert_close(world.log_ratios()[:3], wanted, atol=1e-4, rtol=0)


def learn_nca(world):
    """The chosen completion's reward ends at log 2, however far the rejected one falls."""
    world.descend(lambda: world.loss("nca", only(better_wins(), 2), beta=2.0), steps=1500)
    chosen, rejected = 2.0 * world.log_ratios()[:2]
    assert chosen.item() == pytest.approx(0.6931, abs=0.01) and rejected < -5


def learn_weighted_dpo(world):
    """Three positions of two tokens each; rewards add up over positions, as do the weighted log-ratios.

    With position t weighing w_t and worth w_t v_t[token], every position has its own optimum ref exp(v / beta).
    """
    rng = torch.Generator().manual_seed(int(1000 * world.rewards[0]))
    ref = torch.randn(3, 2, generator=rng, dtype=torch.float64).log_softmax(1)
    worth = torch.randn(3, 2, generator=rng, dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
    logits = ref.clone().requires_grad_()
    sequences = torch.cartesian_prod(*[torch.arange(2)] * 3)
    positions = torch.arange(3)
    rewards = (weights * worth[positions, sequences]).sum(dim=1)
    chosen, rejected = (1 - torch.eye(8)).nonzero(as_tuple=True)
    prefer = (rewards[chosen] - rewards[rejected]).sigmoid()

    def loss():
        tokens = logits.log_softmax(1)[positions, sequences]
        ref_tokens = ref[positions, sequences]
        losses = PREFERENCE_LOSSES["weighted_dpo"].loss(
            *(tokens[chosen], tokens[rejected], ref_tokens[chosen], ref_tokens[rejected]),
            *(weights.expand(len(chosen), 3), weights.expand(len(rejected), 3)),
            beta=0.8,
        )
        return (losses * prefer).sum()

    world.solve(loss, [logits])
    wanted = (ref + worth / 0.8).softmax(1)
    torch.testing.assert_close(logits.detach().softmax(1), wanted, atol=1e-5, rtol=0)


# ------------------------------------------------------------------- optima at infinity, or in a corner: what they do


def learn_hinge(world):
    """The loss reaches 0: every better one is ahead by 1 / beta."""
    world.descend(lambda: world.loss("hinge", better_wins(), beta=2.0))
    assert world.loss("hinge", better_wins(), beta=2.0).item() == 0.0
    assert (world.log_ratios().diff().neg() >= 0.5).all()


def learn_rpo(world):
    """The second term makes the chosen completion likely, where dpo is content with its lead over the rejected one."""
    prefer = only(better_wins(), 2)
    world.descend(lambda: world.loss("dpo", prefer, beta=1.0))
    lead, alone = world.log_ratios()[0] - world.log_ratios()[1], world.policy()[0]
    world.logits.data.copy_(world.ref)
    world.descend(lambda: world.loss("rpo", prefer, beta=1.0))
    assert lead > 3 and world.policy()[0] > max(0.97, alone)


def learn_kto(world):
    """From verdicts on single completions the good half takes all; the baseline is the true KL."""
    desirable = torch.arange(COUNT) < COUNT // 2
    loss = PREFERENCE_LOSSES["kto"].loss

    def expected():
        logprobs = world.logprobs()
        kl = (logprobs.exp() * (logprobs - world.ref)).sum().detach()
        return loss(logprobs, world.ref, desirable, kl, beta=1.0).sum()

    world.descend(expected)
    assert world.ref.exp()[desirable].sum() < 0.8 and world.policy()[desirable].sum() > 0.97


def learn_apo_zero(world):
    """Chosen completions gain over the reference, rejected ones lose."""
    prefer = torch.zeros(COUNT, COUNT, dtype=torch.float64)
    prefer[:2, 2:4] = 1.0
    world.descend(lambda: world.loss("apo_zero", prefer, beta=1.0))
    assert (world.log_ratios()[:2] > 0.3).all() and (world.log_ratios()[2:4] < -2).all()


def learn_apo_down(world):
    """Both fall, the rejected one further, and what was in neither list gains."""
    world.descend(lambda: world.loss("apo_down", only(better_wins(), 2), beta=1.0))
    chosen, rejected = world.log_ratios()[:2]
    assert rejected < chosen - 2 and chosen < -1 and (world.log_ratios()[2:] > 0).all()


def learn_slic(world):
    """All margins reach the one asked for, on log-probs and not on log-ratios."""
    world.descend(lambda: world.loss("slic", better_wins(), margin=0.8, nll_coef=0.01))
    assert (world.logprobs().detach().diff().neg() > 0.79).all()


def learn_orpo(world):
    """Without odds it imitates, pi ~ (times chosen) / length; with them the mean log-probs get in order."""
    world.solve(lambda: world.loss("orpo", better_wins(), odds_coef=0.0))
    imitation = better_wins().sum(dim=1) / world.lengths
    torch.testing.assert_close(world.policy(), imitation / imitation.sum(), atol=1e-4, rtol=0)
    world.descend(lambda: world.loss("orpo", better_wins(), odds_coef=2.0))
    assert_ordered((world.logprobs() / world.lengths).detach())
    assert world.policy()[0] > (imitation / imitation.sum())[0]


def learn_simpo(world):
    """Every better one is ahead by gamma on beta times the mean log-prob."""
    world.descend(lambda: world.loss("simpo", better_wins(), beta=2.0, gamma=0.5))
    assert (2.0 * (world.logprobs() / world.lengths).detach().diff().neg() > 0.5).all()


def learn_cpo(world):
    """The log-probs take the order of the preferences, and the best gains most."""
    world.descend(lambda: world.loss("cpo", better_wins(), beta=1.0, nll_coef=0.1))
    assert_ordered(world.logprobs().detach())
    assert world.policy()[0] > world.ref.exp()[0] + 0.2


def learn_rrhf(world):
    """Six candidates to one prompt: their mean log-probs take the order of the rewards."""
    everything, mask = world.rewards[None], torch.ones(1, COUNT, dtype=torch.bool)
    loss = PREFERENCE_LOSSES["rrhf"].loss

    def of_one_prompt(nll_coef):
        sums = world.logprobs()[None]
        return loss(sums / world.lengths, sums, everything, mask, nll_coef=nll_coef).sum()

    before = of_one_prompt(0.0).item()
    world.descend(lambda: of_one_prompt(0.1))
    assert before > 0.05 and of_one_prompt(0.0).item() < 0.01
    assert world.policy()[0] > world.ref.exp()[0] + 0.2


LESSONS = {name.removeprefix("learn_"): lesson for name, lesson in globals().items() if name.startswith("learn_")}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PREFERENCE_LOSSES)
def test_it_learns(name, seed):
    LESSONS[name](World(seed))


def test_there_is_a_lesson_for_every_row():
    assert set(LESSONS) == set(PREFERENCE_LOSSES)
