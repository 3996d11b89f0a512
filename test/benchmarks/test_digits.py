"""The table of accuracy on digits: its statistics are right, and the page shows what was measured."""
import json

import pytest
from scipy import stats

from support.places import ROOT

FOLDER = ROOT / "benchmarks"
RESULTS = json.loads((FOLDER / "results" / "digits.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def table(scripts):
    return scripts("digits_table")


def make_counts(both: int, lost: int, won: int, neither: int = 0) -> dict[str, int]:
    return {"both": both, "only_plain": lost, "only_compressed": won, "neither": neither}


@pytest.mark.parametrize(("lost", "won"), [(0, 0), (1, 0), (7, 4), (4, 7), (5, 5), (106, 4)])
def test_probability_is_that_of_the_exact_sign_test(table, lost, won):
    expected = stats.binomtest(lost, lost + won).pvalue if lost + won else 1.0
    assert table.find_probability(make_counts(1700, lost, won)) == pytest.approx(expected)


def test_interval_holds_the_difference_and_shrinks_with_more_digits(table):
    gap, low, high = table.find_interval(make_counts(1700, 20, 8, 72))
    assert gap == pytest.approx(-100 * 12 / 1800) and low < gap < high < 0
    _, wide_low, wide_high = table.find_interval(make_counts(170, 2, 1, 7))
    assert wide_high - wide_low > 2 * (high - low)
    # Agresti and Min: half a digit more in each count, then the interval of Wald.
    padded, difference = 1802, -12 / 1802
    half = stats.norm.ppf(0.975) * ((29 - 144 / padded) ** 0.5) / padded
    assert (low, high) == pytest.approx((100 * (difference - half), 100 * (difference + half)), rel=1e-5)


def test_every_digit_was_judged_once(table):
    for name in RESULTS["variants"]:
        assert sum(table.add_counts(RESULTS, name).values()) == 1797 and len(RESULTS["folds"]) == 10


def test_the_page_shows_what_was_measured(table):
    assert table.make_table(RESULTS) in (ROOT / "docs" / "compression.md").read_text(encoding="utf-8")


def test_measured_losses_are_within_their_targets(table):
    """A result that is checked in has no variant that loses more than it may."""
    for name, variant in RESULTS["variants"].items():
        gap, _, _ = table.find_interval(table.add_counts(RESULTS, name))
        assert variant["most_lost"] is None or gap >= -variant["most_lost"], name
