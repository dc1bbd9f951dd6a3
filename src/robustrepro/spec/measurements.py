"""Kinds of measurement: what each is declared with, what it needs to know of a model, and what it costs.

In ``paper.yaml`` a measure is a name, a kind and its options: ``pgd40: {attack: {name: pgd, ...}, examples: 500}``. A
kind is one class here (or in a module that ``extensions`` in config.yaml names) and one file with one pure function,
``measure(trained, declared, progress)``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Self, get_args

from pydantic import Field, model_validator

from robustrepro.corruptions.names import CLEAN
from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.attacks import Attack as AnyAttack
from robustrepro.spec.attacks import (
    AttackSpec,
    Clean,
    CraftingSpec,
    Curve,
    CurveAttack,
    GradientOrCleanSpec,
    GradientSpec,
    MinimalDistanceAttack,
    Norm,
    PerceptualAttack,
)
from robustrepro.spec.audit import AuditBall
from robustrepro.spec.base import Implemented, Name, Number
from robustrepro.spec.config import validated
from robustrepro.spec.corruptions import CorruptionName
from robustrepro.spec.models import Side
from robustrepro.spec.objectives import FunctionOfLogits
from robustrepro.spec.registry import is_built_in
from robustrepro.spec.strict_yaml import Tree

Part = Literal["network", "objective", "training", "checkpoints", "history"]
"""What a measurement may need to know of a model beside its weights; it runs again when one of these changes.

``checkpoints`` are the epochs after which a training keeps its weights, and ``history`` is whether it looks at the test
images after every epoch; the measurement reads these files as well.
"""


EXAMPLE = frozenset({"index", "label", "prediction"})
"""The columns of every measurement with a row per example."""
ORIGIN = frozenset({"origin_index", "origin_norm", "origin_epsilon"})
"""Those that come with them where the examples are adversarial: which image, and in which ball, each was made of."""
ATTACKED = EXAMPLE | {"clean_prediction", "linf", "l2", "queries"}
"""Those of every attack."""


class Cost(NamedTuple):
    """What a job asks of the machine."""

    gpu: int = 0
    memory_mb: int = 1000
    minutes: int = 30
    threads: int = 1


class Measurement(Implemented):
    """What is measured on a trained model.

    Attributes
    ----------
    data
        The data set to measure on; the model's own when not said.
    shards
        Over how many jobs the rows are split; they are gathered into one file.
    subjects
        How many models a measurement is of: 1, or 2 for a comparison of a pair.
    reads_data
        Whether a data set is read at all.
    cost
        What one job asks of the machine.
    statistic
        What a cell shows of it unless it says otherwise.
    """

    kind: str
    data: Name | None = None
    shards: Annotated[int, Field(ge=1, le=1000)] = 1

    subjects: ClassVar[int] = 1
    reads_data: ClassVar[bool] = True
    can_be_sharded: ClassVar[bool] = False
    cost: ClassVar[Cost] = Cost()
    statistic: ClassVar[Any] = "accuracy"
    columns: ClassVar[frozenset[str] | None] = None
    """The columns of its measurements, if they are known beforehand: what statistics name is then checked at once."""

    def known_columns(self) -> frozenset[str] | None:
        """Return the columns that it will have; None where they are not known beforehand."""
        return self.columns

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return, by column, the values that it will have there, of those columns where they are known beforehand.

        Parameters
        ----------
        kept_epochs
            Those after which the measured model keeps its weights; empty where the values are asked for whichever model
            it is.
        """
        return {}

    @model_validator(mode="after")
    def _shards_suit_the_kind(self) -> Self:
        if self.shards > 1 and not self.can_be_sharded:
            raise ValueError(f"shards is {self.shards}, but a measurement of kind '{self.kind}' is one piece")
        return self

    def parts(self) -> frozenset[Part]:
        """Return what it needs to know of a model."""
        return frozenset({"network"})


