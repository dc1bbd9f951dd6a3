"""Attacks as declared in ``paper.yaml``: one model a family, discriminated by ``name``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, model_validator

from robustrepro.spec.base import Declaration

Norm = Literal["linf", "l2"]
AttackLoss = Literal["cross_entropy", "training", "margin"]
Precision = Literal["float32", "float64"]


class Clean(Declaration):
    """No perturbation: the clean accuracy."""

    name: Literal["clean"] = "clean"


class GradientAttack(Declaration):
    """What every attack inside an ε-ball around the image shares.

    ``epsilon`` is in units of the pixel range [0, 1]. ``loss`` is what the attack ascends:
    cross-entropy, the objective that the model was trained with, or the margin max_{i≠y} Z_i − Z_y.
    """

    epsilon: float = Field(ge=0, allow_inf_nan=False)
    norm: Norm = "linf"
    loss: AttackLoss = "cross_entropy"
    precision: Precision = "float32"


class Fgsm(GradientAttack):
    """One step of length ε (Goodfellow et al. 2015; for ℓ2, along the normalised gradient)."""

    name: Literal["fgsm"]


class Pgd(GradientAttack):
    """Projected gradient ascent (Madry et al. 2018): ``steps`` of ``step_size``, ``restarts`` times."""

    name: Literal["pgd"]
    steps: int = Field(ge=1)
    step_size: float = Field(gt=0, allow_inf_nan=False)
    restarts: int = Field(default=1, ge=1)
    random_start: bool = True

    @model_validator(mode="after")
    def _restarts_differ(self) -> Pgd:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts is {self.restarts}, but without random_start they would all be the same")
        return self


AttackSpec = Annotated[Clean | Fgsm | Pgd, Field(discriminator="name")]
attack_adapter: TypeAdapter[Clean | Fgsm | Pgd] = TypeAdapter(AttackSpec)
