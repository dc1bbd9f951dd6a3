"""The relative corruption error, and agreement with published errors: by hand on few images, and on published ones."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import pytest

from robustrepro.errors import UserError
from robustrepro.spec.statistics import CorruptionErrors, statistic_of
from robustrepro.tables.corruption_errors import against_published_errors, relative_corruption_error

BASELINE = CorruptionErrors.model_validate(
    {"clean": 0.4, "errors": {"fog": [0.5, 0.5, 0.6, 0.6, 0.8], "snow": [0.6, 0.7, 0.8, 0.9, 1.0]}}
)


def rows_of(clean: list[int], **right: list[list[int]]) -> pd.DataFrame:
    """Return rows of what is right, image by image: as they are, and at each severity of some corruptions."""
    parts = [("clean", 0, clean)]
    parts += [(name, level, each) for name, levels in right.items() for level, each in enumerate(levels, start=1)]
    return pd.DataFrame(
        [
            {"index": index, "corruption": name, "severity": severity, "right": bool(each)}
            for name, severity, images in parts
            for index, each in enumerate(images)
        ]
    )


# Of four images 4 are right; under fog 3, 2, 2, 1, 0, under snow 2, 2, 1, 1, 0.
ROWS = rows_of(
    [1, 1, 1, 1],
    fog=[[1, 1, 1, 0], [1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]],
    snow=[[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]],
)


def test_of_each_corruption_what_it_takes_is_relative_to_what_it_takes_of_the_baseline():
    # Ours: (1 + 2 + 2 + 3 + 4) / 4 and (2 + 2 + 3 + 3 + 4) / 4. The baseline's: 1.0 and 2.0.
    assert relative_corruption_error(ROWS, BASELINE).value == pytest.approx((3.0 / 1.0 + 3.5 / 2.0) / 2)


def test_a_network_with_the_errors_of_the_baseline_is_at_1():
    counts = {"fog": (5, 5, 4, 4, 2), "snow": (4, 3, 2, 1, 0)}
    right = {name: [[1] * count + [0] * (10 - count) for count in of] for name, of in counts.items()}
    assert relative_corruption_error(rows_of([1] * 6 + [0] * 4, **right), BASELINE).value == pytest.approx(1.0)


def test_the_mean_is_over_what_is_measured():
    without_snow = ROWS[ROWS["corruption"] != "snow"]
    assert relative_corruption_error(without_snow, BASELINE).value == pytest.approx(3.0)
    severe = ROWS[ROWS["severity"].isin([0, 5])]
    assert relative_corruption_error(severe, BASELINE).value == pytest.approx((1.0 / 0.4 + 1.0 / 0.6) / 2)


def test_the_interval_is_over_images_and_holds_the_value():
    generator = np.random.default_rng(0)
    images = (generator.random(200) < 0.7).astype(int)
    right: dict[str, Any] = {
        name: [(images & (generator.random(200) < 0.9 - level / 10)).tolist() for level in range(5)]
        for name in ("fog", "snow")
    }
    sample = relative_corruption_error(rows_of(images.tolist(), **right), BASELINE)
    low, high = sample.interval()
    assert low < sample.value < high
    assert high - low < 1
    assert (sample.count, sample.interval_kind) == (200, "95% over 200 images (bootstrap), one seed")


def test_agreement_is_of_errors_over_all_sets():
    ours = np.array([0.25, 0.5, 0.5, 0.75, 1.0, 0.5, 0.5, 0.75, 0.75, 1.0])
    published = np.array([0.5, 0.5, 0.6, 0.6, 0.8, 0.6, 0.7, 0.8, 0.9, 1.0])
    difference = against_published_errors(ROWS, BASELINE, "mean_difference").value
    assert difference == pytest.approx(100 * (ours - published).mean())
    ranks = [pd.Series(each).rank() for each in (ours, published)]
    assert against_published_errors(ROWS, BASELINE, "rank_correlation").value == pytest.approx(ranks[0].corr(ranks[1]))


def test_agreement_needs_no_images_as_they_are():
    corrupted = ROWS[ROWS["corruption"] != "clean"]
    same = against_published_errors(corrupted, BASELINE, "mean_difference").value
    assert same == pytest.approx(against_published_errors(ROWS, BASELINE, "mean_difference").value)
    with pytest.raises(UserError, match="add 'clean: true' to the measure"):
        relative_corruption_error(corrupted, BASELINE)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pd.concat([ROWS, ROWS.iloc[:1]]), "more than one row per image and corrupted set"),
        (ROWS.iloc[:-1], "the sets are not of the same images"),
        (ROWS.replace({"corruption": {"fog": "frost"}}), "no errors are declared of frost"),
        (ROWS.drop(columns="right"), "there is no column 'right'"),
    ],
)
def test_rows_that_are_none_of_this_are_refused(rows, message):
    with pytest.raises(UserError, match=message):
        relative_corruption_error(rows, BASELINE)


def test_relative_errors_of_published_errors_are_those_that_their_authors_printed():
    # Hendrycks & Dietterich 2019, Table 1: relative mCE of SqueezeNet 117.9 with AlexNet's errors as they have them;
    # another measurement of the same weights comes to 117.2.
    baseline, squeezenet = declared_errors()
    sets = [(name, level) for name, level in itertools.product(baseline.errors, range(5))]
    images = 10_000
    counts = {name: [round(images * (1 - squeezenet.errors[name][level])) for level in range(5)] for name, _ in sets}
    right: dict[str, Any] = {
        name: [[1] * count + [0] * (images - count) for count in of_levels] for name, of_levels in counts.items()
    }
    clean = round(images * (1 - squeezenet.clean))
    found = relative_corruption_error(rows_of([1] * clean + [0] * (images - clean), **right), baseline)
    assert found.value == pytest.approx(1.179, abs=0.01)


def declared_errors() -> tuple[CorruptionErrors, CorruptionErrors]:
    """Return the errors of AlexNet and SqueezeNet that `idiosyncrasy` declares."""
    from pathlib import Path

    import yaml

    paper = yaml.safe_load((Path(__file__).parents[1] / "papers/idiosyncrasy/paper.yaml").read_text(encoding="utf-8"))
    tables = paper["tables"]
    alexnet = statistic_of(tables["coordinates"]["columns"]["rmce"]["statistic"])
    squeezenet = statistic_of(tables["squeezenet"]["columns"]["difference"]["statistic"])
    return alexnet.baseline, squeezenet.errors  # type: ignore[attr-defined]


def test_a_few_images_whose_sets_are_all_alike_have_no_interval_of_a_correlation():
    # Where only image 1 is drawn, every set comes to the same error.
    rows = rows_of([1, 1], fog=[[1, 1], [0, 1], [0, 1], [0, 1], [0, 1]], snow=[[0, 1], [0, 1], [0, 1], [0, 1], [0, 1]])
    sample = against_published_errors(rows, BASELINE, "rank_correlation")
    assert np.isfinite(sample.value)
    assert sample.interval() is None