class OfExamples(Measurement):
    """A measurement with rows of its own for every example: of a split, or of its first ``examples`` alone."""

    split: Literal["train", "test"] = "test"
    examples: int | None = Field(default=None, ge=1)

    can_be_sharded: ClassVar[bool] = True
    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000)


class UnderAttack(OfExamples):
    """A model under attack; unless ``clipped``, adversarial examples may leave the range of valid pixels."""

    clipped: bool = True

    @model_validator(mode="after")
    def _perceptual_attacks_keep_their_bounds(self) -> Self:
        for attack in walk(self):
            if not isinstance(attack, PerceptualAttack):
                continue
            if not self.clipped:
                raise ValueError(f"clipped is false, but {attack.name} makes images in [0, 1]; expected true")
            if attack.form not in attack.MEASURES:
                raise ValueError(
                    f"attack.form is {attack.form}, in which nothing keeps {attack.name} within its bound; expected "
                    f"{' or '.join(attack.MEASURES)}"
                )
        return self


class Attack(UnderAttack):
    """A model under one attack, image by image."""

    implementation: ClassVar[str] = "robustrepro.measures.attack:measure"
    kind: Literal["attack"]
    attack: AttackSpec

    def known_columns(self) -> frozenset[str]:
        """Return the columns that it will have: an attack without a bound has no margins, and no restarts."""
        if isinstance(self.attack, MinimalDistanceAttack):
            return ATTACKED | {"l1"}
        sizes = {"size"} if isinstance(self.attack, PerceptualAttack) else set()
        return ATTACKED | {"clean_margin", "margin", "restart"} | sizes

    def parts(self) -> frozenset[Part]:
        """Return what it needs to know of a model: the objective only where the attack ascends it."""
        return _with_objective(self.attack)


class CurveOfAttacks(UnderAttack):
    """A model under one attack at many ε, image by image."""

    implementation: ClassVar[str] = "robustrepro.measures.curve:measure"
    kind: Literal["curve"]
    curve: Curve

    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {"epsilon", "clean_prediction", "margin", "queries"}

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return its ε."""
        return {"epsilon": self.curve.epsilons}

    def parts(self) -> frozenset[Part]:
        """Return what it needs to know of a model: the objective only where the attack ascends it."""
        return _with_objective(self.curve.attack)


Method = Literal["remove_rarely_active", "truncate_singular_values", "remove_and_truncate"]


class WeightPerturbation(UnderAttack):
    """A fully connected layer perturbed by more and more percent, on the adversarial examples of the trained model.

    Attributes
    ----------
    attack
        Which makes the examples.
    layer
        The layer's name in the network.
    methods
        Changes of weights, as derived models have them.
    up_to, every
        The percentages: 0, ``every``, 2 ``every`` and so on, at most ``up_to``.
    side, activity
        Which units are told to be rarely active, and on the images of which split of the data that are measured on.
    """

    implementation: ClassVar[str] = "robustrepro.measures.weight_perturbation:measure"
    kind: Literal["weight_perturbation"]
    attack: AttackSpec
    layer: str
    methods: Annotated[list[Method], Field(min_length=1)] = Field(default_factory=lambda: [*get_args(Method)])
    up_to: Annotated[int, Field(ge=0, le=99)] = 99
    every: Annotated[int, Field(ge=1)] = 1
    side: Side = "outputs"
    activity: Literal["train", "test"] = "train"

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000, minutes=120)
    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {
        "clean_prediction",
        "linf",
        "l2",
        "method",
        "percent",
        "unattacked",
    }

    @model_validator(mode="after")
    def _methods_differ(self) -> Self:
        if len(set(self.methods)) < len(self.methods):
            raise ValueError(f"methods: expected each once, found {', '.join(self.methods)}")
        return self

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return its methods and percentages."""
        return {"method": self.methods, "percent": range(0, self.up_to + 1, self.every)}

    def parts(self) -> frozenset[Part]:
        """Return what it needs to know of a model: the objective only where the attack ascends it."""
        return _with_objective(self.attack)


