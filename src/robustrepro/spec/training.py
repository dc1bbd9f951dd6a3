"""Models as declared in ``paper.yaml``: data set, architecture, objective, optimiser and budget."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from robustrepro.spec.base import Declaration


class Lenet5(Declaration):
    """LeNet-5 on images of 28x28 or 32x32."""

    name: Literal["lenet5"]


class Mlp(Declaration):
    """Fully connected layers of the given widths with ReLU between them."""

    name: Literal["mlp"]
    hidden: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)


class ConvNet(Declaration):
    """3x3 convolutions of stride 2 with ReLU, of the given numbers of channels, and a linear layer."""

    name: Literal["convnet"]
    channels: list[Annotated[int, Field(ge=1)]] = Field(min_length=1)


class Resnet50(Declaration):
    """ResNet-50 with a stem for small images."""

    name: Literal["resnet50"]


Architecture = Annotated[Lenet5 | Mlp | ConvNet | Resnet50, Field(discriminator="name")]


class Erm(Declaration):
    """Empirical risk minimisation."""

    name: Literal["erm"]


class Cem(Declaration):
    """The cross error matrix objective; ``guard`` is δ in √(Lᵢ + δ), in nats."""

    name: Literal["cem"]
    guard: float = Field(default=1e-8, gt=0, allow_inf_nan=False)


class Hrm(Declaration):
    """Hollow risk minimisation; ``guard`` is δ in √(Lᵢ + δ), in nats."""

    name: Literal["hrm"]
    guard: float = Field(default=1e-8, gt=0, allow_inf_nan=False)


class IdentityKernel(Declaration):
    """What the paper calls the identity function: G = 1 for every pair."""

    name: Literal["identity"]


class RadialBasisKernel(Declaration):
    """G = exp(−γ ‖xᵢ − xⱼ‖²); ``gamma`` is in inverse squares of the inputs' unit."""

    name: Literal["rbf"]
    gamma: float = Field(gt=0, allow_inf_nan=False)


class HyperLaplacianKernel(Declaration):
    """G = exp(−α ‖xᵢ − xⱼ‖ᵖ) with 0 < p < 1: at p = 1 it would be Laplacian."""

    name: Literal["hyper_laplacian"]
    alpha: float = Field(gt=0, allow_inf_nan=False)
    p: float = Field(gt=0, lt=1)


class ModifiedCosineKernel(Declaration):
    """G = (1 + cos ∠(xᵢ, xⱼ)) / 2."""

    name: Literal["modified_cosine"]


Kernel = Annotated[
    IdentityKernel | RadialBasisKernel | HyperLaplacianKernel | ModifiedCosineKernel, Field(discriminator="name")
]


class VMatrix(Declaration):
    """The V-matrix objective, without its diagonal if ``hollow``; ``guard`` is δ in √(Lᵢ + δ), in nats."""

    name: Literal["v_matrix"]
    kernel: Kernel
    hollow: bool
    guard: float = Field(default=1e-8, gt=0, allow_inf_nan=False)


Objective = Annotated[Erm | Cem | Hrm | VMatrix, Field(discriminator="name")]


class Adam(Declaration):
    """Adam with PyTorch's default moments (Kingma & Ba 2015)."""

    name: Literal["adam"]
    learning_rate: float = Field(gt=0, allow_inf_nan=False)


class CropAndFlip(Declaration):
    """Random crops of the zero-padded image, and horizontal flips; ``padding`` is in pixels a side."""

    name: Literal["crop_and_flip"]
    padding: int = Field(default=4, ge=0)


class TrainingSpec(Declaration):
    """Everything that decides a model's weights, but for the seed and the code."""

    dataset: str
    architecture: Architecture
    objective: Objective
    optimizer: Adam
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    augmentation: CropAndFlip | None = None


class ModelDeclaration(TrainingSpec):
    """A model of a paper: how it is trained, and with how many seeds (the scale's number when not said)."""

    seeds: int | None = Field(default=None, ge=1)

    def training_spec(self) -> dict[str, Any]:
        """Return what one seed's training job depends on, as plain data; what is not asked for is not in it."""
        return self.model_dump(mode="json", exclude={"seeds"}, exclude_none=True)
