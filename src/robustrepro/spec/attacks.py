"""Attacks as declared in ``paper.yaml``: one model a family, discriminated by ``name``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from robustrepro.spec.base import Declaration, Key

Norm = Literal["linf", "l2"]
AttackLoss = Literal["cross_entropy", "training", "margin", "log_odds"]
Precision = Literal["float32", "float64"]
Search = Literal["bfloat16", "tf32"]

Radius = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


class Clean(Declaration):
    """No perturbation: the clean accuracy."""

    name: Literal["clean"] = "clean"


class BallAttack(Declaration):
    """What every attack inside an ε-ball shares; ``epsilon`` is in units of the pixel range [0, 1]."""

    epsilon: Radius
    norm: Norm = "linf"


class GradientOptions(Declaration):
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


class Restarts(Declaration):
    """Where PGD begins, and how often."""

    restarts: Count = 1
    random_start: bool = True

    @model_validator(mode="after")
    def _restarts_differ(self) -> Restarts:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts is {self.restarts}, but without random_start they would all be the same")
        return self


class Fgsm(BallAttack, GradientOptions):
    """One step of length ε (Goodfellow et al. 2015; for ℓ2, along the normalised gradient)."""

    name: Literal["fgsm"]


class Bim(BallAttack, GradientOptions):
    """Steps of ``step_size`` from the image itself (Kurakin et al. 2017, the basic iterative method)."""

    name: Literal["bim"]
    steps: Count
    step_size: Length


class Pgd(BallAttack, GradientOptions, Restarts):
    """Projected gradient ascent (Madry et al. 2018): ``steps`` of ``step_size``, ``restarts`` times."""

    name: Literal["pgd"]
    steps: Count
    step_size: Length


class Noise(BallAttack):
    """The worst of ``draws`` uniformly random points of the ball; no gradient."""

    name: Literal["noise"]
    draws: Count
    precision: Precision = "float32"


class AutoAttack(BallAttack):
    """The ensemble of Croce & Hein (2020), in float32.

    ``standard`` is APGD on cross-entropy, targeted APGD, targeted FAB and Square; ``plus`` adds APGD on the DLR loss
    and untargeted FAB, and gives APGD and FAB five restarts. ``steps`` is the budget of APGD and FAB, and
    ``square_queries``
    that of Square; the defaults are the authors'.
    """

    name: Literal["autoattack"]
    version: Literal["standard", "plus"] = "standard"
    steps: Count = 100
    square_queries: Count = 5000


GradientAttack = Fgsm | Bim | Pgd
CraftingAttack = GradientAttack | Noise | AutoAttack
Attack = Clean | CraftingAttack
AttackSpec = Annotated[Attack, Field(discriminator="name")]
CraftingSpec = Annotated[CraftingAttack, Field(discriminator="name")]
attack_adapter: TypeAdapter[Attack] = TypeAdapter(AttackSpec)
crafting_attack_adapter: TypeAdapter[CraftingAttack] = TypeAdapter(CraftingSpec)


class TransferAttack(Declaration):
    """The adversarial examples that ``attack`` makes for another model, ``source``, trained from another seed.

    The model itself is never asked for a gradient, so that masking its own gradients is no defence.
    """

    name: Literal["transfer"]
    source: Key
    attack: CraftingSpec


class CurveAttack(GradientOptions):
    """A gradient attack without its ε; every length is a multiple of it."""

    norm: Norm = "linf"


class CurveFgsm(CurveAttack):
    """FGSM at every ε of a curve."""

    name: Literal["fgsm"]

    def at(self, epsilon: float) -> Fgsm:
        """Return the attack at one ε."""
        return Fgsm(epsilon=epsilon, **self.model_dump())


class CurveBim(CurveAttack):
    """BIM at every ε of a curve, in steps of ``relative_step`` ε."""

    name: Literal["bim"]
    steps: Count
    relative_step: Length

    def at(self, epsilon: float) -> Bim:
        """Return the attack at one ε."""
        options = self.model_dump(exclude={"relative_step"})
        return Bim(epsilon=epsilon, step_size=self.relative_step * epsilon, **options)


class CurvePgd(CurveAttack, Restarts):
    """PGD at every ε of a curve, in steps of ``relative_step`` ε; its random starts scale with ε too."""

    name: Literal["pgd"]
    steps: Count
    relative_step: Length

    def at(self, epsilon: float) -> Pgd:
        """Return the attack at one ε."""
        options = self.model_dump(exclude={"relative_step"})
        return Pgd(epsilon=epsilon, step_size=self.relative_step * epsilon, **options)


class Curve(Declaration):
    """One gradient attack at many ε, in increasing order; ε = 0, the clean accuracy, is in every row anyway."""

    name: Literal["curve"]
    epsilons: Annotated[list[Length], Field(min_length=1)]
    attack: Annotated[CurveFgsm | CurveBim | CurvePgd, Field(discriminator="name")]

    @model_validator(mode="after")
    def _epsilons_increase(self) -> Curve:
        if any(larger <= smaller for smaller, larger in zip(self.epsilons, self.epsilons[1:], strict=False)):
            raise ValueError(f"epsilons are {self.epsilons}; expected each larger than the one before")
        return self

    def attacks(self) -> list[GradientAttack]:
        """Return the attack at each ε."""
        return [self.attack.at(epsilon) for epsilon in self.epsilons]
