"""Training objectives as declared in ``paper.yaml``, discriminated by ``name``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, TypeAdapter, model_validator

from robustrepro.spec.attacks import Bim, PerceptualAttack, Pgd, TrainingAttackSpec
from robustrepro.spec.base import LAZY, Implemented, Number
from robustrepro.spec.schedules import Rate, Schedule, lowest

FunctionOfLogits = Literal["margin", "confidence", "cross_entropy"]
"""By its name in `robustrepro.logit_functions`."""
ExampleLoss = Literal["cross_entropy", "clipped_cross_entropy"]
GUARD = 1e-8
"""δ in √(Lᵢ + δ) where a loss can reach 0, in nats."""


class OfLosses(Implemented):
    """An objective made of the losses of single examples; ``loss`` is which one."""

    loss: ExampleLoss = "cross_entropy"


class OfRoots(OfLosses):
    """An objective made of √(Lᵢ + δ); ``guard`` is δ, in nats.

    It is 1e-8 when not said, and 0 with the clipped loss, which does not reach 0.
    """

    guard: Annotated[Number, Field(ge=0)]

    @model_validator(mode="before")
    @classmethod
    def _guard_suits_the_loss(cls, declared: Any) -> Any:
        if not isinstance(declared, dict) or declared.get("guard") is not None:
            return declared
        return {**declared, "guard": 0.0 if declared.get("loss") == "clipped_cross_entropy" else GUARD}

    @model_validator(mode="after")
    def _has_a_slope_everywhere(self) -> Self:
        if self.guard == 0 and self.loss == "cross_entropy":
            raise ValueError(
                "guard is 0, but this loss reaches 0, where the slope of a root is infinite; expected above 0"
            )
        return self


class Erm(OfLosses):
    """Empirical risk minimisation."""

    implementation: ClassVar[str] = "robustrepro.objectives.erm:EmpiricalRisk"
    name: Literal["erm"]


class LabelSmoothing(Implemented):
    """The cross-entropy to labels of which the share ``smoothing`` is spread over all classes."""

    implementation: ClassVar[str] = "robustrepro.objectives.label_smoothing:SmoothedRisk"
    name: Literal["label_smoothing"]
    smoothing: Annotated[Number, Field(ge=0, lt=1)]


class Cem(OfRoots):
    """The cross error matrix objective."""

    implementation: ClassVar[str] = "robustrepro.objectives.cem:CrossErrorRisk"
    name: Literal["cem"]


class Hrm(OfRoots):
    """Hollow risk minimisation."""

    implementation: ClassVar[str] = "robustrepro.objectives.hrm:HollowRisk"
    name: Literal["hrm"]


class IdentityKernel(Implemented):
    """What the paper calls the identity function: G = 1 for every pair."""

    implementation: ClassVar[str] = "robustrepro.objectives.v_matrix:identity"
    name: Literal["identity"]


class RadialBasisKernel(Implemented):
    """G = exp(−γ ‖xᵢ − xⱼ‖²); ``gamma`` is in inverse squares of the inputs' unit."""

    implementation: ClassVar[str] = "robustrepro.objectives.v_matrix:radial_basis"
    name: Literal["rbf"]
    gamma: Annotated[Number, Field(gt=0)]


class HyperLaplacianKernel(Implemented):
    """G = exp(−α ‖xᵢ − xⱼ‖ᵖ) with 0 < p < 1: at p = 1 it would be Laplacian."""

    implementation: ClassVar[str] = "robustrepro.objectives.v_matrix:hyper_laplacian"
    name: Literal["hyper_laplacian"]
    alpha: Annotated[Number, Field(gt=0)]
    p: Annotated[Number, Field(gt=0, lt=1)]


class ModifiedCosineKernel(Implemented):
    """G = (1 + cos ∠(xᵢ, xⱼ)) / 2."""

    implementation: ClassVar[str] = "robustrepro.objectives.v_matrix:modified_cosine"
    name: Literal["modified_cosine"]


Kernel = Annotated[
    IdentityKernel | RadialBasisKernel | HyperLaplacianKernel | ModifiedCosineKernel, Field(discriminator="name")
]


class VMatrix(OfRoots):
    """The V-matrix objective, without its diagonal if ``hollow``."""

    implementation: ClassVar[str] = "robustrepro.objectives.v_matrix:VMatrixRisk"
    name: Literal["v_matrix"]
    kernel: Kernel
    hollow: bool


Adversary = TrainingAttackSpec
"""An attack that a training can run in every update."""


