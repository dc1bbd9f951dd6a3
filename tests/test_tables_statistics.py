"""Statistics of a measurement's rows, and what their intervals are over."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from robustrepro.errors import UserError
from robustrepro.tables import statistics
from robustrepro.tables.medians import median_above
from robustrepro.tables.statistics import (
    MOST_SEEDS,
    PERCENTAGES,
    Sample,
    accuracy,
    accuracy_interval,
    binomial_interval,
    count,
    estimate_over,
    interval_of_mean,
    maximum,
    mean,
    median,
    over_seeds,
    percentage,
    percentile,
    root_of_sum,
    seeds_to_decide,
    settled,
    share,
    total,
    worst_case,
)

WRONG = 9


@pytest.mark.parametrize(("rank", "value"), [(0, 1.0), (10, 1.4), (50, 3.0), (100, 5.0)])
def test_a_percentile_lies_between_two_values_in_proportion(rank: float, value: float) -> None:
    found = percentile(pd.DataFrame({"distance": [5.0, 1.0, 4.0, 2.0, 3.0]}), "distance", rank)
    assert found.value == pytest.approx(value)


def attacked(labels: Sequence[int], clean: Sequence[int], under_attack: Sequence[int], **more: Any) -> pd.DataFrame:
    return pd.DataFrame({"label": labels, "clean_prediction": clean, "prediction": under_attack, **more})


def images(right: dict[int, bool], clean: Sequence[int] = ()) -> pd.DataFrame:
    """Return rows of these images, each right under attack or not; images in ``clean`` are wrong clean."""
    return pd.DataFrame(
        {
            "index": list(right),
            "label": [index % 3 for index in right],
            "clean_prediction": [WRONG if index in clean else index % 3 for index in right],
            "prediction": [index % 3 if resists else WRONG for index, resists in right.items()],
        }
    )


# -- intervals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.30849710781876294),
        (5, 10, 0.1870860284474045, 0.8129139715525955),
        (10, 10, 0.6915028921812371, 1.0),
        # The classic example of 81 in 263.
        (81, 263, 0.25273674558504267, 0.36762192260134746),
        (9871, 10_000, 0.9846907908812925, 0.9892189421279378),
    ],
)
def test_the_interval_of_a_proportion_is_clopper_and_pearsons(
    successes: int, trials: int, low: float, high: float
) -> None:
    assert binomial_interval(successes, trials) == pytest.approx((low, high), rel=1e-9)


@given(trials=st.integers(1, 500), proportion=st.floats(0, 1))
def test_the_interval_of_a_proportion_is_scipys(trials: int, proportion: float) -> None:
    successes = round(proportion * trials)
    reference = binomtest(successes, trials).proportion_ci(0.95, method="exact")
    assert binomial_interval(successes, trials) == pytest.approx((reference.low, reference.high), rel=1e-6)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_the_interval_over_seeds_is_students(values: list[float]) -> None:
    estimate = over_seeds(values)
    assert estimate.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert estimate.std == pytest.approx(np.std(values, ddof=1), rel=1e-9, abs=1e-9)
    half = t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values))
    assert estimate.interval == pytest.approx((np.mean(values) - half, np.mean(values) + half), rel=1e-9, abs=1e-7)
    assert estimate.kind == f"95% over {len(values)} seeds (Student t)"


def test_one_seed_gives_no_interval_over_seeds() -> None:
    with pytest.raises(ValueError, match="needs two values or more, not 1"):
        over_seeds([1.0])


def test_several_seeds_are_estimated_from_their_values_alone() -> None:
    def never() -> None:
        raise AssertionError

    assert estimate_over([Sample(50.0, 10, never), Sample(70.0, 10, never)]) == over_seeds([50.0, 70.0])


def test_the_accuracy_of_one_seed_has_the_interval_of_its_images() -> None:
    estimate = estimate_over([accuracy(images({index: index < 5 for index in range(10)}))])
    assert (estimate.mean, estimate.std, estimate.kind) == (50.0, None, "95% over 10 images (binomial), one seed")
    assert estimate.interval == pytest.approx((18.70860284474045, 81.29139715525955))
    assert estimate.interval == accuracy_interval(50.0, 10)


@given(st.lists(st.floats(0, 100), min_size=2, max_size=12))
def test_the_interval_of_an_accuracy_over_seeds_holds_its_mean_and_stays_between_0_and_100(values: list[float]) -> None:
    low, high = over_seeds(values, PERCENTAGES).interval or (math.nan, math.nan)
    mean = math.fsum(values) / len(values)
    assert -1e-9 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 100 + 1e-9


def test_two_seeds_far_apart_reach_nowhere_beyond_100_where_students_t_would() -> None:
    assert (over_seeds([95.0, 99.0]).interval or (0, 0))[1] > 100
    low, high = over_seeds([95.0, 99.0], PERCENTAGES).interval or (0, 0)
    # By hand: p = 0.97, se = 0.02, t(1) = 12.7062. Above, the log-odds 3.4761 + 12.7062 * 0.02 / 0.0291; below, t.
    assert high == pytest.approx(100 / (1 + math.exp(-12.20880)), rel=1e-4)
    assert low == pytest.approx(97 - 2 * 12.7062, rel=1e-4)


def test_between_bounds_a_small_spread_gives_students_interval() -> None:
    values = [50.0, 50.01, 50.02]
    assert over_seeds(values, PERCENTAGES).interval == pytest.approx(over_seeds(values).interval, abs=1e-6)


def test_seeds_that_are_all_at_a_bound_have_the_interval_of_the_images_of_one() -> None:
    nothing = accuracy(images(dict.fromkeys(range(10), False)))
    estimate = estimate_over([nothing, nothing, nothing])
    assert (estimate.mean, estimate.std) == (0.0, 0.0)
    assert estimate.interval == accuracy_interval(0.0, 10)
    assert estimate.kind == "95% over 10 images (binomial), one seed"


def test_so_many_seeds_decide_as_the_interval_then_needs_and_one_fewer_does_not() -> None:
    for margin, std, bounds in ((1.0, 3.0, None), (-2.0, 5.0, (-120.0, 80.0))):
        needed = seeds_to_decide(margin, std, 3, bounds) or 0
        intervals = [interval_of_mean(margin, std, seeds, bounds) for seeds in (needed - 1, needed)]
        assert [low >= 0 or high < 0 for low, high in intervals] == [False, True]


def test_a_margin_of_nothing_is_decided_by_no_number_of_seeds() -> None:
    assert seeds_to_decide(0.001, 5.0, 3) is None
    low, high = interval_of_mean(0.001, 5.0, MOST_SEEDS)
    assert low < 0 < high


def test_the_interval_of_a_mean_is_the_bootstraps() -> None:
    numbers = np.random.default_rng(0).normal(5.0, 2.0, 400)
    estimate = estimate_over([mean(pd.DataFrame({"l1": numbers}), "l1")])
    half = norm.ppf(0.975) * numbers.std() / math.sqrt(len(numbers))
    assert estimate.mean == numbers.mean()
    assert estimate.interval == pytest.approx((numbers.mean() - half, numbers.mean() + half), abs=half / 10)
    assert estimate.kind == "95% over 400 rows (bootstrap), one seed"
    assert estimate == estimate_over([mean(pd.DataFrame({"l1": numbers}), "l1")])  # the draws are fixed


def test_a_median_may_be_finite_where_its_interval_is_not() -> None:
    distances = pd.DataFrame({"l2": [1.0, 2.0, 3.0, math.inf, math.inf]})
    estimate = estimate_over([median(distances, "l2")])
    assert (estimate.mean, estimate.interval, estimate.kind) == (3.0, None, None)


@pytest.mark.parametrize("statistic", [total, root_of_sum, maximum])
def test_sums_and_extremes_of_one_seed_have_no_interval(statistic: Any) -> None:
    estimate = estimate_over([statistic(pd.DataFrame({"l1": [1.0, 3.0]}), "l1")])
    assert (estimate.std, estimate.interval, estimate.kind) == (None, None, None)


# -- statistics ----------------------------------------------------------------------------------------------


def test_an_accuracy_is_of_what_is_right_clean_and_under_attack() -> None:
    # Right; broken; wrong clean and left so; wrong clean and right by chance under attack.
    sample = accuracy(attacked([0, 1, 2, 3], [0, 1, WRONG, WRONG], [0, WRONG, WRONG, 3]))
    assert (sample.value, sample.count) == (25.0, 4)


def test_an_accuracy_without_an_attack_is_of_the_predictions() -> None:
    assert accuracy(pd.DataFrame({"label": [0, 1], "prediction": [0, WRONG]})).value == 50.0


def test_an_accuracy_is_of_one_row_per_image() -> None:
    twice = pd.concat([images({0: True}), images({0: False})])
    with pytest.raises(UserError, match="there is more than one row per image"):
        accuracy(twice)


@pytest.mark.parametrize(
    ("statistic", "options", "value", "count"),
    [
        (mean, {}, 2.5, 4),
        (median, {}, 1.5, 4),
        (total, {}, 10.0, 4),
        (maximum, {}, 7.0, 4),
        (root_of_sum, {}, math.sqrt(10), 4),
        (root_of_sum, {"count": "parameters"}, math.sqrt(10), 12),
        (share, {"below": 2.0}, 50.0, 4),
        (share, {"above": 1.0}, 50.0, 4),
    ],
)
def test_a_statistic_of_a_column(statistic: Any, options: dict[str, Any], value: float, count: int) -> None:
    rows = pd.DataFrame({"x": [0.0, 1.0, 2.0, 7.0], "parameters": [3, 3, 3, 3]})
    sample = statistic(rows, "x", **options)
    assert (sample.value, sample.count) == (value, count)


def test_a_mean_of_shares_is_in_percent_and_its_interval_within_0_and_100() -> None:
    rows = pd.DataFrame({"x": [0.0, 1.0, 1.0, 1.0], "y": [0.0, 1.5, 0.0, 0.0]})
    sample = percentage(rows, "x")
    assert (sample.value, sample.count, sample.bounds) == (75.0, 4, (0.0, 100.0))
    assert estimate_over([sample, sample, percentage(rows[:2], "x")]).interval[1] <= 100  # type: ignore[index]
    with pytest.raises(UserError, match=r"column 'y' is not of shares: it goes from 0 to 1\.5"):
        percentage(rows, "y")


def test_rows_are_counted_as_they_are() -> None:
    sample = count(pd.DataFrame({"x": [0.0, 1.0, 1.0]}))
    assert (sample.value, sample.count, sample.interval()) == (3.0, 3, None)


@pytest.mark.parametrize(
    ("values", "epoch"),
    [
        ([0.5, 0.9, 0.91, 0.9], 2),
        ([0.5, 0.9, 0.7, 0.9], 4),
        ([0.9, 0.9, 0.9, 0.9], 1),
        ([0.1, 0.2, 0.3, 0.9], 4),
        ([0.9], 1),
    ],
)
def test_a_column_settles_where_it_stays_near_its_last_value(values: list[float], epoch: int) -> None:
    rows = pd.DataFrame({"epoch": range(1, len(values) + 1), "test_accuracy": values})
    assert settled(rows, "test_accuracy", within=0.02).value == epoch
    assert settled(rows[::-1], "test_accuracy", within=0.02).value == epoch


def test_a_column_that_is_just_so_far_from_its_end_has_settled() -> None:
    for last in np.arange(0.5, 0.9, 0.01):
        rows = pd.DataFrame({"epoch": [1, 2, 3], "test_accuracy": [0.1, last - 0.02, last]})
        assert settled(rows, "test_accuracy", within=0.02).value == 2


def test_several_rows_per_epoch_and_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(UserError, match="more than one row per epoch"):
        settled(pd.DataFrame({"epoch": [1, 1], "loss": [1.0, 2.0]}), "loss", within=0.1)
    with pytest.raises(UserError, match="column 'loss' is not finite"):
        settled(pd.DataFrame({"epoch": [1, 2], "loss": [1.0, math.nan]}), "loss", within=0.1)


def test_what_has_no_epochs_cannot_settle() -> None:
    with pytest.raises(UserError, match="there is no column 'epoch'"):
        settled(pd.DataFrame({"loss": [1.0]}), "loss", within=0.1)


def test_a_share_is_of_truth_or_of_a_word_too() -> None:
    rows = pd.DataFrame({"stable": [True, False, True, True], "state": ["verified", "falsified", "?", "verified"]})
    assert share(rows, "stable").value == 75.0
    assert share(rows, "state", equals="verified").value == 50.0
    low, high = binomial_interval(3, 4)
    estimate = estimate_over([share(rows, "stable")])
    assert estimate.interval == (100 * low, 100 * high)
    assert estimate.kind == "95% over 4 rows (binomial), one seed"


def test_a_column_that_is_not_there_or_not_of_numbers_is_named() -> None:
    rows = pd.DataFrame({"x": [1.0], "word": ["a"]})
    with pytest.raises(UserError, match="there is no column 'l1'; it has x, word"):
        mean(rows, "l1")
    with pytest.raises(UserError, match="column 'word' is not of numbers"):
        mean(rows, "word")
    with pytest.raises(UserError, match="column 'x' is not of truth values; say 'below', 'above' or 'equals'"):
        share(rows, "x")
    with pytest.raises(UserError, match="there is no column 'label'"):
        accuracy(rows)


def test_columns_are_summed_in_double_precision() -> None:
    rows = pd.DataFrame({"x": np.array([2**24, 1, 1], dtype=np.float32)})
    assert statistics.total(rows, "x").value == 2**24 + 2


# -- worst case over several measures ------------------------------------------------------------------------


def test_an_image_counts_if_it_resists_every_measure() -> None:
    first = images({0: True, 1: True, 2: False, 3: True})
    second = images({0: True, 1: False, 2: True, 3: True})
    third = images({0: True, 1: True, 2: True, 3: False})
    assert accuracy(worst_case([first, second, third])).value == 25.0
    assert accuracy(worst_case([first, second])).value == 50.0


def test_images_are_joined_by_their_index_and_only_those_in_all_measures_count() -> None:
    first = images({0: True, 1: True, 2: True, 3: True})
    second = images({5: False, 3: True, 1: False})
    sample = accuracy(worst_case([first, second]))
    assert (sample.value, sample.count) == (50.0, 2)


def test_an_image_that_is_wrong_clean_is_wrong_in_the_worst_case() -> None:
    first = images({0: True, 1: True}, clean=[0])
    without_attack = images({0: True, 1: True}).drop(columns="clean_prediction")
    assert accuracy(worst_case([first, without_attack])).value == 50.0
    assert accuracy(worst_case([without_attack, first])).value == 50.0


@given(st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=5, max_size=5), min_size=1, max_size=4))
def test_the_worst_case_is_right_where_every_measure_is(measures: list[list[tuple[bool, bool]]]) -> None:
    frames = [
        images({index: right for index, (_, right) in enumerate(rows)}, [i for i, (ok, _) in enumerate(rows) if not ok])
        for rows in measures
    ]
    resisting = [all(clean and right for clean, right in of_image) for of_image in zip(*measures, strict=True)]
    assert accuracy(worst_case(frames)).value == pytest.approx(100 * sum(resisting) / 5)


def test_measures_of_different_images_have_no_worst_case() -> None:
    other = images({0: True, 1: True}).assign(label=[2, 2])
    with pytest.raises(UserError, match="the measures are of different images: some have other labels"):
        worst_case([images({0: True, 1: True}), other])
    with pytest.raises(UserError, match="there is more than one row per image"):
        worst_case([images({0: True}), pd.concat([images({0: True}), images({0: True})])])


def test_a_percentage_over_several_rows_of_an_image_is_over_images() -> None:
    rows = pd.DataFrame({"index": [0, 0, 1, 1, 2, 2], "right": [True, True, True, False, False, False]})
    sample = percentage(rows, "right")
    assert (sample.value, sample.count) == (50.0, 3)


def test_a_median_above_a_threshold_is_of_those_values_alone():
    rows = pd.DataFrame({"value": [-3.0, 0.0, 1.0, 2.0, 9.0]})
    sample = median_above(rows, "value", threshold=0)
    assert (sample.value, sample.count) == (2.0, 3)


def test_a_median_above_what_no_value_exceeds_is_no_number_and_stops_no_run():
    assert math.isnan(median_above(pd.DataFrame({"value": [-3.0, 0.0]}), "value", threshold=0).value)