class OverEpochs(UnderAttack):
    """A model under one attack with the weights after each epoch that its training keeps, image by image.

    The attack follows a gradient, which the column ``without_gradient`` is about, or is none at all. One without a
    gradient, or of several losses such as AutoAttack, has no loss whose gradient could vanish.
    """

    implementation: ClassVar[str] = "robustrepro.measures.over_epochs:measure"
    kind: Literal["over_epochs"]
    attack: GradientOrCleanSpec

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000, minutes=120)

    def known_columns(self) -> frozenset[str]:
        """Return the columns that it will have: without an attack, there is no loss that could lack a gradient."""
        columns = EXAMPLE | {"epoch", "clean_prediction"}
        return columns if isinstance(self.attack, Clean) else columns | {"without_gradient"}

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:
        """Return the epochs, which depend on the model."""
        return {"epoch": kept_epochs} if kept_epochs else {}

    def parts(self) -> frozenset[Part]:
        """Return what it needs to know of a model: the objective only where the attack ascends it."""
        return _with_objective(self.attack) | {"checkpoints"}


class Crafted(UnderAttack):
    """Adversarial examples that are made for one model, the source, and tried on others.

    A target is never asked for a gradient, so that masking its own gradients is no defence. Targets were trained
    independently: a source with seed k attacks the target's next seed, k + 1.
    """

    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {
        "target",
        "target_seed",
        "norm",
        "epsilon",
        "clean_prediction",
    }

    def crafting_attacks(self) -> list[Any]:
        """Return the attacks with which the examples are made."""
        raise NotImplementedError

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return the balls."""
        attacks = self.crafting_attacks()
        return {name: list(dict.fromkeys(getattr(attack, name) for attack in attacks)) for name in ("norm", "epsilon")}

    def parts(self) -> frozenset[Part]:
        """Return what it needs to know of the source: the objective only where an attack ascends it."""
        return frozenset().union(*map(_with_objective, self.crafting_attacks()))


class Transfer(Crafted):
    """The examples that one attack makes, tried on ``targets``.

    Attributes
    ----------
    source
        The model that they are made for: a cell then shows its row's model as the target. When not said, they are made
        for the row's model, and a column says which of the targets it shows.
    white_box
        Whether the examples are tried on the very network that they are made for, too.
    """

    implementation: ClassVar[str] = "robustrepro.measures.transfer:measure"
    kind: Literal["transfer"]
    attack: CraftingSpec
    targets: list[Name] = Field(min_length=1)
    source: Name | None = None
    white_box: bool = False

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:
        """Return the ball, and the targets."""
        return {**super().known_values(kept_epochs), "target": self.targets}

    def crafting_attacks(self) -> list[Any]:
        """Return the one attack."""
        return [self.attack]


class AuditTransfer(Crafted):
    """The examples that a model of a paper makes, tried on all of the paper's audited models on the same data."""

    implementation: ClassVar[str] = "robustrepro.measures.transfer:measure_all"
    kind: Literal["audit_transfer"]
    attacks: list[CraftingSpec] = Field(min_length=1)

    can_be_sharded: ClassVar[bool] = False

    def crafting_attacks(self) -> list[Any]:
        """Return the attack in each ball."""
        return list(self.attacks)


class AuditOfBall(Measurement):
    """One model under every attack of the audit, in one ball."""

    implementation: ClassVar[str] = "robustrepro.measures.audit:measure"
    kind: Literal["audit"]
    ball: AuditBall
    clipped: bool = True
    examples: int = Field(ge=1)

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000, minutes=120)


class Losses(OfExamples):
    """The cross-entropy of every example of a split."""

    implementation: ClassVar[str] = "robustrepro.measures.losses:measure"
    kind: Literal["losses"]

    statistic: ClassVar[Any] = {"mean": "loss"}
    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {"loss"}


