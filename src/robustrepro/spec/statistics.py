"""The statistics that a table's column can show of its measurements, as declared: ``statistic: {mean: l1}``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from robustrepro.spec.base import LAZY, Declaration, Implemented, Number
from robustrepro.spec.corruptions import CorruptionName

ErrorShare = Annotated[Number, Field(ge=0, le=1)]


class Statistic(Implemented):
    """One number from the rows of a measurement.

    ``unit`` and ``decimals`` are what a column shows unless it declares its own; ``accuracy`` says whether the number
    is an accuracy in percent and judged as one.
    """

    unit: ClassVar[str] = ""
    decimals: ClassVar[int] = 2
    accuracy: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    """Columns that it reads, beside those that it names."""
    name: str


class Accuracy(Statistic):
    """The share of examples that are classified correctly, clean and under attack."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:accuracy"
    unit: ClassVar[str] = "%"
    accuracy: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("label", "prediction")
    name: Literal["accuracy"] = "accuracy"


class AccuracyWithin(Statistic):
    """The accuracy where each image may be moved by ``epsilon`` at most, of a measurement of perturbed weights.

    An image counts by its adversarial example where that is within the bound (in ℓ∞), and by itself elsewhere.
    """

    implementation: ClassVar[str] = "robustrepro.tables.distances:accuracy_within"
    unit: ClassVar[str] = "%"
    accuracy: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ("label", "prediction", "unattacked", "linf")
    name: Literal["accuracy_within"]
    epsilon: Annotated[Number, Field(ge=0)]


class Score(Statistic):
    """The squared ℓ2 distances of adversarial examples from their images: their mean, or another number of them.

    ``failures`` is what an image counts that the attack gave up: ``zero``, or as much as the ``largest`` of the others.
    An image that is misclassified as it is counts 0. ``of`` is the ``mean``, the ``median``, the ``trimmed_mean``
    without the largest and the smallest 5%, or ``carriers``: how many of the images, those of the largest distances,
    carry half of the sum. Distances are multiplied by ``scale``, such as 255 for pixels in [0, 255].
    """

    implementation: ClassVar[str] = "robustrepro.tables.distances:score"
    decimals: ClassVar[int] = 4
    needs: ClassVar[tuple[str, ...]] = ("label", "clean_prediction", "prediction", "l2")
    name: Literal["score"] = "score"
    failures: Literal["zero", "largest"] = "zero"
    of: Literal["mean", "median", "trimmed_mean", "carriers"] = "mean"
    scale: Annotated[Number, Field(gt=0)] = 1.0


class Gain(Statistic):
    """How much accuracy perturbed weights win on adversarial examples where they lose little on the images themselves.

    Of a measurement of perturbed weights: the accuracy on the adversarial examples less that at 0%, in points, of the
    best of the methods and percentages at which at most ``loses`` points of the accuracy on the images are lost. It is
    chosen on half of the images and judged on the other half, each in turn.
    """

    implementation: ClassVar[str] = "robustrepro.tables.distances:gain"
    unit: ClassVar[str] = "points"
    needs: ClassVar[tuple[str, ...]] = ("index", "label", "prediction", "unattacked", "method", "percent")
    name: Literal["gain"]
    loses: Annotated[Number, Field(ge=0)]


class Mean(Statistic):
    """The mean of a column."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:mean"
    name: Literal["mean"]
    column: str


class Percentage(Statistic):
    """The mean of a column of shares between 0 and 1, in percent."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:percentage"
    unit: ClassVar[str] = "%"
    decimals: ClassVar[int] = 1
    name: Literal["percentage"]
    column: str


class Median(Statistic):
    """The median of a column."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:median"
    name: Literal["median"]
    column: str


class Percentile(Statistic):
    """The value that ``rank`` percent of a column's values do not exceed, between two of them in proportion."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:percentile"
    name: Literal["percentile"]
    column: str
    rank: Annotated[Number, Field(ge=0, le=100)]


class MedianAbove(Statistic):
    """The median of those of a column's values that are above a ``threshold``.

    So the margin of the images that a net gets right: of a net that errs on most, that of all images is below 0.
    """

    implementation: ClassVar[str] = "robustrepro.tables.medians:median_above"
    name: Literal["median_above"]
    column: str
    threshold: Number


