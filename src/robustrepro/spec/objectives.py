"""Training objectives as declared in ``paper.yaml``, discriminated by ``name``."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter

from robustrepro.spec.base import Implemented, Number


class Erm(Implemented):
    """Empirical risk minimisation."""

    implementation: ClassVar[str] = "robustrepro.objectives.erm:EmpiricalRisk"
    name: Literal["erm"]


class Cem(Implemented):
    """The cross error matrix objective; ``guard`` is δ in √(Lᵢ + δ), in nats."""

    implementation: ClassVar[str] = "robustrepro.objectives.cem:CrossErrorRisk"
    name: Literal["cem"]
    guard: Annotated[Number, Field(gt=0)] = 1e-8


class Hrm(Implemented):
    """Hollow risk minimisation; ``guard`` is δ in √(Lᵢ + δ), in nats."""

    implementation: ClassVar[str] = "robustrepro.objectives.hrm:HollowRisk"
    name: Literal["hrm"]
    guard: Annotated[Number, Field(gt=0)] = 1e-8


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


class VMatrix(Implemented):
    """The V-matrix objective, without its diagonal if ``hollow``; ``guard`` is δ in √(Lᵢ + δ), in nats."""

    implementation: ClassVar[str] = "robustrepro.objectives.v_matrix:VMatrixRisk"
    name: Literal["v_matrix"]
    kernel: Kernel
    hollow: bool
    guard: Annotated[Number, Field(gt=0)] = 1e-8


ObjectiveSpec = Annotated[Erm | Cem | Hrm | VMatrix, Field(discriminator="name")]
objective_adapter: TypeAdapter[Implemented] = TypeAdapter(ObjectiveSpec)