class Corrupted(OfExamples):
    """A model on images corrupted as in ImageNet-C (Hendrycks & Dietterich 2019), one row per image and corrupted set.

    Images are corrupted as they are classified, and are the same for every model and seed. Square images in colour are
    corrupted with the parameters of the published data set that is nearest in size.

    Attributes
    ----------
    corruptions, severities
        Which; all 15 at 1 to 5 when not said.
    clean
        Whether the images are classified as they are, too: the corruption ``clean``, of severity 0.
    images
        ``generated`` here, or the ``official`` ones of ImageNet-C, from the folder ``imagenet-c`` of the mirror.
    allow_unverified
        Whether tar files other than the official ones are read. Images that lie there unpacked have no checksum.
    jpeg_quality
        Of the JPEG that a corrupted image is saved as before it is classified: 85 in ImageNet-C; none when not said.
    """

    implementation: ClassVar[str] = "robustrepro.measures.corrupted:measure"
    kind: Literal["corrupted"]
    corruptions: Annotated[list[CorruptionName], Field(min_length=1)] = Field(
        default_factory=lambda: [*get_args(CorruptionName)]
    )
    severities: Annotated[list[Annotated[int, Field(ge=1, le=5)]], Field(min_length=1)] = Field(
        default_factory=lambda: [1, 2, 3, 4, 5]
    )
    clean: bool = False
    images: Literal["generated", "official"] = "generated"
    allow_unverified: bool = False
    jpeg_quality: Annotated[int, Field(ge=1, le=95)] | None = None

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000, minutes=120)
    statistic: ClassVar[Any] = {"percentage": "right"}
    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {"corruption", "severity", "right"}

    @model_validator(mode="after")
    def _each_set_is_named_once(self) -> Self:
        for name, values in (("corruptions", self.corruptions), ("severities", self.severities)):
            if len(set(values)) < len(values):
                raise ValueError(f"{name}: expected each once, found {', '.join(map(str, values))}")
        if self.images == "official" and self.jpeg_quality is not None:
            raise ValueError("jpeg_quality: the official images are saved as JPEG already")
        return self

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return its corruptions and severities."""
        clean = ([CLEAN], [0]) if self.clean else ([], [])
        return {"corruption": [*clean[0], *self.corruptions], "severity": [*clean[1], *self.severities]}


class CorruptedSamples(Measurement):
    """One test image, by its index, under every corruption at every severity, and what a model takes it for.

    Images are those that a measurement of the kind corrupted classifies, without the JPEG.
    """

    implementation: ClassVar[str] = "robustrepro.measures.corrupted_samples:measure"
    kind: Literal["corrupted_samples"]
    image: Annotated[int, Field(ge=0)] = 0
    corruptions: Annotated[list[CorruptionName], Field(min_length=1)] = Field(
        default_factory=lambda: [*get_args(CorruptionName)]
    )

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000)
    statistic: ClassVar[Any] = "count"
    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {"corruption", "severity", "channel", "y", "x", "value"}

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return its corruptions, and that there is the image as it is."""
        return {"corruption": [CLEAN, *self.corruptions]}


