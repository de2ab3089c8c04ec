"""Slots go to whoever asked first, are never lost and never in two hands, whatever ends meanwhile."""

import asyncio
import threading

import pytest

from verigrad.errors import SandboxError
from verigrad.sandbox.slots import Slots


def test_they_are_handed_on_in_the_order_of_asking():
    async def main():
        slots, seen = Slots("ab"), []

        async def one(number):
            item = await slots.take()
            seen.append((number, item))
            await asyncio.sleep(0)
            slots.put(item)

        await asyncio.gather(*map(one, range(6)))
        return seen

    assert asyncio.run(main()) == [(0, "a"), (1, "b"), (2, "a"), (3, "b"), (4, "a"), (5, "b")]


@pytest.mark.parametrize("handed", [False, True])
def test_who_is_cancelled_takes_none(handed):
    """Before there was one, or in the very turn of the loop in which it was handed over."""

    async def main():
        slots = Slots(["only"])
        held = await slots.take()
        first, second = (asyncio.ensure_future(slots.take()) for _ in range(2))
        await asyncio.sleep(0)
        if handed:
            slots.put(held)
        first.cancel()
        if not handed:
            slots.put(held)
        return await asyncio.wait_for(second, 5)

    assert asyncio.run(main()) == "only"


def test_loops_of_other_threads_wait_in_the_same_line():
    slots, order, holding, waiting = Slots(["only"]), [], threading.Event(), threading.Event()

    async def hold():
        item = await slots.take()
        holding.set()
        while not waiting.is_set():
            await asyncio.sleep(0.001)
        order.append("held")
        slots.put(item)

    async def wait():
        asking = asyncio.ensure_future(slots.take())
        await asyncio.sleep(0)
        waiting.set()
        item = await asyncio.wait_for(asking, 5)
        order.append("waited")
        slots.put(item)

    holder = threading.Thread(target=lambda: asyncio.run(hold()))
    holder.start()
    holding.wait(5)
    asyncio.run(wait())
    holder.join(5)
    assert order == ["held", "waited"]
    assert asyncio.run(slots.take()) == "only"


def test_a_loop_that_ended_while_it_waited_is_passed_over():
    slots = Slots(["only"])
    held = asyncio.run(slots.take())
    loop = asyncio.new_event_loop()
    abandoned = loop.create_task(slots.take())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    slots.put(held)
    assert asyncio.run(slots.take()) == "only"
    abandoned._log_destroy_pending = False


def test_draining_waits_for_what_is_held_and_refuses_all_others():
    async def main():
        slots = Slots("ab")
        held = await slots.take()
        await slots.take()
        waiting = asyncio.ensure_future(slots.take())
        await asyncio.sleep(0)
        drained = asyncio.ensure_future(slots.drain())
        with pytest.raises(SandboxError, match="closed"):
            await waiting
        with pytest.raises(SandboxError, match="closed"):
            await slots.take()
        slots.put(held)
        await asyncio.sleep(0)
        assert not drained.done()
        slots.put("b")
        return await asyncio.wait_for(drained, 5)

    assert asyncio.run(main()) == ["a", "b"]
