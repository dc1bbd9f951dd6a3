"""Figures as declared in ``paper.yaml``: what each kind shows, and the measurements and tables it is drawn from."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import inf
from typing import Annotated, ClassVar, Literal, NamedTuple

from pydantic import Field, model_validator

from robustrepro.grammar import Place
from robustrepro.spec.base import Declaration, Implemented, Key, Name, Number, OneLine
from robustrepro.spec.objectives import FunctionOfLogits

Positive = Annotated[Number, Field(gt=0)]


class Source(NamedTuple):
    """A measure of a model that a figure is drawn from; of every seed of the model where ``seed`` is None."""

    model: str
    measure: str
    seed: int | None = None


class FigureKind(Implemented):
    """A kind of figure; its implementation draws one from the declaration and a `FigureData`.

    Attributes
    ----------
    shows_rows_alone
        Whether each row of its table stands for itself, so that it can be drawn without those that are not measured.
    """

    shows_rows_alone: ClassVar[bool] = False

    def sources(self) -> Iterator[Source]:
        """Yield the measurements that the figure is drawn from."""
        yield from ()

    def kinds(self) -> Mapping[str, str]:
        """Return, by measure, the kind that it has to be of, where the figure can show no other."""
        return {}

    def tables(self) -> Iterator[str]:
        """Yield the tables of the same paper that the figure is drawn from."""
        yield from ()

    def can_show(self, measured: Collection[Place]) -> bool:
        """Tell whether these cells of a table, those that are measured, are enough to draw it."""
        return bool(measured)


class Panel(Declaration):
    """One panel of a figure: a model with one seed."""

    label: str
    model: Name
    seed: int = Field(default=0, ge=0)


class PanelPerModel(FigureKind):
    """One panel per model, each drawn from the same measure."""

    kind: ClassVar[str]
    """What the measure is of."""

    measure: Name
    panels: list[Panel] = Field(min_length=1)

    def sources(self) -> Iterator[Source]:
        """Yield the measurement of each panel."""
        for panel in self.panels:
            yield Source(panel.model, self.measure, panel.seed)

    def kinds(self) -> Mapping[str, str]:
        """Return the kind that the measure has to be of."""
        return {self.measure: self.kind}


class DecisionBoundaries(PanelPerModel):
    """Decision regions of models on points of the plane.

    ``measure`` is of the kind decision_boundary; ``columns`` is the number of panels per row, all of them by default.
    """

    implementation: ClassVar[str] = "robustrepro.figures.decision_boundaries:draw"
    kind: ClassVar[str] = "decision_boundary"
    name: Literal["decision_boundaries"]
    columns: int | None = Field(default=None, ge=1)


class AdversarialSamples(FigureKind):
    """Images and, below each, the adversarial example that was made of it; ``measure`` is of the kind samples.

    With ``circled`` the pixel that changed most is circled.
    """

    implementation: ClassVar[str] = "robustrepro.figures.adversarial_samples:draw"
    name: Literal["adversarial_samples"]
    model: Name
    measure: Name
    seed: int = Field(default=0, ge=0)
    circled: bool = False

    def sources(self) -> Iterator[Source]:
        """Yield the one measurement."""
        yield Source(self.model, self.measure, self.seed)

    def kinds(self) -> Mapping[str, str]:
        """Return the kind that the measure has to be of."""
        return {self.measure: "samples"}


class ImageGradients(PanelPerModel):
    """Images and, beside each, the gradient of every panel's model; ``measure`` is of the kind input_gradients."""

    implementation: ClassVar[str] = "robustrepro.figures.image_gradients:draw"
    kind: ClassVar[str] = "input_gradients"
    name: Literal["image_gradients"]


class ContactSheet(FigureKind):
    """An image under every corruption, a row each, at severities 1 to 5; ``measure`` is of the kind corrupted_samples.

    What the model takes for another class is framed.
    """

    implementation: ClassVar[str] = "robustrepro.figures.contact_sheet:draw"
    name: Literal["contact_sheet"]
    model: Name
    measure: Name
    seed: int = Field(default=0, ge=0)

    def sources(self) -> Iterator[Source]:
        """Yield the one measurement."""
        yield Source(self.model, self.measure, self.seed)

    def kinds(self) -> Mapping[str, str]:
        """Return the kind that the measure has to be of."""
        return {self.measure: "corrupted_samples"}