class InputGeometry(OfExamples):
    """Gradient and Hessian of ``functions`` of the answer with respect to each image, exactly, and how sparse they are.

    Attributes
    ----------
    functions
        ``margin``, ``confidence`` (the softmax probability of the label) and ``cross_entropy``.
    zero_gradient, zero_eigenvalue
        Below which magnitude an entry of the gradient, or an eigenvalue of the Hessian, counts as zero.
    """

    implementation: ClassVar[str] = "robustrepro.measures.input_geometry:measure"
    kind: Literal["input_geometry"]
    functions: Annotated[list[FunctionOfLogits], Field(min_length=1)]
    zero_gradient: Annotated[Number, Field(gt=0)] = 0.01
    zero_eigenvalue: Annotated[Number, Field(gt=0)] = 1e-9

    statistic: ClassVar[Any] = {"mean": "gradient_l1"}
    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {
        "function",
        "value",
        "gradient_l1",
        "gradient_zeros",
        "hessian_l1",
        "eigenvalues_l1",
        "eigenvalue_zeros",
    }

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return its functions."""
        return {"function": self.functions}


class Verification(OfExamples):
    """Whether any point of each image's ℓ∞ ball is misclassified, decided exactly where time allows.

    Attributes
    ----------
    attack
        Comes first; its ball is the one that is verified.
    seconds
        For all programs of one image, wall-clock time.
    """

    implementation: ClassVar[str] = "robustrepro.measures.verification:measure"
    kind: Literal["verification"]
    attack: GradientSpec
    seconds: Annotated[Number, Field(gt=0)] = 120.0

    cost: ClassVar[Cost] = Cost(memory_mb=3000, minutes=240)
    statistic: ClassVar[Any] = {"share": {"column": "verdict", "equals": "verified"}}
    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {
        "clean_prediction",
        "verdict",
        "stage",
        "margin",
        "unstable",
        "inactive",
        "last_unstable",
        "last_inactive",
        "seconds",
    }

    @model_validator(mode="after")
    def _attack_suits_a_verifier(self) -> Self:
        if self.attack.norm != "linf":
            raise ValueError(f"attack.norm is {self.attack.norm}; the verifier knows the ball of linf alone")
        if self.attack.loss == "training":
            raise ValueError("attack.loss is training; expected a loss that needs no objective, such as margin")
        return self

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return its verdicts."""
        return {"verdict": ("verified", "falsified", "unresolved")}


class NearestNeighbours(Measurement):
    """How far each of ``examples`` images, drawn from a split, is from the nearest other image of the split."""

    implementation: ClassVar[str] = "robustrepro.measures.nearest_neighbours:measure"
    kind: Literal["nearest_neighbours"]
    split: Literal["train", "test"] = "train"
    examples: int | None = Field(default=None, ge=1)

    cost: ClassVar[Cost] = Cost(memory_mb=2000, threads=2)
    statistic: ClassVar[Any] = {"mean": "distance"}
    columns: ClassVar[frozenset[str] | None] = frozenset({"index", "label", "neighbour", "neighbour_label", "distance"})


class InputGradients(Measurement):
    """Test ``images``, by their index, and the gradient of ``function`` with respect to each of their pixels."""

    implementation: ClassVar[str] = "robustrepro.measures.input_gradients:measure"
    kind: Literal["input_gradients"]
    function: FunctionOfLogits = "margin"
    images: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1, max_length=16)]

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000)
    columns: ClassVar[frozenset[str] | None] = EXAMPLE | {"channel", "y", "x", "value", "gradient"}
    statistic: ClassVar[Any] = {"mean": "gradient"}


class Samples(Measurement):
    """Adversarial examples beside the images that they were made of, pixel by pixel, and what a model says of both.

    The measure's ``data`` are made from a model. Shown are ``count`` of the examples that fool the measured model, at
    even distances in the data set; with a ``norm``, of those that were made in its ball.
    """

    implementation: ClassVar[str] = "robustrepro.measures.samples:measure"
    kind: Literal["samples"]
    count: int = Field(default=8, ge=1, le=16)
    norm: Norm | None = None

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000)

    columns: ClassVar[frozenset[str] | None] = ORIGIN | {
        "sample",
        "part",
        "label",
        "prediction",
        "channel",
        "y",
        "x",
        "value",
    }


Direction = Literal["random", "cross_entropy", "least_likely", "margin", "filter_normalised"]


