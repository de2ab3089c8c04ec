"""Words that are left out, and what stays."""

from random import Random

from verigrad.tasks import load_tasks
from verigrad.training.augment import drop_words, thin_prompts

TEXT = (
    "Write a Python function `def far(a, b):`\n\nReturn the distance of a and b, plus 3 or x_2 (an integer).\n\n"
    "assert far(1, 2) == 4\n>>> far(0, 0)"
)


def test_code_numbers_and_signs_stay():
    class Always(Random):
        def random(self):
            return 0.999

    class Never(Random):
        def random(self):
            return 0.0

    assert drop_words(TEXT, 1.0, Always()) == TEXT  # each draw is above the share: 0.999 is not below 0.999
    assert drop_words(TEXT, 0.0, Random(0)) == TEXT

    class First(Random):
        """A share of 1, then draws below it: every word goes."""

        def __init__(self):
            self.draws = iter([1.0])

        def random(self):
            return next(self.draws, 0.5)

    assert drop_words(TEXT, 1.0, First()) == "`def far(a, b):`\n\n3 x_2\n\nassert far(1, 2) == 4\n>>> far(0, 0)"
    assert drop_words(TEXT, 1.0, Never()) == TEXT  # a share of 0


def test_the_share_is_drawn_for_each_text():
    words = " ".join(["word"] * 1000)
    left = [len(drop_words(words, 0.8, Random(seed)).split()) / 1000 for seed in range(200)]
    # Left is 1 - share with the share uniform in [0, 0.8]: mean 0.6, spread 0.8 / sqrt(12) = 0.23.
    assert abs(sum(left) / len(left) - 0.6) < 3 * 0.23 / 200**0.5
    assert min(left) < 0.25 and max(left) > 0.95


def test_the_same_generator_drops_the_same():
    assert drop_words(TEXT, 0.9, Random(5)) == drop_words(TEXT, 0.9, Random(5))


def test_tasks_keep_all_but_words():
    tasks = load_tasks("builtin-easy@1?split=train&families=add_constant,sum_list")
    thinned = thin_prompts(tasks, 1.0, seed=0)
    assert thinned == thin_prompts(tasks, 1.0, seed=0) != thin_prompts(tasks, 1.0, seed=1)
    assert thinned.oracles == tasks.oracles
    lengths = [(len(one.prompt), len(other.prompt)) for one, other in zip(tasks.tasks, thinned.tasks, strict=True)]
    assert all(after <= before for before, after in lengths) and any(after < before for before, after in lengths)
    for one, other in zip(tasks.tasks, thinned.tasks, strict=True):
        assert other.id == one.id and other.public_tests == one.public_tests
        asserts = [line for line in one.prompt.splitlines() if line.startswith("assert")]
        assert asserts and all(line in other.prompt for line in asserts)
        assert f"`def {one.entry_point}(" in other.prompt
