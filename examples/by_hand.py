"""The library without the command line: judge programs, score tokens, and reinforcement learning by hand.

    python examples/by_hand.py

The loop below is `verigrad.training.rl` with everything taken out that is not mathematics: no packs, no companions, no
run folder. Its model is made on the spot and knows nothing, so its reward is for something that can be learned in
seconds: answers of digits alone.
"""

import asyncio

import torch

from verigrad import AnswerTest, CallTest, Oracle, Task
from verigrad.agents.single_turn import SingleTurn
from verigrad.algorithms.presets import GRPO
from verigrad.engines.base import SamplingParams
from verigrad.engines.local import LocalEngine
from verigrad.models.fresh import fresh_model, fresh_tokenizer
from verigrad.models.scoring import pack_batch, score_pack, token_logprobs
from verigrad.rollout import collect
from verigrad.sandbox.judge import Judge, judge_many
from verigrad.sandbox.process import ProcessSandbox
from verigrad.training.batching import make_batch


async def judge_programs(judge: Judge) -> None:
    """Verdicts on three programs: what each test said, and how the program ended."""
    oracle = Oracle(task_id="square", tests=(CallTest("two", (2,), 4), CallTest("three", (3,), 9)))
    programs = ("return n * n", "return n + n", "import os\n    os._exit(0)")
    jobs = [(f"def square(n):\n    {body}\n", oracle, "square") for body in programs]
    for body, verdict in zip(programs, await judge_many(judge, jobs), strict=True):
        print(f"{body!r}: {verdict.status}, {verdict.num_passed} of {len(verdict.results)} tests passed")


def digits(task, answer, verdict) -> float:
    """The share of digits among the answer's characters. It reads no verdict; a real one would."""
    return sum(letter in "0123456789" for letter in answer.text) / max(1, len(answer.text))


async def train(judge: Judge, *, steps: int = 33) -> None:
    """GRPO on a tiny Llama, from its parts."""
    tokenizer = fresh_tokenizer(["What is 1 plus 2? 3"], vocabulary=280)
    model = fresh_model(tokenizer, hidden=32, layers=2, heads=2, feed_forward=64, max_length=64, seed=0)
    engine = LocalEngine(model, tokenizer, device="cpu")
    agent = SingleTurn(tokenizer, SamplingParams(max_tokens=8))
    tasks = [Task(id=f"sum@1/{n}", prompt=f"What is {n} plus {n}?", language="text") for n in range(4)]
    oracles = [Oracle(task_id=task.id, tests=(AnswerTest("sum", 2 * n),)) for n, task in enumerate(tasks)]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(steps):
        groups = await collect(
            tasks, oracles, agent=agent, engine=engine, judge=judge, reward=digits, group_size=8, seed=step
        )
        batch = make_batch(group.rollouts for group in groups)
        assert batch is not None
        if step == 0:
            # The sampler and the trainer are two programs; on the same weights they have to say the same.
            scores = token_logprobs(model, batch)
            drift = (scores.values - batch.sampler_logprobs).abs().max()
            print(f"largest difference between sampler and trainer: {'below' if drift < 1e-4 else 'above'} 1e-4 nats")
        advantages = GRPO.advantage(batch.rewards, batch.group_ids)[batch.rollout_index][:, None]  # (B, 1)
        weights = GRPO.reduction(batch.mask, batch.rollout_index, batch.group_ids)  # (B, T), of the whole step
        for pack in pack_batch(model, batch, token_budget=1024):
            logprobs = score_pack(model, pack, batch).values  # (B, T), 0 for rows of other packs
            rows = sorted(set(pack.rows))
            values = logprobs[rows]
            # One update per batch: the old policy is the current one, so the ratio is 1 and has a gradient.
            per_token = GRPO.objective(values, values.detach(), advantages[rows], batch.mask[rows])
            (per_token * weights[rows]).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        await engine.update_weights("base", step + 1, model.state_dict().items())
        if step % 8 == 0:
            print(f"step {step + 1}: mean reward {batch.rewards.mean():.2f}")
    await engine.close()


async def main() -> None:
    async with ProcessSandbox() as sandbox:
        judge = Judge(sandbox)
        await judge_programs(judge)
        await train(judge)


if __name__ == "__main__":
    torch.set_num_threads(1)
    asyncio.run(main())
