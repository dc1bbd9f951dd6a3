"""JPEG-ℓ∞: the coefficients of an image's JPEG encoding are perturbed, each by a share of its quantisation step."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustrepro.attacks.ascent import weights_frozen
from robustrepro.attacks.losses import log_odds, margin
from robustrepro.attacks.perceptual.declared import Batch, DeclaredAttack
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.attacks.threat_models import unit_ball_noise
from robustrepro.losses import PerExampleLoss, cross_entropy
from robustrepro.spec.attacks import Form, Jpeg

SIDE = 8
"""Of a block, in pixels."""

SUBSAMPLING = 2
"""Side, in pixels, of the squares whose chroma is averaged (4:2:0)."""

LUMA_STEPS = torch.tensor(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    dtype=torch.float64,
)
"""Quantisation steps of luma on the scale 0 to 255, by vertical and horizontal frequency (ITU-T T.81, Table K.1).

Files of quality 50 use exactly these and `CHROMA_STEPS`.
"""

CHROMA_STEPS = torch.full((SIDE, SIDE), 99, dtype=torch.float64)
"""Quantisation steps of both chroma channels (ITU-T T.81, Table K.2)."""
CHROMA_STEPS[:4, :4] = torch.tensor([[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]])

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""Weights of luma (ITU-R BT.601)."""

FROM_RGB = torch.tensor(
    [
        [RED, GREEN, BLUE],
        [-RED / (2 - 2 * BLUE), -GREEN / (2 - 2 * BLUE), 0.5],
        [0.5, -GREEN / (2 - 2 * RED), -BLUE / (2 - 2 * RED)],
    ],
    dtype=torch.float64,
)
"""From red, green and blue to luma, blue-difference chroma and red-difference chroma, both chroma 0 for grey."""

LEVELS, GREY = 255, 128 / 255
"""The largest 8-bit level, and the grey that JPEG codes as zero, in [0, 1]."""

Render = Callable[[Tensor, Tensor], Tensor]
"""From rows of the batch and their variables to images in [0, 1]."""


def jpeg(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    bound: float,
    steps: int,
    seed: int,
    indices: Tensor,
    form: Form = "faithful",
) -> Perturbed:
    """Ascend the cross-entropy over variables in [-bound, bound], one for each coefficient of a JPEG of quality 50.

    A variable moves its coefficient by half its value in quantisation steps; nothing is rounded. The start is
    uniform, and each step moves every variable by bound / √steps along the sign of its gradient.

    ``faithful`` is the published code: the attacked image is the decoded one, whose chroma is averaged over 2 × 2
    pixels even at bound 0; the first gradient is taken where the start is multiplied by the bound once more; the last
    iterate is returned. ``corrected`` adds to the image only the difference that the perturbed coefficients make to the
    decoded one, so that the perturbation alone is measured and the image is unchanged at bound 0; it takes every
    gradient where the iterate is, and of the log-odds, which points the same way and does not vanish where the model is
    certain; and it returns the first misclassified iterate, beginning with the image itself, or else that of the
    largest margin, since an attack that succeeded on its way has succeeded.

    Parameters
    ----------
    model
        Maps images in [0, 1] to logits, each row from its own image only; its weights are left as they are.
    images
        Shape (N, 3, height, width), in [0, 1].
    labels
        int64, shape (N,).
    bound
        Largest absolute variable; twice the largest shift of a coefficient, in quantisation steps.
    steps
        Gradient steps, at least one.
    seed, indices
        The seed that the user sees, and each image's index in its data set, shape (N,): they fix its random start.
    form
        See above.

    Returns
    -------
    The images, with the largest absolute variable of each.

    Raises
    ------
    ValueError
        If the images are not in colour, or their height or width is not divisible by 16.

    References
    ----------
    Kang et al., "Testing Robustness Against Unforeseen Adversaries", 2019, Section 3 (JPEG attack, after Shin & Song,
    "JPEG-resistant Adversarial Images", 2017); the bounds for CIFAR-10 in Laidlaw, Singla & Feizi, "Perceptual
    Adversarial Robustness", 2021, which also calls the code with this step.
    """
    variables_per_image = _luma_size(images) * 3 // 2
    order = indices.tolist()
    noise = unit_ball_noise("linf", (variables_per_image,), seed=seed, indices=order, restarts=[0] * len(order))
    start = bound * noise.to(images)
    with weights_frozen(model):
        if form == "faithful":
            return _last(model, _decoding(images), labels, start, bound=bound, steps=steps)
        return _best(model, _adding(images), labels, start, bound=bound, steps=steps)


