"""Numbers of distances: accuracy within a bound, and the score of Table 1 of `idiosyncrasy`."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from robustrepro.errors import UserError
from robustrepro.tables.distances import accuracy_within, carriers, gain, score

# Misclassified as it is, broken at 1, at 2 and at 10, and one whose attack failed.
ATTACKED = pd.DataFrame(
    {
        "label": [0, 0, 0, 0, 0],
        "clean_prediction": [1, 0, 0, 0, 0],
        "prediction": [1, 1, 2, 1, 0],
        "l2": [0.0, 1.0, 2.0, 10.0, np.inf],
    }
)


@pytest.mark.parametrize(
    ("failures", "of", "expected"),
    [
        ("zero", "mean", (1 + 4 + 100) / 5),
        ("largest", "mean", (1 + 4 + 100 + 100) / 5),
        ("zero", "median", 1.0),
        ("largest", "median", 4.0),
        ("zero", "carriers", 1.0),
        ("largest", "carriers", 2.0),
    ],
)
def test_a_score_is_of_squared_distances_and_a_failure_counts_as_declared(failures, of, expected):
    assert score(ATTACKED, failures=failures, of=of, scale=1.0).value == pytest.approx(expected)


def test_a_score_in_other_units_grows_with_their_square():
    one, other = (score(ATTACKED, "zero", "mean", scale).value for scale in (1.0, 255.0))
    assert other == pytest.approx(255**2 * one)


def test_a_trimmed_mean_forgets_the_largest_and_the_smallest():
    rows = pd.DataFrame({"label": 0, "clean_prediction": 0, "prediction": 1, "l2": [*[1.0] * 39, 100.0]})
    assert score(rows, "zero", "trimmed_mean", 1.0).value == pytest.approx(1.0)
    assert score(rows, "zero", "mean", 1.0).value > 200


def test_where_every_attack_fails_the_score_is_0():
    rows = pd.DataFrame({"label": [0, 0], "clean_prediction": 0, "prediction": 0, "l2": np.inf})
    for failures in ("zero", "largest"):
        for of in ("mean", "carriers"):
            assert score(rows, failures, of, 1.0).value == 0


def test_an_image_without_an_example_is_a_failure_whatever_a_perturbed_model_says_of_it():
    rows = pd.DataFrame({"label": [0, 0], "clean_prediction": 0, "prediction": [1, 1], "l2": [np.inf, 2.0]})
    assert score(rows, "zero", "mean", 1.0).value == 2.0
    assert score(rows, "largest", "mean", 1.0).value == 4.0


def test_a_score_over_several_rows_of_an_image_is_refused():
    with pytest.raises(UserError, match="more than one row per image"):
        score(ATTACKED.assign(index=[0, 1, 2, 3, 3]), "zero", "mean", 1.0)


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=1, max_size=50))
def test_so_many_carry_half_of_a_sum_and_one_fewer_do_not(numbers):
    distances, count = np.array(numbers), carriers(np.array(numbers))
    largest = np.sort(distances)[::-1]
    if distances.sum() > 0:
        assert largest[:count].sum() >= distances.sum() / 2 * (1 - 1e-12)
        assert largest[: count - 1].sum() < distances.sum() / 2 * (1 + 1e-12)


def test_within_a_bound_an_example_counts_only_where_it_is_near_enough():
    rows = pd.DataFrame(
        {
            "label": [0, 0, 0, 0],
            "unattacked": [0, 0, 1, 0],
            "prediction": [1, 1, 0, 0],
            "linf": [0.1, 0.3, 0.1, np.inf],
        }
    )
    accuracies = [accuracy_within(rows, epsilon).value for epsilon in (0.0, 0.1, 0.2, 0.3)]
    assert accuracies == [75.0, 75.0, 75.0, 50.0]
    assert accuracy_within(rows, 0.1).count == 4


def sweep(**right: tuple[str, str]) -> pd.DataFrame:
    """Return a sweep: of each method and percentage which images are right, and which under attack, as 1 and 0."""
    rows = []
    for name, (images, attacked) in right.items():
        method, percent = name.split("_")
        for index, (image, example) in enumerate(zip(images, attacked, strict=True)):
            rows.append(
                {
                    "index": index,
                    "label": 0,
                    "unattacked": int(image == "0"),
                    "prediction": int(example == "0"),
                    "method": method,
                    "percent": int(percent),
                }
            )
    return pd.DataFrame(rows)


WHOLE = ("1111111111", "1000000000")


def test_a_gain_is_that_of_the_best_at_a_loss_that_is_allowed():
    rows = sweep(a_0=WHOLE, a_10=("1111111100", "1111000000"), a_20=("1111000000", "1111111100"), b_0=WHOLE)
    assert gain(rows, loses=0).value == pytest.approx(0)
    assert gain(rows, loses=20).value == pytest.approx(30)
    assert gain(rows, loses=60).value == pytest.approx(70)
    assert gain(rows, loses=60).count == 10


def test_a_gain_is_chosen_on_other_images_than_it_is_judged_on():
    # a_10 wins on even images alone, a_20 on odd ones: each is chosen where it wins, and judged where it does not.
    rows = sweep(a_0=("1111111111", "0000000000"), a_10=("1111111111", "1010101010"), a_20=("1111111111", "0101010101"))
    assert gain(rows, loses=0).value == pytest.approx(0)


def test_a_gain_has_an_interval_over_images_and_needs_percentage_0():
    sample = gain(sweep(a_0=WHOLE, a_10=("1111111111", "1111111000")), loses=1)
    low, high = sample.interval()
    assert sample.value == pytest.approx(60)
    assert low < sample.value < high
    with pytest.raises(UserError, match="there is no percentage 0"):
        gain(sweep(a_10=WHOLE), loses=1)