class SurfacePanel(Panel):
    """One surface: a function of a model's answer, around one ``image`` where the measure is in input space."""

    measure: Name
    function: FunctionOfLogits
    image: int | None = Field(default=None, ge=0)
    view: Literal["contour", "3d"] = "contour"


class Surfaces(FigureKind):
    """Surfaces, one per panel, with so many ``columns`` of them; every measure is of the kind surface.

    ``axes`` are what stands on x and on y.
    """

    implementation: ClassVar[str] = "robustrepro.figures.surfaces:draw"
    name: Literal["surfaces"]
    panels: list[SurfacePanel] = Field(min_length=1)
    columns: int | None = Field(default=None, ge=1)
    axes: Annotated[list[str], Field(min_length=2, max_length=2, default_factory=lambda: ["α", "β"])]

    def sources(self) -> Iterator[Source]:
        """Yield the measurement of each panel."""
        for panel in self.panels:
            yield Source(panel.model, panel.measure, panel.seed)

    def kinds(self) -> Mapping[str, str]:
        """Return the kind that the measures have to be of."""
        return {panel.measure: "surface" for panel in self.panels}


class TrainingGradients(PanelPerModel):
    """Directions of the gradients in each model's training; ``measure`` is of the kind training_path."""

    implementation: ClassVar[str] = "robustrepro.figures.training_gradients:draw"
    kind: ClassVar[str] = "training_path"
    name: Literal["training_gradients"]


class TrainingPaths(PanelPerModel):
    """The parameters during training, and where the gradient would move them; ``measure`` is a training_path."""

    implementation: ClassVar[str] = "robustrepro.figures.training_paths:draw"
    kind: ClassVar[str] = "training_path"
    name: Literal["training_paths"]


class GradientPair(FigureKind):
    """The gradients of ERM, HRM and CEM of two examples, in the plane of the two examples' own gradients.

    ``losses`` are L₁ < L₂ in nats, ``lengths`` those of the two gradients, ``angle`` the one between them in degrees.
    """

    implementation: ClassVar[str] = "robustrepro.figures.gradient_pair:draw"
    name: Literal["gradient_pair"]
    losses: list[Positive] = Field(min_length=2, max_length=2)
    lengths: list[Positive] = Field(min_length=2, max_length=2)
    angle: Annotated[Number, Field(gt=0, lt=180)]

    @model_validator(mode="after")
    def _second_loss_is_larger(self) -> GradientPair:
        if self.losses[1] <= self.losses[0]:
            raise ValueError(f"losses: expected the second one to be the larger, found {self.losses}")
        return self


class KernelSketch(FigureKind):
    """The kernel G(x, x') = exp(−γ‖x − x'‖²) from the first two of five points of the plane to all; γ is ``gamma``."""

    implementation: ClassVar[str] = "robustrepro.figures.kernel_sketch:draw"
    name: Literal["kernel_sketch"]
    points: list[Annotated[list[Number], Field(min_length=2, max_length=2)]] = Field(min_length=5, max_length=5)
    gamma: Positive


class CurvatureSketch(FigureKind):
    """A sine with its tangent at x = ``slope_at`` and its osculating circle at x = ``curvature_at``."""

    implementation: ClassVar[str] = "robustrepro.figures.curvature_sketch:draw"
    name: Literal["curvature_sketch"]
    slope_at: Annotated[Number, Field(ge=0, le=3)]
    curvature_at: Annotated[Number, Field(ge=0.5, le=2.5)]


class RelaxedHammingSketch(FigureKind):
    """H_α of two pre-activations, as a surface and as contours; α is ``sharpness``."""

    implementation: ClassVar[str] = "robustrepro.figures.relaxed_hamming_sketch:draw"
    name: Literal["relaxed_hamming_sketch"]
    sharpness: Positive
    reach: Positive = 2.0


class BatchSize(Declaration):
    """The models that were trained with one batch size.

    ``losses`` is the model whose training losses are shown. ``accuracy`` maps each label, which has a colour of its
    own, to the model whose accuracy is shown.
    """

    batch_size: int = Field(ge=2)
    losses: Name
    accuracy: dict[str, Name] = Field(min_length=1, max_length=5)


