"""Agreement against numbers worked by hand and against textbook examples."""

import random

import pytest

from verigrad.ui.agreement import cohen_kappa, krippendorff_alpha, pair_agreements, raw_agreement


def from_table(counts):
    """Pairs of categories from `{(first, second): how many}`."""
    return [pair for pair, count in counts.items() for _ in range(count)]


def test_kappa_of_a_two_by_two_table():
    """Fifty proposals read by two people: 20 both yes, 15 both no, 5 and 10 differ.

    p_o = 35/50 = 0.7. The first says yes 25/50, the second 30/50, so p_e = 0.5 * 0.6 + 0.5 * 0.4 = 0.5.
    kappa = (0.7 - 0.5) / (1 - 0.5) = 0.4.
    """
    pairs = from_table({("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15})
    assert raw_agreement(pairs) == 0.7
    assert cohen_kappa(pairs) == pytest.approx(0.4)


def test_kappa_with_ties_as_a_third_category():
    """Ten items: a-a 3, b-b 2, tie-tie 1, a-b 1, a-tie 1, tie-b 2.

    p_o = 6/10. First: a 5, b 2, tie 3. Second: a 3, b 5, tie 2.
    p_e = (5*3 + 2*5 + 3*2) / 100 = 31/100. kappa = (60 - 31) / (100 - 31) = 29/69.
    """
    pairs = from_table(
        {("a", "a"): 3, ("b", "b"): 2, ("tie", "tie"): 1, ("a", "b"): 1, ("a", "tie"): 1, ("tie", "b"): 2}
    )
    assert cohen_kappa(pairs) == pytest.approx(29 / 69)


def test_alpha_of_two_observers_and_binary_data():
    """Krippendorff 2011, example A: ten units, two observers.

    Observer A: 0 1 0 0 0 0 0 0 1 0
    Observer B: 1 1 1 0 0 1 0 0 0 0
    Units in which they differ: 1, 3, 6 and 9. Each gives the coincidences (0, 1) and (1, 0) once, so o_01 = 4.
    n_0 = 14, n_1 = 6, n = 20. alpha = 1 - (n - 1) o_01 / (n_0 n_1) = 1 - 19 * 4 / 84 = 8/84 = 0.095.
    """
    units = list(zip("0100000010", "1110010000", strict=True))
    assert krippendorff_alpha(units) == pytest.approx(8 / 84)


def test_alpha_of_four_observers_with_missing_values():
    """Krippendorff 2011, example C: four observers, twelve units, categories 1 to 5, some values missing.

    Values by unit: 111 | 2223 | 3333 | 3333 | 2222 | 1234 | 4444 | 1121 | 2222 | 5555 | 11 | 3 (left out).
    n_1 = 3 + 1 + 3 + 2 = 9, n_2 = 3 + 4 + 1 + 1 + 4 = 13, n_3 = 1 + 4 + 4 + 1 = 10, n_4 = 1 + 4 = 5, n_5 = 3.
    The tenth unit has three values 5, so n = 40.
    Disagreeing ordered pairs over m - 1: unit 2: 3*1*2/3 = 2; unit 6: 4*3/3 = 4; unit 8: 3*1*2/3 = 2; sum 8.
    Expected: n^2 - sum n_c^2 = 1600 - (81 + 169 + 100 + 25 + 9) = 1216.
    alpha = 1 - 39 * 8 / 1216 = 0.743.
    """
    units = ["111", "2223", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]
    assert krippendorff_alpha(units) == pytest.approx(1 - 312 / 1216)
    assert round(krippendorff_alpha(units), 3) == 0.743


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([], None),  # nothing in common
        ([("a", "a")] * 4, None),  # one category throughout: 0 / 0
        ([("a", "a"), ("b", "b")], 1.0),
        ([("a", "b"), ("b", "a")], -1.0),  # p_o = 0, p_e = 1/2
        ([("a", "a"), ("a", "b"), ("b", "a"), ("b", "b")], 0.0),
    ],
)
def test_kappa_at_its_ends(pairs, kappa):
    assert cohen_kappa(pairs) == kappa


def test_alpha_at_its_ends():
    assert krippendorff_alpha([]) is None
    assert krippendorff_alpha([("a",), ("b",)]) is None
    assert krippendorff_alpha([("a", "a"), ("a", "a")]) is None
    assert krippendorff_alpha([("a", "a"), ("b", "b", "b")]) == 1.0


def test_alpha_does_not_depend_on_who_said_what_or_on_the_names_of_categories():
    draw = random.Random(0)
    units = [[draw.choice(["a", "b", "tie"]) for _ in range(draw.randint(0, 4))] for _ in range(50)]
    shuffled = [draw.sample(unit, len(unit)) for unit in draw.sample(units, len(units))]
    renamed = [[{"a": 1, "b": 2, "tie": 3}[value] for value in unit] for unit in units]
    assert krippendorff_alpha(shuffled) == pytest.approx(krippendorff_alpha(units))
    assert krippendorff_alpha(renamed) == pytest.approx(krippendorff_alpha(units))


def test_chance_agreement_is_about_zero():
    draw = random.Random(1)
    pairs = [(draw.choice("ab"), draw.choice("ab")) for _ in range(20_000)]
    assert abs(cohen_kappa(pairs)) < 0.03
    assert abs(krippendorff_alpha(pairs)) < 0.03


def test_pairs_of_annotators_are_compared_on_what_they_share():
    ratings = {
        "1": {"ann": "a", "bob": "a", "cid": "b"},
        "2": {"ann": "b", "bob": "tie"},
        "3": {"cid": "a"},
        "4": {"ann": "b", "bob": "b"},
    }
    ann_bob, ann_cid, bob_cid = pair_agreements(ratings, ["ann", "bob", "cid"])
    assert (ann_bob.first, ann_bob.second, ann_bob.items) == ("ann", "bob", 3)
    assert ann_bob.counts == {("a", "a"): 1, ("b", "tie"): 1, ("b", "b"): 1}
    assert ann_bob.raw == pytest.approx(2 / 3)
    assert ann_bob.kappa == pytest.approx((2 * 3 - 3) / (9 - 3))  # chance: a 1*1 + b 2*1 = 3 of 9
    assert ann_cid.items == bob_cid.items == 1
    assert ann_cid.raw == 0.0
    assert pair_agreements({"1": {"ann": "a"}}, ["ann", "bob"]) == []