def encode(images: Tensor) -> Tensor:
    """Return an image's coefficients in units of their quantisation steps, not rounded.

    Parameters
    ----------
    images
        Shape (N, 3, height, width), in [0, 1].

    Returns
    -------
    Shape (N, 3/2 · height · width): the blocks of luma in reading order, 64 coefficients each by vertical and then
    horizontal frequency, then those of the two chroma channels.

    Raises
    ------
    ValueError
        If the images are not in colour, or their height or width is not divisible by 16.

    References
    ----------
    ITU-T T.81 (JPEG), Annexes A.3.3 and K; JFIF 1.02 for the colours.
    """
    _luma_size(images)
    converted = torch.einsum("ij,njhw->nihw", FROM_RGB.to(images), (images - GREY) * LEVELS)
    chroma = functional.avg_pool2d(converted[:, 1:], SUBSAMPLING)
    luma_blocks = _transformed(converted[:, :1]) / LUMA_STEPS.to(images)
    chroma_blocks = _transformed(chroma) / CHROMA_STEPS.to(images)
    return torch.cat([luma_blocks.flatten(1), chroma_blocks.flatten(1)], dim=1)


def decode(coefficients: Tensor, height: int, width: int) -> Tensor:
    """Return the images of coefficients as `encode` returns them, shape (N, 3, height, width), not clipped."""
    return GREY + _pixels(coefficients, height, width)


def cosines() -> Tensor:
    """Return the orthonormal discrete cosine transform of 8 values, shape (8 frequencies, 8 places), in float64."""
    places = torch.arange(SIDE, dtype=torch.float64)
    waves = torch.cos(math.pi / SIDE * places[:, None] * (places + 0.5)) * math.sqrt(2 / SIDE)
    waves[0] /= math.sqrt(2)
    return waves