class DiagonalDominance(FigureKind):
    """The diagonal's share in CEM, and accuracy under an attack, both against the batch size.

    ``measure`` is of the kind attack, ``losses_measure`` of the kind losses.
    """

    implementation: ClassVar[str] = "robustrepro.figures.diagonal_dominance:draw"
    name: Literal["diagonal_dominance"]
    measure: Name
    losses_measure: Name
    batches: list[BatchSize] = Field(min_length=2)

    @model_validator(mode="after")
    def _batches_are_comparable(self) -> DiagonalDominance:
        sizes = [batch.batch_size for batch in self.batches]
        if len(set(sizes)) < len(sizes):
            raise ValueError(f"batches: expected different batch sizes, found {sizes}")
        if any(set(batch.accuracy) != set(self.batches[0].accuracy) for batch in self.batches):
            raise ValueError("batches: expected the same labels under 'accuracy' for every batch size")
        return self

    def sources(self) -> Iterator[Source]:
        """Yield the losses and the attacks of each batch size, of all seeds."""
        for batch in self.batches:
            yield Source(batch.losses, self.losses_measure)
            for model in batch.accuracy.values():
                yield Source(model, self.measure)

    def kinds(self) -> Mapping[str, str]:
        """Return the kind that each measure has to be of."""
        return {self.measure: "attack", self.losses_measure: "losses"}


class HeatMap(FigureKind):
    """A table of percentages as colours; its rows are sources and its columns targets."""

    implementation: ClassVar[str] = "robustrepro.figures.heat_map:draw"
    name: Literal["heat_map"]
    table: Name

    def tables(self) -> Iterator[str]:
        """Yield the table."""
        yield self.table


class Quantity(Declaration):
    """What an axis shows: a column of the measurements.

    The axis is labelled ``label (unit)``. Values are multiplied by ``factor``, such as 255 for radii in pixel levels or
    100 for shares in percent. ``limits`` are the ends of the axis, in the unit that is shown.
    """

    column: str
    label: str
    unit: str = ""
    factor: Number = 1.0
    log: bool = False
    limits: list[Number] | None = Field(default=None, min_length=2, max_length=2)

    @model_validator(mode="after")
    def _limits_fit_the_axis(self) -> Quantity:
        if self.limits is not None and self.limits[0] >= self.limits[1]:
            raise ValueError(f"limits: expected the second one to be the larger, found {self.limits}")
        if self.log and self.limits is not None and self.limits[0] <= 0:
            raise ValueError(f"limits: a logarithmic axis is positive, found {self.limits}")
        return self


Selected = Annotated[Number | str, Field(union_mode="left_to_right")]
"""A value of a measurement's column, also as papers write it: ``8/255``."""


Value = Annotated[int | Number | str, Field(union_mode="left_to_right")]
"""A value by which series are told apart."""


class Series(Declaration):
    """One measure of one model among those that a figure compares.

    ``rows`` selects rows of the measurement by the values of its columns, one or several of each. ``columns`` adds
    columns of one value: what ``hue``, ``style`` or ``panels`` tell apart beside ``label``, or the ε of a single attack
    in a figure of curves. All seeds of the model are shown where ``seed`` is not given.
    """

    model: Name
    measure: Name
    label: str
    seed: int | None = Field(default=None, ge=0)
    rows: dict[str, Selected | Annotated[list[Selected], Field(min_length=1)]] = Field(default_factory=dict)
    columns: dict[str, Value] = Field(default_factory=dict)


class Comparison(FigureKind):
    """Several series, told apart by colour and panel.

    ``hue`` and ``panels`` name what differs from colour to colour and from panel to panel: ``label``, a key of the
    series' ``columns``, or a column of the measurements. All panels have the same vertical axis, and the same
    horizontal one unless ``shared_x`` is false.
    """

    series: list[Series] = Field(min_length=1)
    hue: str = "label"
    panels: str | None = None
    panels_per_row: int = Field(default=3, ge=1, le=4)
    shared_x: bool = True

    @model_validator(mode="after")
    def _series_say_what_tells_them_apart(self) -> Comparison:
        names = (self.hue, self.panels, getattr(self, "style", None))
        for name in sorted({name for one in self.series for name in one.columns if name in names}):
            for number, one in enumerate(self.series):
                if name not in one.columns:
                    raise ValueError(f"series[{number}].columns: '{name}' is missing, which other series have")
        if any("label" in one.columns for one in self.series):
            raise ValueError("series: 'label' is a key of a series itself, not of its columns")
        return self

    def sources(self) -> Iterator[Source]:
        """Yield the measure of each series."""
        for one in self.series:
            yield Source(one.model, one.measure, one.seed)

    def column_names(self, series: Series) -> Iterator[str]:  # noqa: ARG002 (lines may have a y of their own)
        """Yield the columns that a series is drawn from."""
        yield from filter(None, (self.hue, self.panels, getattr(self, "style", None)))
        yield from (axis.column for axis in (getattr(self, "x", None), getattr(self, "y", None)) if axis)


