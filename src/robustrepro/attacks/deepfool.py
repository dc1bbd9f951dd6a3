"""DeepFool: steps to the nearest boundary of the linearised logits, until the prediction changes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.minimal_distance import Proposals
from robustrepro.attacks.norms import NORMS, LpNorm, per_example
from robustrepro.attacks.threat_models import Box
from robustrepro.spec.attacks import DeepFool

# Foolbox's: added to a gradient's dual norm, which may be 0, and to a step, which may end just short of the boundary.
STABILISER, NUDGE = 1e-8, 1e-4


def search(model: nn.Module, images: Tensor, labels: Tensor, box: Box, spec: DeepFool) -> Proposals:
    """Return for each image the first point of its path that is misclassified, or the last one.

    As in Foolbox 3: the perturbation is accumulated without the box, lengthened by the overshoot, and clipped to the
    box before the model sees it; the candidate classes are those of the clean image. An image leaves the batch when it
    is misclassified, and no image's path depends on the others.

    Parameters
    ----------
    model
        Maps inputs to logits (N, classes); its weights need no gradients.
    images, labels
        Correctly classified images (N, ...) and their labels (N,), on the model's device.
    box
        Range of valid pixels, or None.
    spec
        The attack.

    References
    ----------
    Moosavi-Dezfooli, Fawzi & Frossard, "DeepFool: a Simple and Accurate Method to Fool Deep Neural Networks", 2016.
    """
    points, perturbation = images.clone(), torch.zeros_like(images)
    queries = torch.zeros(len(images), dtype=torch.int64)
    active = torch.arange(len(images), device=images.device)
    classes: Tensor | None = None
    for _ in range(spec.steps):
        variable = points[active].requires_grad_(True)
        with torch.enable_grad():
            logits = model(variable)
        queries[active.cpu()] += 1
        if classes is None:
            classes = logits.detach().topk(min(spec.candidates, logits.shape[1])).indices
        standing = logits.argmax(1) == labels[active]
        if not bool(standing.any()):
            break
        differences, gradients = differences_with_gradients(logits, variable, classes[active])
        active = active[standing]
        perturbation[active] += _step(NORMS[spec.norm], differences[standing], gradients[standing])
        moved = images[active] + (1.0 + spec.overshoot) * perturbation[active]
        points[active] = moved if box is None else moved.clamp(*box)
    return Proposals(points, queries)


def differences_with_gradients(logits: Tensor, variable: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return Z_k − Z_0 and its gradient for every candidate k but the first.

    Parameters
    ----------
    logits, variable
        Logits (N, classes) and the inputs (N, ...) that they were computed from.
    classes
        Candidates, the image's own class first, shape (N, K).

    Returns
    -------
    Shapes (N, K − 1) and (N, K − 1, ...), detached.
    """
    with torch.enable_grad():
        chosen = logits.gather(1, classes)
        differences = chosen[:, 1:] - chosen[:, :1]
        gradients = [
            torch.autograd.grad(column.sum(), variable, retain_graph=True)[0] for column in differences.unbind(1)
        ]
    return differences.detach(), torch.stack(gradients, dim=1)


def _step(norm: LpNorm, differences: Tensor, gradients: Tensor) -> Tensor:
    """Return the shortest step to one of the boundaries Z_k = Z_0 of the linearised logits, shape (N, ...).

    In a norm's direction d of steepest ascent, ⟨gradient, d⟩ is the dual norm of the gradient, so that boundary k lies
    |Z_k − Z_0| / ⟨gradient, d⟩ away.
    """
    directions = norm.steepest(gradients.flatten(0, 1)).reshape(gradients.shape)
    slopes = (gradients * directions).flatten(2).sum(2)
    distances = differences.abs() / (slopes + STABILISER)
    nearest = distances.argmin(1)
    rows = torch.arange(len(nearest), device=nearest.device)
    direction = directions[rows, nearest]
    return per_example(distances[rows, nearest] + NUDGE, direction) * direction
