"""Rows of a rollout: turns merge only where ids are an exact prefix; splitting loses and invents nothing."""

from hypothesis import given
from hypothesis import strategies as st

from verigrad.types import Rollout, Score, Turn, rows


def rollout(*turns):
    return Rollout(task_id="t", episode_id="t#0", group_id="t", turns=turns, status="finished", score=Score(1.0))


def turn(prompt, completion, **changes):
    logprobs = tuple(-0.1 * id_ for id_ in completion)
    return Turn(prompt_ids=tuple(prompt), completion_ids=tuple(completion), sampler_logprobs=logprobs, **changes)


def test_turns_that_continue_each_other_make_one_row():
    (row,) = rows(rollout(turn([1, 2], [3, 4], temperature=0.5), turn([1, 2, 3, 4, 5], [6])))
    assert row.ids == (1, 2, 3, 4, 5, 6)
    assert row.mask == (False, False, True, True, False, True)
    assert row.sampler_logprobs == (0.0, 0.0, -0.1 * 3, -0.1 * 4, 0.0, -0.1 * 6)
    assert row.temperature == (1.0, 1.0, 0.5, 0.5, 1.0, 1.0)
    assert row.prompt_length == 2


def test_a_rewritten_history_starts_a_new_row():
    first, second = rows(rollout(turn([1, 2], [3]), turn([1, 9, 3], [4])))
    assert (first.ids, second.ids) == ((1, 2, 3), (1, 9, 3, 4))
    assert (first.mask, second.mask) == ((False, False, True), (False, False, False, True))


def test_a_shorter_prompt_starts_a_new_row():
    assert [row.ids for row in rows(rollout(turn([1, 2], [3]), turn([1], [4])))] == [(1, 2, 3), (1, 4)]


def test_scaffold_text_is_context_never_trained_on():
    (row,) = rows(rollout(turn([1], [2, 3], sampled=False), turn([1, 2, 3], [4])))
    assert row.mask == (False, False, False, True)
    assert rows(rollout(turn([1], [2], sampled=False))) == []


def test_kept_sets_follow_their_tokens():
    (row,) = rows(rollout(turn([1, 2], [3]), turn([1, 2, 3], [4, 5], kept=((4, 8), (5,)))))
    assert row.kept == {3: (4, 8), 4: (5,)}


ids = st.lists(st.integers(0, 3), min_size=1, max_size=4)


@given(st.lists(st.tuples(ids, ids), min_size=1, max_size=4))
def test_every_sampled_token_appears_exactly_once(pairs):
    turns = [turn(prompt, completion) for prompt, completion in pairs]
    built = rows(rollout(*turns))
    sampled = [id_ for row in built for id_, counts in zip(row.ids, row.mask, strict=True) if counts]
    assert sampled == [id_ for _, completion in pairs for id_ in completion]