def _pixels(coefficients: Tensor, height: int, width: int) -> Tensor:
    """Return what coefficients add to an image, shape (N, 3, height, width): `decode` without its constant."""
    luma, chroma = coefficients.tensor_split([height * width], dim=1)
    fine = (len(luma), 1, height // SIDE, width // SIDE, SIDE, SIDE)
    coarse = (len(luma), 2, fine[2] // SUBSAMPLING, fine[3] // SUBSAMPLING, SIDE, SIDE)
    luma = _restored(luma.reshape(fine) * LUMA_STEPS.to(luma))
    chroma = _restored(chroma.reshape(coarse) * CHROMA_STEPS.to(chroma))
    chroma = functional.interpolate(chroma, scale_factor=SUBSAMPLING, mode="nearest")
    to_rgb = torch.linalg.inv(FROM_RGB).to(luma)
    pixels: Tensor = torch.einsum("ij,njhw->nihw", to_rgb, torch.cat([luma, chroma], dim=1)) / LEVELS
    return pixels


def _transformed(planes: Tensor) -> Tensor:
    """Return the transformed blocks of planes (N, C, H, W), shape (N, C, H / 8, W / 8, 8, 8)."""
    count, channels, height, width = planes.shape
    blocks = planes.reshape(count, channels, height // SIDE, SIDE, width // SIDE, SIDE).transpose(3, 4)
    waves = cosines().to(planes)
    return waves @ blocks @ waves.T


def _restored(blocks: Tensor) -> Tensor:
    """Return the planes of transformed blocks: the inverse of `_transformed`."""
    waves = cosines().to(blocks)
    return (waves.T @ blocks @ waves).transpose(3, 4).flatten(4, 5).flatten(2, 3)


def _luma_size(images: Tensor) -> int:
    """Return the pixels per image, or raise ValueError if whole blocks do not cover them."""
    _, channels, height, width = images.shape
    whole = SIDE * SUBSAMPLING
    if channels != 3 or height % whole or width % whole:
        raise ValueError(
            f"images to attack through JPEG: found shape {tuple(images.shape)}, expected (N, 3, height, width) with "
            f"height and width divisible by {whole}, which whole blocks of chroma cover"
        )
    return height * width


def _decoding(images: Tensor) -> Render:
    """Return how variables become images of the faithful form: by decoding their coefficients."""
    height, width = images.shape[2:]
    coefficients = encode(images)
    return lambda rows, variables: decode(coefficients[rows] + variables / 2, height, width).clamp(0, 1)


def _adding(images: Tensor) -> Render:
    """Return how variables become images of the corrected form: what they make of the decoded image is added."""
    height, width = images.shape[2:]
    return lambda rows, variables: (images[rows] + _pixels(variables / 2, height, width)).clamp(0, 1)


def _last(model: nn.Module, render: Render, labels: Tensor, start: Tensor, *, bound: float, steps: int) -> Perturbed:
    """Return the last iterate; labels have shape (N,), the start shape (N, variables)."""
    rows, variables = torch.arange(len(labels), device=labels.device), start
    for step in range(steps):
        # Published: the start, up to the bound, is taken for a share of the bound, once.
        place = variables * bound if step == 0 else variables
        _, gradient = _margins_and_gradient(model, render, rows, place, labels, cross_entropy)
        variables = _stepped(variables, gradient, bound, steps)
    return Perturbed(render(rows, variables), variables.abs().amax(1))


def _best(model: nn.Module, render: Render, labels: Tensor, start: Tensor, *, bound: float, steps: int) -> Perturbed:
    """Return each image's first misclassified iterate, or else that of the largest margin; shapes as in `_last`.

    Images that are done leave the batch, unless the model is in training mode: batch normalisation would see others
    without them.
    """
    everyone, best = torch.arange(len(labels), device=labels.device), torch.zeros_like(start)
    with torch.no_grad():
        margins = margin(model(render(everyone, best)), labels)
    rows, variables, resisting = everyone, start, margins <= 0
    for step in range(steps + 1):
        if not bool(resisting.any()):
            break
        if not model.training:
            rows, variables, resisting = rows[resisting], variables[resisting], resisting[resisting]
        reached, gradient = _margins_and_gradient(model, render, rows, variables, labels[rows], log_odds)
        better = resisting & (reached > margins[rows])
        best[rows[better]], margins[rows[better]] = variables[better], reached[better]
        resisting = resisting & (reached <= 0)
        if step < steps:
            variables = _stepped(variables, gradient, bound, steps)
    return Perturbed(render(everyone, best), best.abs().amax(1))


def _stepped(variables: Tensor, gradient: Tensor, bound: float, steps: int) -> Tensor:
    """Return the variables one step up the sign of the gradient, clamped to the bound."""
    return (variables + bound / math.sqrt(steps) * gradient.sign()).clamp(-bound, bound)


def _margins_and_gradient(
    model: nn.Module, render: Render, rows: Tensor, variables: Tensor, labels: Tensor, loss: PerExampleLoss
) -> tuple[Tensor, Tensor]:
    """Return max_{i≠y} Z_i − Z_y and the gradient of a loss with respect to the variables.

    Rows and labels have shape (R,), variables and gradient shape (R, variables).
    """
    with torch.enable_grad():
        variables = variables.detach().requires_grad_(True)
        logits = model(render(rows, variables))
        (gradient,) = torch.autograd.grad(loss(logits, labels).sum(), variables)
    return margin(logits.detach(), labels), gradient


def _perturb(spec: Jpeg, batch: Batch) -> Perturbed:
    return jpeg(
        batch.model,
        batch.images,
        batch.labels,
        bound=spec.bound,
        steps=spec.steps,
        seed=batch.seed,
        indices=batch.indices,
        form=spec.form,
    )


declared = DeclaredAttack(_perturb)
