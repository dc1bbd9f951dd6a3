"""How models are trained, as declared in ``paper.yaml``: network, objective, optimiser, augmentation and budget."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from robustrepro.spec.base import Declaration, Implemented, Number
from robustrepro.spec.networks import Network
from robustrepro.spec.objectives import ObjectiveSpec
from robustrepro.spec.schedules import Rate


class Adam(Implemented):
    """Adam with PyTorch's default moments (Kingma & Ba 2015)."""

    implementation: ClassVar[str] = "robustrepro.training.optimizers:adam"
    name: Literal["adam"]
    learning_rate: Rate


class Sgd(Implemented):
    """Stochastic gradient descent; ``weight_decay`` λ adds λθ to the gradient.

    ``nesterov`` looks ahead along the momentum (Sutskever et al. 2013).
    """

    implementation: ClassVar[str] = "robustrepro.training.optimizers:sgd"
    name: Literal["sgd"]
    learning_rate: Rate
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    nesterov: bool = False
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0

    @model_validator(mode="after")
    def _nesterov_has_momentum(self) -> Sgd:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov is true, but momentum is 0; expected a momentum above 0")
        return self


class Torch7Sgd(Implemented):
    """Stochastic gradient descent with Torch7's momentum μ: v ← μv + (1 − μ)g, where PyTorch has v ← μv + g.

    Its steps are shorter than PyTorch's by 1 − μ at the same learning rate. ``weight_decay`` λ adds λθ to the gradient.
    """

    implementation: ClassVar[str] = "robustrepro.training.torch7_sgd:torch7_sgd"
    name: Literal["torch7_sgd"]
    learning_rate: Rate
    momentum: Annotated[Number, Field(ge=0, lt=1)]
    weight_decay: Annotated[Number, Field(ge=0)] = 0.0


Optimizer = Annotated[Adam | Sgd | Torch7Sgd, Field(discriminator="name")]


class CropAndFlip(Implemented):
    """Random crops of the zero-padded image, and horizontal flips; ``padding`` is in pixels per side."""

    implementation: ClassVar[str] = "robustrepro.training.augmentation:CropAndFlip"
    name: Literal["crop_and_flip"]
    padding: int = Field(default=4, ge=0)


class TrainingSpec(Declaration):
    """Everything that decides a model's weights, but for the seed and the code.

    ``test_accuracy`` asks for the accuracy on the test images after every epoch. ``checkpoints`` are epochs after which
    the weights are kept, beside those of the end; epochs that the training does not reach are passed over. The weights
    depend on neither.
    """

    dataset: str
    network: Network
    objective: ObjectiveSpec
    optimizer: Optimizer
    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    augmentation: CropAndFlip | None = None
    test_accuracy: bool = False
    checkpoints: list[Annotated[int, Field(ge=1)]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _checkpoints_increase(self) -> TrainingSpec:
        if self.checkpoints != sorted(set(self.checkpoints)):
            raise ValueError(f"checkpoints are {self.checkpoints}; expected epochs in increasing order, each once")
        return self

    def is_on_the_way_of(self, longer: TrainingSpec) -> bool:
        """Tell whether a training that differs in its epochs alone keeps all that this one makes, but its history."""
        ours = {self.epochs, *self.kept_epochs()}
        return self.epochs < longer.epochs and ours <= {*longer.kept_epochs()} and not self.test_accuracy

    def kept_epochs(self) -> list[int]:
        """Return the epochs after which the weights are kept, in order."""
        return [epoch for epoch in self.checkpoints if epoch <= self.epochs]
