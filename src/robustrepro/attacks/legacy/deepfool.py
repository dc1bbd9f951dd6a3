"""DeepFool as Foolbox 1.8 runs it: every step is lengthened and clipped, and the next one starts where it ends."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.deepfool import differences_with_gradients
from robustrepro.attacks.legacy.nearest import Nearest, required
from robustrepro.attacks.minimal_distance import Proposals
from robustrepro.attacks.norms import per_example
from robustrepro.attacks.threat_models import Box
from robustrepro.spec.attacks import LegacyDeepFool

LENGTHENED, STABILISER = 1.05, 1e-8
"""The factor on every step, and what is added to a gradient's length, which may be 0."""


def search(model: nn.Module, images: Tensor, labels: Tensor, box: Box, spec: LegacyDeepFool) -> Proposals:
    """Return the first misclassified point of each image's path.

    The candidates are the ``candidates`` most likely classes of the clean image; at each step those count whose logit
    is below that of the label. The step goes to the nearest of their linearised boundaries, 5% further, and is clipped
    to the box. Since clipping takes a share of every step, a path comes near a boundary by a constant factor per step,
    and crosses it by rounding: where a path ends depends on the precision, and with it some images' distances.

    Parameters
    ----------
    model, images, labels, box, spec
        See `robustrepro.attacks.minimal_distance.Search`.

    Raises
    ------
    UserError
        If there is no range of valid pixels.

    References
    ----------
    Moosavi-Dezfooli, Fawzi & Frossard, "DeepFool: a Simple and Accurate Method to Fool Deep Neural Networks", 2016; as
    ``DeepFoolAttack`` of Foolbox 1.8.
    """
    low, high = required(box)
    nearest, points = Nearest(images), images.clone()
    rows = torch.arange(len(images), device=images.device)
    candidates: Tensor | None = None
    for step in range(spec.steps + 1):
        variable = points[rows].requires_grad_(True)
        with torch.enable_grad():
            logits = model(variable)
        answers = logits.detach()
        if candidates is None:
            others = answers.scatter(1, labels[:, None], -torch.inf)
            candidates = others.topk(min(spec.candidates, answers.shape[1]) - 1).indices
        wrong = answers.argmax(1) != labels[rows]
        nearest.count(rows)
        nearest.offer(rows, variable.detach(), wrong)
        gaps = answers.gather(1, candidates[rows]) - answers.gather(1, labels[rows, None])
        going_on = ~wrong & (gaps < 0).any(1)  # Where all others are equal to the label's, there is nowhere to go.
        if step == spec.steps or not bool(going_on.any()):
            break
        moved = variable.detach() + LENGTHENED * _step(logits, variable, labels[rows], candidates[rows])
        rows = rows[going_on]
        points[rows] = moved[going_on].clamp(low, high)
    return nearest.proposals()


def _step(logits: Tensor, variable: Tensor, labels: Tensor, candidates: Tensor) -> Tensor:
    """Return the shortest ℓ2 step to a boundary of the linearised logits, shape (N, ...).

    Parameters
    ----------
    logits, variable
        Logits (N, classes) and the inputs (N, ...) that they were computed from.
    labels, candidates
        Shapes (N,) and (N, K).
    """
    gaps, gradients = differences_with_gradients(logits, variable, torch.cat([labels[:, None], candidates], dim=1))
    distances = gaps.abs() / (gradients.flatten(2).norm(dim=2) + STABILISER)
    chosen = distances.masked_fill(gaps >= 0, torch.inf).argmin(1)
    everyone = torch.arange(len(chosen), device=chosen.device)
    direction = gradients[everyone, chosen]
    length = direction.flatten(1).norm(dim=1) + STABILISER
    step: Tensor = per_example(distances[everyone, chosen] / length, direction) * direction
    return step