class Surface(Measurement):
    """Functions of the answer on a grid: in a plane of input space around images, or of parameter space.

    Attributes
    ----------
    space
        ``inputs`` or ``parameters``.
    directions
        Along x and along y. In input space every pixel changes by ±1: ``random``, or up the gradient of the
        ``cross_entropy``, of the likelihood of the ``least_likely`` class, or of the ``margin`` of the best wrong class
        over the label. In parameter space ``filter_normalised``.
    functions
        ``cross_entropy``, ``confidence`` (the softmax probability of the label) and ``margin``.
    reach
        How far the grid goes from its middle, in units of the directions: of pixels in [0, 1] in input space.
    resolution
        Points per side; an odd number, so that the middle is one of them.
    images
        The test images around which there is a surface, by their index; in input space.
    examples
        Over how many of the first test images values are averaged; in parameter space.
    """

    implementation: ClassVar[str] = "robustrepro.measures.surface:measure"
    kind: Literal["surface"]
    space: Literal["inputs", "parameters"]
    directions: Annotated[list[Direction], Field(min_length=2, max_length=2)]
    functions: Annotated[list[FunctionOfLogits], Field(min_length=1)]
    reach: Annotated[Number, Field(gt=0)]
    resolution: int = Field(default=51, ge=3, le=501)
    images: list[Annotated[int, Field(ge=0)]] = Field(default_factory=list)
    examples: int | None = Field(default=None, ge=1)

    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000, minutes=60)
    statistic: ClassVar[Any] = {"mean": "value"}

    @model_validator(mode="after")
    def _directions_suit_the_space(self) -> Self:
        if self.resolution % 2 == 0:
            raise ValueError(f"resolution is {self.resolution}; expected an odd number, so that the middle is a point")
        of_parameters = self.space == "parameters"
        for direction in self.directions:
            if (direction == "filter_normalised") != of_parameters:
                raise ValueError(f"directions: there is no '{direction}' in the space of {self.space}")
        for option, belongs in (("images", not of_parameters), ("examples", of_parameters)):
            if bool(getattr(self, option)) != belongs:
                needed = "is missing" if belongs else f"says nothing in the space of {self.space}"
                raise ValueError(f"{option}: this key {needed}")
        return self

    def known_columns(self) -> frozenset[str]:
        """Return the columns that it will have: points of parameter space are of no image."""
        columns = frozenset({"function", "x", "y", "value"})
        return columns | EXAMPLE if self.space == "inputs" else columns

    def known_values(self, kept_epochs: Sequence[int] = ()) -> Mapping[str, Collection[Any]]:  # noqa: ARG002
        """Return its functions."""
        return {"function": self.functions}


class DecisionBoundary(Measurement):
    """A model of points in the plane on a grid with ``resolution`` points per side, and on its training points."""

    implementation: ClassVar[str] = "robustrepro.measures.decision_boundary:measure"
    kind: Literal["decision_boundary"]
    resolution: int = Field(default=200, ge=20)

    columns: ClassVar[frozenset[str] | None] = frozenset({"part", "x", "y", "label", "prediction", "probability"})


class TrainingPath(Measurement):
    """A training repeated, with parameters and gradients of every n-th update; n is ``every``."""

    implementation: ClassVar[str] = "robustrepro.measures.training_path:measure"
    kind: Literal["training_path"]
    every: int = Field(default=1, ge=1)

    columns: ClassVar[frozenset[str] | None] = frozenset({"update", "parameter", "value", "gradient"})
    cost: ClassVar[Cost] = Cost(gpu=1, memory_mb=3000)

    def parts(self) -> frozenset[Part]:
        """Return what it needs to know of a model: how it was trained."""
        return frozenset({"training"})


class History(Measurement):
    """What a training recorded after every epoch; the accuracy on the test images if the model declares it."""

    implementation: ClassVar[str] = "robustrepro.measures.history:measure"
    kind: Literal["history"]

    reads_data: ClassVar[bool] = False

    def parts(self) -> frozenset[Part]:
        """Return the record."""
        return frozenset({"history"})


