"""Gradient ascent inside a threat model: the step that FGSM, BIM, PGD and their relatives share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robustrepro.attacks.norms import per_example
from robustrepro.attacks.precision import search_precision
from robustrepro.attacks.threat_models import Box, ThreatModel, unit_ball_noise
from robustrepro.implementations import resolve
from robustrepro.losses import PerExampleLoss
from robustrepro.spec.attacks import AscentAttack, Search

Memory = tuple[Tensor, ...]
"""What an ascent remembers of its earlier steps: tensors with one entry per image, shape (N, ...); mostly none."""


@dataclass(frozen=True, eq=False)
class Ascent:
    """A declared attack, reduced to what the active set needs to run it.

    A subclass may override where an image starts, its gradient, and how it advances, with a memory of its own. Each
    image's steps depend on that image alone: a batch's images are at different steps and in different restarts.

    Attributes
    ----------
    name
        The attack's name, for messages.
    threat
        Where the adversary may go.
    steps, step_size
        How many steps, and their length in the threat model's norm: one length for all examples, or one per example,
        shape (N,).
    loss
        Per-example loss to ascend.
    restarts
        How often an image that resists is attacked anew.
    from_noise
        Whether a restart begins at a random point of the ball or at the image itself.
    search
        The lower precision in which the iterates go through the model, if any.
    """

    name: str
    threat: ThreatModel
    steps: int
    step_size: float | Tensor
    loss: PerExampleLoss
    restarts: int = 1
    from_noise: bool = False
    search: Search | None = None

    def start(self, origins: Tensor, *, seed: int, indices: Sequence[int], restarts: Sequence[int]) -> Tensor:
        """Return where each image's restart begins; origins have shape (N, ...)."""
        if not self.from_noise:
            return origins
        noise = unit_ball_noise(self.threat.norm, origins.shape[1:], seed=seed, indices=indices, restarts=restarts)
        return self.threat.random_start(origins, noise.to(origins.device, origins.dtype))

    def gradient(self, model: nn.Module, points: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits and gradient at the points (see `input_gradient`), in the precision of the search."""
        with search_precision(self.search, points.device):
            return input_gradient(model, points, labels, self.loss)

    def first_memory(self, origins: Tensor) -> Memory:  # noqa: ARG002 (for subclasses to shape theirs)
        """Return what is remembered when a restart begins; origins have shape (N, ...)."""
        return ()

    def advance(self, points: Tensor, origins: Tensor, gradient: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """Return the points one step further up the gradient, projected back into the threat model, and the memory."""
        move = per_example(self.step_size, points) * self.threat.direction(gradient)
        return self.threat.project(points + move, origins), memory

    def climb(self, model: nn.Module, origins: Tensor, labels: Tensor, starts: Tensor) -> Tensor:
        """Return every example's last iterate after all steps from its start, broken already or not.

        Parameters
        ----------
        model
            Maps inputs (N, ...) to logits; used in the mode it is in.
        origins, starts
            Images and where their ascent begins, shape (N, ...).
        labels
            int64, shape (N,).
        """
        origins, points = origins.detach(), starts.detach()
        memory = self.first_memory(origins)
        with weights_frozen(model):
            for _ in range(self.steps):
                _, gradient = self.gradient(model, points, labels)
                points, memory = self.advance(points, origins, gradient, memory)
        return points


def declared_ascent(spec: AscentAttack, box: Box, training_loss: PerExampleLoss | None) -> Ascent:
    """Return the declared attack as the active set runs it, from the attack's own file.

    Parameters
    ----------
    spec
        The attack.
    box
        Range of valid pixels, or None.
    training_loss
        Per-example loss that ``loss: training`` stands for, if any.
    """
    ascent_of: Callable[[AscentAttack, Box, PerExampleLoss | None], Ascent] = resolve(spec.implementation)
    return ascent_of(spec, box, training_loss)


def input_gradient(model: nn.Module, points: Tensor, labels: Tensor, loss: PerExampleLoss) -> tuple[Tensor, Tensor]:
    """Return the logits and the gradient of each example's loss with respect to its own input.

    Where the model's answer does not hang together with the input, as behind a ``detach`` or with labels for logits,
    the gradient is zero: an attack that follows it stays where it is, and the audit's alarm goes off.

    Parameters
    ----------
    model
        Maps inputs (N, ...) to logits (N, classes), each row from its own input only.
    points, labels
        Shapes (N, ...) and (N,).
    loss
        Per-example loss; it gets the logits in the precision of the points, also where the model computed in another.

    Returns
    -------
    Logits (N, classes) and gradient (N, ...), both detached.

    Raises
    ------
    ValueError
        If the loss does not return one value per example.
    """
    with torch.enable_grad():
        variable = points.detach().requires_grad_(True)
        logits = model(variable).to(variable.dtype)
        losses = loss(logits, labels)
        if losses.shape != labels.shape:
            expected = f"({len(labels)},), one loss per example"
            raise ValueError(f"the attack's loss returned shape {tuple(losses.shape)}; expected {expected}")
        gradient = None
        if losses.requires_grad:
            (gradient,) = torch.autograd.grad(losses.sum(), variable, allow_unused=True)
    return logits.detach(), torch.zeros_like(points) if gradient is None else gradient


@contextmanager
def weights_frozen(model: nn.Module) -> Iterator[None]:
    """Let no weight require a gradient inside the block: activations kept for weight gradients cost memory and time.

    Every weight is left as it was, also when the block fails.
    """
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    for weight in trainable:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in trainable:
            weight.requires_grad_(True)
