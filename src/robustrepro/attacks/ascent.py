"""Gradient ascent inside a threat model: the step that FGSM, PGD and their relatives share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustrepro.attacks.losses import PerExampleLoss
from robustrepro.attacks.threat_models import ThreatModel, unit_ball_noise


@dataclass(frozen=True)
class Ascent:
    """A family's attack, reduced to what the active set needs to run it.

    Attributes
    ----------
    name
        The attack's name, for messages.
    threat
        Where the adversary may go.
    steps, step_size
        How many steps, each of which length in the threat model's norm.
    restarts
        How often an image that resists is attacked anew.
    from_noise
        Whether a restart begins at a random point of the ball or at the image itself.
    """

    name: str
    threat: ThreatModel
    steps: int
    step_size: float
    restarts: int = 1
    from_noise: bool = False

    def start(self, origins: Tensor, *, seed: int, indices: Sequence[int], restarts: Sequence[int]) -> Tensor:
        """Return where each image's restart begins; origins have shape (N, ...)."""
        if not self.from_noise:
            return origins
        noise = unit_ball_noise(self.threat.norm, origins.shape[1:], seed=seed, indices=indices, restarts=restarts)
        return self.threat.random_start(origins, noise.to(origins.device, origins.dtype))

    def advance(self, points: Tensor, origins: Tensor, gradient: Tensor) -> Tensor:
        """Return the points one step further up the gradient, projected back into the threat model."""
        return self.threat.project(points + self.step_size * self.threat.direction(gradient), origins)


def input_gradient(model: nn.Module, points: Tensor, labels: Tensor, loss: PerExampleLoss) -> tuple[Tensor, Tensor]:
    """Return the logits and the gradient of each example's loss with respect to its own input.

    Parameters
    ----------
    model
        Maps inputs (N, ...) to logits (N, classes), each row from its own input only.
    points, labels
        Shapes (N, ...) and (N,).
    loss
        Per-example loss.

    Returns
    -------
    Logits (N, classes) and gradient (N, ...), both detached.

    Raises
    ------
    ValueError
        If the loss does not return one value an example.
    """
    with torch.enable_grad():
        variable = points.detach().requires_grad_(True)
        logits = model(variable)
        losses = loss(logits, labels)
        if losses.shape != labels.shape:
            expected = f"({len(labels)},), one loss an example"
            raise ValueError(f"the attack's loss returned shape {tuple(losses.shape)}; expected {expected}")
        (gradient,) = torch.autograd.grad(losses.sum(), variable)
    return logits.detach(), gradient


@contextmanager
def weights_frozen(model: nn.Module) -> Iterator[None]:
    """Let no weight require a gradient inside the block: activations kept for weight gradients cost memory and time.

    Every weight is left as it was found, also when the block fails.
    """
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trainable:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trainable:
            weight.requires_grad_(True)