class ParameterDistance(Measurement):
    """How far apart the parameters of two models with the same seed are."""

    implementation: ClassVar[str] = "robustrepro.measures.parameter_distance:measure"
    kind: Literal["parameter_distance"]

    subjects: ClassVar[int] = 2
    reads_data: ClassVar[bool] = False
    statistic: ClassVar[Any] = {"root_of_sum": {"column": "squared_difference", "count": "parameters"}}

    columns: ClassVar[frozenset[str] | None] = frozenset({"tensor", "parameters", "squared_difference"})

    def parts(self) -> frozenset[Part]:
        """Return nothing: the weights are all that it reads."""
        return frozenset()


KINDS: dict[str, type[Measurement]] = {
    "attack": Attack,
    "corrupted": Corrupted,
    "corrupted_samples": CorruptedSamples,
    "curve": CurveOfAttacks,
    "decision_boundary": DecisionBoundary,
    "history": History,
    "input_geometry": InputGeometry,
    "verification": Verification,
    "nearest_neighbours": NearestNeighbours,
    "input_gradients": InputGradients,
    "losses": Losses,
    "over_epochs": OverEpochs,
    "parameter_distance": ParameterDistance,
    "samples": Samples,
    "surface": Surface,
    "training_path": TrainingPath,
    "transfer": Transfer,
    "weight_perturbation": WeightPerturbation,
}
"""The kinds that a paper can declare a measure of."""


def measure_of(tree: Tree, source: str) -> Measurement:
    """Return the measure that a mapping such as ``{attack: {...}, examples: 500}`` declares.

    Raises
    ------
    UserError
        At the first mistake; the message begins with ``source`` and names the key.
    """
    kinds = [key for key in tree if key in KINDS]
    if len(kinds) != 1:
        unknown = [key for key in tree if key not in Measurement.model_fields and key not in OfExamples.model_fields]
        if not kinds and unknown:
            raise unknown_name(f"kind of measurement in {source}", unknown[0], KINDS)
        raise UserError(
            f"{source}: expected one kind of measurement ({', '.join(sorted(KINDS))}), found "
            f"{', '.join(kinds) or 'none'}"
        )
    (kind,) = kinds
    options, beside = tree[kind], {key: value for key, value in tree.items() if key != kind}
    if kind in KINDS[kind].model_fields:
        options = {kind: options}
    elif not isinstance(options, Mapping | None):
        raise UserError(f"{source}: {kind}: expected a mapping of options, found {options!r}")
    content = dict(options or {})
    if "kind" in content:
        raise UserError(f"{source}: {kind}.kind: unknown key")
    if twice := content.keys() & beside.keys():
        raise UserError(f"{source}: {min(twice)} is there twice, under {kind} and beside it")
    content |= {"kind": kind, **beside}
    return validated(KINDS[kind], content, source)


def _with_objective(attack: Any) -> frozenset[Part]:
    return frozenset({"network", "objective"} if getattr(attack, "loss", None) == "training" else {"network"})


def walk(declared: Any) -> Iterator[Implemented]:
    """Yield every declaration inside another (itself included) that stands for code."""
    if isinstance(declared, Implemented):
        yield declared
    if hasattr(type(declared), "model_fields"):
        for name in type(declared).model_fields:
            yield from walk(getattr(declared, name))
    elif isinstance(declared, Mapping):
        for value in declared.values():
            yield from walk(value)
    elif isinstance(declared, list | tuple):
        for value in declared:
            yield from walk(value)


def runs_of(*declared: Any) -> list[str]:
    """Return the implementations of declarations and of all that is nested in them: what a job runs.

    With those are the user's own attacks (see `own_attacks`).
    """
    return sorted({each.implementation for root in declared for each in walk(root)} | set(own_attacks(*declared)))


def own_attacks(*declared: Any) -> list[str]:
    """Return the classes of the user's own attacks in declarations, ``module:name``, which a step has to register."""
    attacks = (each for root in declared for each in walk(root) if isinstance(each, AnyAttack | CurveAttack))
    kinds = {attack.in_a_ball if isinstance(attack, CurveAttack) else type(attack) for attack in attacks}
    return sorted(f"{kind.__module__}:{kind.__qualname__}" for kind in kinds if not is_built_in(kind))