class OfAdversarialExamples(OfLosses):
    """Training on what an adversary makes of each batch, and with ``clean_weight`` as its share, on the batch itself.

    Without ``clipped``, the examples of an adversary in a ball may leave the pixel range [0, 1].
    """

    adversary: Adversary
    clean_weight: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    clipped: bool = True

    @model_validator(mode="after")
    def _adversary_suits_a_training(self) -> Self:
        if isinstance(self.adversary, PerceptualAttack):
            if not self.clipped:
                raise ValueError(f"clipped is false, but {self.adversary.name} makes images in [0, 1]; expected true")
            return self
        if self.adversary.precision != "float32":
            raise ValueError(f"adversary.precision is {self.adversary.precision}; a training computes in float32")
        restarts = getattr(self.adversary, "restarts", 1)
        if restarts > 1:
            raise ValueError(f"adversary.restarts is {restarts}; every update attacks anew, expected restarts: 1")
        return self


class Adversarial(OfAdversarialExamples):
    """Adversarial training; ``clean_weight`` is α in Equation 3 of Shaham et al."""

    implementation: ClassVar[str] = "robustrepro.objectives.adversarial:AdversarialRisk"
    name: Literal["adversarial"]


SteppedAdversary = Annotated[Bim | Pgd, Field(discriminator="name")]
"""An attack of many steps, whose ball can grow."""


class RampedAdversarial(OfAdversarialExamples):
    """Adversarial training whose ε, and the adversary's steps with it, grow from 0 within ``ramp`` epochs."""

    implementation: ClassVar[str] = "robustrepro.objectives.ramped_adversarial:RampedAdversarialRisk"
    name: Literal["ramped_adversarial"]
    adversary: SteppedAdversary
    ramp: Annotated[Number, Field(gt=0)]


class GradientRegularisation(OfLosses):
    """The loss plus ``coefficient`` times the mean ``norm`` of the gradient of ``function`` with respect to the images.

    ``beside`` is adversarial training, where its risk takes the place of the loss.
    """

    implementation: ClassVar[str] = "robustrepro.objectives.gradient_regularisation:GradientRegularisedRisk"
    name: Literal["gradient_regularisation"]
    function: FunctionOfLogits
    norm: Literal["l1", "l2", "linf", "squared_l2"]
    coefficient: Annotated[Number, Field(gt=0)]
    beside: Adversarial | None = None

    @model_validator(mode="after")
    def _one_loss(self) -> Self:
        if self.beside and self.beside.loss != self.loss:
            raise ValueError(f"beside.loss is {self.beside.loss}, but loss is {self.loss}; expected the same")
        return self


def _weight(schedule: Schedule) -> Schedule:
    """Refuse a weight that is negative at some epoch."""
    if lowest(schedule) < 0:
        raise ValueError(f"its lowest value is {lowest(schedule):g}; expected a weight of 0 or above")
    return schedule


Weight = Annotated[Schedule, AfterValidator(_weight)]
"""A schedule of numbers that are never negative."""


class OfPairs(OfLosses):
    """An objective that compares a network's answers to x + ρ and x − ρ, with ρ a random corner of the ε-cube.

    ``stability`` and ``hamming`` are the weights of its two terms, ``sharpness`` the α of H_α. Without ``clipped``,
    x ± ρ may leave the pixel range [0, 1]; with it, a black or white pixel is moved at one of the corners alone.
    """

    epsilon: Rate
    stability: Weight
    hamming: Weight
    sharpness: Annotated[Number, Field(gt=0)] = 8.0
    clipped: bool = False
    outputs: Literal["logits", "softmax"] = "logits"
    stability_over_batch: Literal["sum", "mean"] = "sum"
    squared: Literal["layer", "mean", "nothing"] = "mean"

    @model_validator(mode="after")
    def _regularises(self) -> Self:
        if self.stability == 0 and self.hamming == 0:
            raise ValueError("stability and hamming are both 0; expected a weight above 0, or name: erm")
        return self


class HammingRegularisation(OfPairs):
    """The loss plus how differently a network answers to, and computes on, each pair x ± ρ."""

    implementation: ClassVar[str] = "robustrepro.objectives.hamming:HammingRegularisedRisk"
    name: Literal["hamming"]


class DenseHammingRegularisation(OfPairs):
    """The same between all perturbed images of a batch, each two weighted by how near they are to one another."""

    implementation: ClassVar[str] = "robustrepro.objectives.dense_hamming:DenseHammingRisk"
    name: Literal["dense_hamming"]

    @model_validator(mode="after")
    def _pairs_are_apart(self) -> Self:
        if lowest(self.epsilon) == 0:
            raise ValueError(
                "epsilon is 0 at some epoch, where the heat kernel has no scale; expected above 0 throughout"
            )
        return self


ObjectiveSpec = Annotated[
    Erm
    | LabelSmoothing
    | Cem
    | Hrm
    | VMatrix
    | Adversarial
    | RampedAdversarial
    | GradientRegularisation
    | HammingRegularisation
    | DenseHammingRegularisation,
    Field(discriminator="name"),
]
objective_adapter: TypeAdapter[Implemented] = TypeAdapter(ObjectiveSpec, config=LAZY)