class Share(Statistic):
    """The share of rows whose value is ``below`` or ``above`` a threshold or ``equals`` a word; of truth by default."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:share"
    unit: ClassVar[str] = "%"
    name: Literal["share"]
    column: str
    below: Number | None = None
    above: Number | None = None
    equals: str | None = None

    @model_validator(mode="after")
    def _compares_once(self) -> Share:
        if sum(bound is not None for bound in (self.below, self.above, self.equals)) > 1:
            raise ValueError("expected only one of 'below', 'above' and 'equals'")
        return self


class Count(Statistic):
    """The number of rows."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:count"
    decimals: ClassVar[int] = 0
    name: Literal["count"] = "count"


class Settled(Statistic):
    """The epoch from which on a column stays ``within`` a distance of its value after the last epoch."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:settled"
    decimals: ClassVar[int] = 0
    needs: ClassVar[tuple[str, ...]] = ("epoch",)
    name: Literal["settled"]
    column: str
    within: Annotated[Number, Field(gt=0)]


class Total(Statistic):
    """The sum of a column."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:total"
    name: Literal["total"]
    column: str


class RootOfSum(Statistic):
    """The root of a column's sum: of squares, a euclidean distance.

    ``count`` names the column that says how many numbers each row stands for, where it is more than one.
    """

    implementation: ClassVar[str] = "robustrepro.tables.statistics:root_of_sum"
    name: Literal["root_of_sum"]
    column: str
    count: str | None = None


class Maximum(Statistic):
    """The largest value of a column."""

    implementation: ClassVar[str] = "robustrepro.tables.statistics:maximum"
    name: Literal["maximum"]
    column: str


class CorruptionErrors(Declaration):
    """Published top-1 errors of a network on ImageNet, as shares: ``clean``, and by corruption at severities 1 to 5."""

    clean: ErrorShare
    errors: Annotated[
        dict[CorruptionName, Annotated[list[ErrorShare], Field(min_length=5, max_length=5)]], Field(min_length=1)
    ]


class RelativeCorruptionError(Statistic):
    """What corruptions take of the accuracy, relative to what they take of that of the ``baseline``: the RmCE.

    1 is the baseline's, and less is more robust.
    """

    implementation: ClassVar[str] = "robustrepro.tables.corruption_errors:relative_corruption_error"
    decimals: ClassVar[int] = 3
    needs: ClassVar[tuple[str, ...]] = ("index", "corruption", "severity", "right")
    name: Literal["relative_corruption_error"]
    baseline: CorruptionErrors


class AgainstPublishedErrors(Statistic):
    """How the errors on corrupted sets agree with the published ``errors`` of the same network, over all sets.

    ``of`` is the ``rank_correlation`` (Spearman's ρ), or the ``mean_difference`` in points, above 0 where ours are
    larger.
    """

    implementation: ClassVar[str] = "robustrepro.tables.corruption_errors:against_published_errors"
    needs: ClassVar[tuple[str, ...]] = ("index", "corruption", "severity", "right")
    name: Literal["against_published_errors"]
    errors: CorruptionErrors
    of: Literal["rank_correlation", "mean_difference"]


AnyStatistic = Annotated[
    Accuracy
    | AccuracyWithin
    | Score
    | Gain
    | Mean
    | Percentage
    | Median
    | Percentile
    | MedianAbove
    | Share
    | Count
    | Settled
    | Total
    | RootOfSum
    | Maximum
    | RelativeCorruptionError
    | AgainstPublishedErrors,
    Field(discriminator="name"),
]
"""One line per statistic: this union is their registry."""

statistic_adapter: TypeAdapter[Statistic] = TypeAdapter(AnyStatistic, config=LAZY)


def plain_form(declared: Any) -> Any:
    """Return a statistic's fields from its short form in YAML; anything else as it is, for validation to refuse.

    ``accuracy``, ``{mean: l1}`` and ``{share: {column: jacobian, below: 0.01}}`` are short forms.
    """
    if isinstance(declared, str):
        return {"name": declared}
    if isinstance(declared, dict) and "name" not in declared:
        if len(declared) != 1:
            raise ValueError(f"expected one statistic, such as {{mean: loss}}, found {', '.join(declared) or 'none'}")
        ((name, options),) = declared.items()
        return {**options, "name": name} if isinstance(options, dict) else {"name": name, "column": options}
    return declared


DeclaredStatistic = Annotated[AnyStatistic, BeforeValidator(plain_form)]
"""A field that is declared in the short form."""
_declared_adapter: TypeAdapter[Statistic] = TypeAdapter(DeclaredStatistic, config=LAZY)


def statistic_of(declared: Any) -> Statistic:
    """Return the statistic that a column declares, in its short or its full form.

    Raises
    ------
    pydantic.ValidationError
        If there is no such statistic, or its options are not as declared.
    """
    return _declared_adapter.validate_python(declared)
