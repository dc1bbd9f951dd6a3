"""The heavy ball: gradient ascent inside the ball whose every move keeps a share of the move before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from robustrepro.attacks.ascent import Ascent, Memory
from robustrepro.attacks.losses import attack_loss
from robustrepro.attacks.norms import per_example
from robustrepro.attacks.threat_models import Box, ThreatModel
from robustrepro.losses import PerExampleLoss
from robustrepro.spec.attacks import ATTACKS, Count, GradientAttack, Length, Number


class HeavyBall(GradientAttack):
    """PGD whose every move adds ``momentum`` times the move before (Polyak 1964)."""

    implementation: ClassVar[str] = f"{__name__}:ascent_of"  # the function below
    words: ClassVar[str] = "heavy ball"  # in texts for people

    # epsilon, norm, loss, precision and search are inherited.
    name: Literal["heavy_ball"] = "heavy_ball"
    steps: Count
    step_size: Length  # a curve asks for relative_step instead
    momentum: Annotated[Number, Field(ge=0, lt=1)] = 0.75
    restarts: Count = 1


ATTACKS["heavy_ball"] = HeavyBall


@dataclass(frozen=True, eq=False)
class HeavyBallAscent(Ascent):
    """An ascent that remembers each image's last move."""

    momentum: float = 0.0

    def first_memory(self, origins: Tensor) -> Memory:
        """Return what is remembered when a restart begins: a tuple of tensors, N first; a count would be (N,)."""
        return (torch.zeros_like(origins),)

    def advance(self, points: Tensor, origins: Tensor, gradient: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Return the points one step further, inside the ball and the pixel range, and what to remember of it."""
        (last,) = memory
        move = self.momentum * last + per_example(self.step_size, points) * self.threat.direction(gradient)
        return self.threat.project(points + move, origins), (move,)


def ascent_of(spec: HeavyBall, box: Box, training_loss: PerExampleLoss | None) -> HeavyBallAscent:
    """Return the declared attack as it runs: ``box`` is the pixel range, ``training_loss`` what ``training`` names."""
    return HeavyBallAscent(
        spec.name,
        ThreatModel(spec.norm, spec.epsilon, box),
        spec.steps,
        spec.step_size,
        attack_loss(spec.loss, training_loss),
        restarts=spec.restarts,
        from_noise=True,  # each restart begins at a random point of the ball (`Ascent.start`), not at the image
        search=spec.search,
        momentum=spec.momentum,
    )
