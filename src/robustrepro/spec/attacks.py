"""Attacks as declared in ``paper.yaml``: one class per family, chosen by ``name``.

The unions at the end are the registry. Three bases, by what an attack is given: a ball (`BallAttack`), a ball per point
of a curve (`CurveAttack`), or no bound on the distance, which it minimises (`MinimalDistanceAttack`).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter, model_validator

from robustrepro.spec.base import Implemented, Number

Norm = Literal["linf", "l2", "l1"]
AttackLoss = Literal["cross_entropy", "training", "margin", "log_odds"]
Precision = Literal["float32", "float64"]
Search = Literal["bfloat16", "tf32"]

Radius = Annotated[Number, Field(ge=0)]
Length = Annotated[Number, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Clean(Implemented):
    """No perturbation: the clean accuracy."""

    implementation: ClassVar[str] = "robustrepro.attacks.measure:measure"

    name: Literal["clean"] = "clean"


class BallAttack(Implemented):
    """What every attack inside an ε-ball shares; ``epsilon`` is in units of the pixel range [0, 1]."""

    epsilon: Radius
    norm: Norm = "linf"


class GradientOptions(Implemented):
    """How an attack follows the gradient.

    ``loss`` is what it ascends: cross-entropy, the objective that the model was trained with, the margin
    max_{i≠y} Z_i − Z_y, or the log-odds log Σ_{i≠y} exp Z_i − Z_y. ``precision`` is that of the model under attack.
    With ``search`` the iterates go through the model in a lower precision, and a success counts only where the float32
    model makes the same mistake at that very point.
    """

    loss: AttackLoss = "cross_entropy"
    precision: Precision = "float32"
    search: Search | None = None

    @model_validator(mode="after")
    def _search_is_below_the_precision(self) -> GradientOptions:
        if self.search is not None and self.precision != "float32":
            raise ValueError(f"search is {self.search}, a lower form of float32, but precision is {self.precision}")
        return self


class Restarts(Implemented):
    """Where PGD begins, and how often."""

    restarts: Count = 1
    random_start: bool = True

    @model_validator(mode="after")
    def _restarts_differ(self) -> Restarts:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts is {self.restarts}, but without random_start they would all be the same")
        return self


class Fgsm(BallAttack, GradientOptions):
    """One step of length ε (Goodfellow et al. 2015), in the norm's direction of steepest ascent."""

    implementation: ClassVar[str] = "robustrepro.attacks.fgsm:ascent_of"

    name: Literal["fgsm"]


class Bim(BallAttack, GradientOptions):
    """Steps of ``step_size`` from the image itself (Kurakin et al. 2017, the basic iterative method)."""

    implementation: ClassVar[str] = "robustrepro.attacks.bim:ascent_of"

    name: Literal["bim"]
    steps: Count
    step_size: Length


class Pgd(BallAttack, GradientOptions, Restarts):
    """Projected gradient ascent (Madry et al. 2018): ``steps`` of ``step_size``, ``restarts`` times."""

    implementation: ClassVar[str] = "robustrepro.attacks.pgd:ascent_of"

    name: Literal["pgd"]
    steps: Count
    step_size: Length


class Noise(BallAttack):
    """The worst of ``draws`` uniformly random points of the ball; no gradient."""

    implementation: ClassVar[str] = "robustrepro.attacks.noise:ascent_of"

    name: Literal["noise"]
    draws: Count
    precision: Precision = "float32"


class AutoAttack(BallAttack):
    """The ensemble of Croce & Hein (2020), in float32.

    ``standard`` is APGD on cross-entropy, targeted APGD, targeted FAB and Square; ``plus`` adds APGD on the DLR loss
    and untargeted FAB, and gives APGD and FAB five restarts. ``steps`` is the budget of APGD and FAB, and
    ``square_queries`` that of Square; the defaults are the authors'.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.autoattack:autoattack"

    name: Literal["autoattack"]
    version: Literal["standard", "plus"] = "standard"
    steps: Count = 100
    square_queries: Count = 5000


class MinimalDistanceAttack(Implemented):
    """What every attack shares that has no ε: per image, it looks for the nearest misclassified point in ``norm``."""

    norm: Norm = "l2"
    precision: Precision = "float32"


class DeepFool(MinimalDistanceAttack):
    """Steps to the nearest boundary of the linearised logits (Moosavi-Dezfooli et al. 2016).

    ``candidates`` is how many classes are considered, the most likely ones of the clean image, its own among them; the
    accumulated perturbation is lengthened by ``overshoot``. The defaults are those of Foolbox 3.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.deepfool:search"

    name: Literal["deepfool"]
    norm: Literal["linf", "l2"] = "l2"
    steps: Count = 50
    candidates: Annotated[int, Field(ge=2)] = 10
    overshoot: Radius = 0.02


GradientAttack = Fgsm | Bim | Pgd
AscentAttack = GradientAttack | Noise
CraftingAttack = AscentAttack | AutoAttack
FixedBudgetAttack = Clean | CraftingAttack
Attack = FixedBudgetAttack | DeepFool
CraftingSpec = Annotated[CraftingAttack, Field(discriminator="name")]
AttackSpec = Annotated[Attack, Field(discriminator="name")]
crafting_attack_adapter: TypeAdapter[CraftingAttack] = TypeAdapter(CraftingSpec)
attack_adapter: TypeAdapter[Attack] = TypeAdapter(AttackSpec)


class CurveAttack(GradientOptions):
    """A gradient attack without its ε; every length is a multiple of it."""

    norm: Norm = "linf"


class CurveFgsm(CurveAttack):
    """FGSM at every ε of a curve."""

    implementation: ClassVar[str] = Fgsm.implementation

    name: Literal["fgsm"]


class CurveBim(CurveAttack):
    """BIM at every ε of a curve, in steps of ``relative_step`` ε."""

    implementation: ClassVar[str] = Bim.implementation

    name: Literal["bim"]
    steps: Count
    relative_step: Length


class CurvePgd(CurveAttack, Restarts):
    """PGD at every ε of a curve, in steps of ``relative_step`` ε; its random starts scale with ε too."""

    implementation: ClassVar[str] = Pgd.implementation

    name: Literal["pgd"]
    steps: Count
    relative_step: Length


CurveAttackSpec = Annotated[CurveFgsm | CurveBim | CurvePgd, Field(discriminator="name")]


class Curve(Implemented):
    """One gradient attack at many ε, in increasing order; ε = 0, the clean accuracy, is in every row anyway."""

    implementation: ClassVar[str] = "robustrepro.attacks.curve:measure_curve"

    name: Literal["curve"] = "curve"
    epsilons: Annotated[list[Length], Field(min_length=1)]
    attack: CurveAttackSpec

    @model_validator(mode="after")
    def _epsilons_increase(self) -> Curve:
        if any(larger <= smaller for smaller, larger in zip(self.epsilons, self.epsilons[1:], strict=False)):
            raise ValueError(f"epsilons are {self.epsilons}; expected each larger than the one before")
        return self