class LineSeries(Series):
    """A series of a figure of lines; ``y`` is the column that it shows on the figure's axis, where that is another one.

    So a panel may show the share of examples for which a column is true beside panels of accuracies.
    """

    y: str | None = None


class PrintedNumber(Declaration):
    """The number that the paper prints in a cell, such as ``table2[hrm, pgd]``; the plan puts it in."""

    printed: OneLine


class Reference(Declaration):
    """A horizontal line at a number to compare with, such as the one that a paper prints.

    ``y`` is in the unit that the axis shows, or a printed number (``{printed: "table2[hrm, pgd]"}``). The line has the
    colour of ``hue`` and lies in ``panel``, or in all panels where none is named. References of one ``label`` have one
    entry in the legend.
    """

    y: Annotated[Number | PrintedNumber, Field(union_mode="left_to_right")]
    label: str
    hue: Value | None = None
    panel: Value | None = None


class Lines(Comparison):
    """One quantity against another, such as accuracy against ε: a line per hue and ``style``.

    A point is the mean over the rows of one seed with the same ``x``; a line is the mean over seeds, with its 95%
    interval. ``y`` is the accuracy in percent by default: where the measurements have no column ``accuracy``, it is the
    share of examples that are classified correctly, clean and under attack. Of a column of truth values it is the share
    that is true. ``clean_at`` is the value of x at which to show the accuracy without attack, where a series does not
    itself say at which x it is. ``references`` are horizontal lines to compare with.

    With ``bounds``, x is a bound on how far an image may be moved (in ℓ∞): an image counts by its adversarial example
    where that is within the bound, and by itself elsewhere. The measurements are of perturbed weights.
    """

    implementation: ClassVar[str] = "robustrepro.figures.lines:draw"
    ACCURACY: ClassVar[str] = "accuracy"
    name: Literal["lines"]
    x: Quantity
    y: Quantity = Quantity(column="accuracy", label="accuracy", unit="%", factor=100.0, limits=[0.0, 100.0])
    series: list[LineSeries] = Field(min_length=1)  # type: ignore[assignment]  # nothing adds another series to it
    style: str | None = None
    clean_at: Number | None = None
    bounds: Annotated[list[Annotated[Number, Field(ge=0)]], Field(min_length=2)] | None = None
    references: list[Reference] = Field(default_factory=list)

    def column_names(self, series: Series) -> Iterator[str]:
        """Yield the columns that a series is drawn from, ``accuracy`` among them where it has to be computed."""
        shown = getattr(series, "y", None) or self.y.column
        over = ("index", "linf", "unattacked") if self.bounds else (self.x.column,)
        yield from filter(None, (self.hue, self.panels, self.style, *over, shown))
        if self.clean_at is not None and shown == self.ACCURACY:
            yield "clean_prediction"

    @model_validator(mode="after")
    def _clean_accuracy_has_a_place(self) -> Lines:
        if self.clean_at is not None and self.y.column != self.ACCURACY:
            raise ValueError(f"clean_at: expected y to be the accuracy, found the column {self.y.column}")
        if self.clean_at is not None and self.x.log and self.clean_at <= 0:
            raise ValueError(f"clean_at: a logarithmic axis is positive, found {self.clean_at}")
        return self

    @model_validator(mode="after")
    def _bounds_are_of_accuracies(self) -> Lines:
        if self.bounds is None:
            return self
        shown = {self.y.column, *(one.y for one in self.series if one.y)}
        if shown != {self.ACCURACY} or self.clean_at is not None:
            raise ValueError("bounds: expected y to be the accuracy, and no 'clean_at'")
        if sorted(set(self.bounds)) != self.bounds:
            raise ValueError(f"bounds: expected each larger than the one before, found {self.bounds}")
        return self

    @model_validator(mode="after")
    def _references_have_a_place(self) -> Lines:
        for number, reference in enumerate(self.references):
            where = f"references[{number}]"
            if reference.panel is not None and self.panels is None:
                raise ValueError(f"{where}: panel is {reference.panel}, but the figure has no 'panels'")
            for role, name, value in (("hue", self.hue, reference.hue), ("panel", self.panels, reference.panel)):
                known = self._values_of(name)
                if value is not None and known and value not in known:
                    raise ValueError(
                        f"{where}: {role} is {value}, which no series has; expected one of {', '.join(map(str, known))}"
                    )
            if isinstance(reference.y, PrintedNumber):
                continue
            low, high = self.y.limits or (-inf, inf)
            if not low <= reference.y <= high:
                raise ValueError(f"{where}: y is {reference.y:g}, beyond the limits of the axis, {low:g} and {high:g}")
            if self.y.log and reference.y <= 0:
                raise ValueError(f"{where}: a logarithmic axis is positive, found {reference.y:g}")
        return self

    def _values_of(self, name: str | None) -> list[Value]:
        """Return the values of hue or panels, where the series say them; of a measurement's column, none."""
        if name == "label":
            return [one.label for one in self.series]
        return list(dict.fromkeys(one.columns[name] for one in self.series if name in one.columns))


class Histogram(Comparison):
    """The distribution of a column in each series, over the same ``bins``, in percent of the series' rows.

    ``counted`` says what a row is. ``log_share`` makes the axis of the shares logarithmic.
    """

    implementation: ClassVar[str] = "robustrepro.figures.histogram:draw"
    name: Literal["histogram"]
    x: Quantity
    bins: int = Field(default=40, ge=2, le=400)
    counted: str = "examples"
    log_share: bool = False


class Scatter(Comparison):
    """Two columns of measurements against each other, a point per row."""

    implementation: ClassVar[str] = "robustrepro.figures.scatter:draw"
    name: Literal["scatter"]
    x: Quantity
    y: Quantity
    style: str | None = None


class TableScatter(FigureKind):
    """Two columns of a table against each other, a labelled point per row: the mean over seeds, with its interval.

    ``x`` and ``y`` are the columns' keys. Where the paper prints both numbers, its point is shown as well. ``log_x``
    makes the axis of x logarithmic; ``correlation`` says how well the two orders of the rows agree, by Spearman's ρ.
    ``fewest`` is how many rows have to be measured: among many printed points a single one says something.
    """

    implementation: ClassVar[str] = "robustrepro.figures.table_scatter:draw"
    shows_rows_alone: ClassVar[bool] = True
    name: Literal["table_scatter"]
    table: Name
    x: Key
    y: Key
    log_x: bool = False
    correlation: bool = False
    fewest: int = Field(default=2, ge=1)

    def can_show(self, measured: Collection[Place]) -> bool:
        """Tell whether enough rows have both numbers."""
        of_axes = [{place.row for place in measured if place.column == axis} for axis in (self.x, self.y)]
        return len(set.intersection(*of_axes)) >= self.fewest

    def tables(self) -> Iterator[str]:
        """Yield the table."""
        yield self.table


class SpecificationCurve(FigureKind):
    """A claim under each of its readings: the margin of each comparison, and what each reading chooses.

    The plan makes one for every claim with two readings or more, so that no paper declares it: it is drawn from the
    paper's verdicts and audit, and neither from measurements nor from tables.
    """

    implementation: ClassVar[str] = "robustrepro.figures.specification_curve:draw"
    name: Literal["specification_curve"]
    claim: Key


Drawing = Annotated[
    AdversarialSamples
    | ContactSheet
    | CurvatureSketch
    | DecisionBoundaries
    | GradientPair
    | TrainingGradients
    | TrainingPaths
    | KernelSketch
    | RelaxedHammingSketch
    | DiagonalDominance
    | HeatMap
    | ImageGradients
    | Lines
    | Histogram
    | Scatter
    | Surfaces
    | TableScatter,
    Field(discriminator="name"),
]


class Figure(Declaration):
    """A figure: what it shows, and how it is drawn."""

    where: str
    caption: str
    figure: Drawing
