"""Differentiable copies of a model: nearly the same predictions, and gradients that an attack can use."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import weights_frozen
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.threat_models import unit_ball_noise
from robustrepro.audits.functions import Found, Replaced, Replacement, suspects_of
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import Norm

PASSES = 32
"""Over how many points of the neighbourhood an averaged copy takes the mean."""
WIDTH = 1 / 3
"""The radius of this neighbourhood, in ε."""


class Rescaled(nn.Module):
    """A model with its logits divided by a constant: the same predictions, without the rounding of large logits."""

    def __init__(self, model: nn.Module, divisor: float) -> None:
        super().__init__()
        self.model, self.divisor = model, divisor

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the model's logits divided by the constant."""
        logits: Tensor = self.model(inputs)
        return logits / self.divisor


def differentiable_copies(model: nn.Module, images: Tensor, labels: Tensor) -> dict[str, nn.Module]:
    """Return copies of a model for attacks whose examples are then tried on the model itself.

    Parameters
    ----------
    model
        In evaluation mode.
    images, labels
        Some correctly classified images of shape (N, ...), on the model's device: they tell how large its margins are
        and what of it lets no gradient pass.

    Returns
    -------
    By name: ``rescaled``, where the median margin is 1; and, where a layer or a function lets no gradient pass, or one
    that differences contradict, ``straight-through``, ``left-out`` and ``smoothed`` (see
    `robustrepro.audits.functions.Replaced`), rescaled too.
    """
    copies: dict[str, nn.Module] = {"rescaled": copy.deepcopy(model)}
    opaque = opaque_layers(model, images)
    found = suspects_of(_without_gradient_gaps(model, opaque, Replacement.STRAIGHT_THROUGH), images)
    if opaque or found:
        for replacement in Replacement:
            passable = _without_gradient_gaps(model, opaque, replacement)
            copies[replacement.value] = Replaced(passable, found, replacement)
    return {name: _rescaled(copied, images, labels) for name, copied in copies.items()}


class Averaged(nn.Module):
    """The mean of a model's logits over random points around its input, whose gradient is the mean of those there.

    What changes its sign from point to point averages out, and what they have in common remains (Athalye, Carlini &
    Wagner 2018, Section 4.2). Every input has other points, the same each time it comes.

    Parameters
    ----------
    model
        In evaluation mode.
    norm, radius
        The ball around the input from which points are drawn, evenly, in opposite pairs.
    """

    def __init__(self, model: nn.Module, norm: Norm, radius: float) -> None:
        super().__init__()
        self.model, self.norm, self.radius = model, norm, radius

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the mean logits, shape (N, classes)."""
        indices = [hash(total) % 2**31 for total in inputs.detach().flatten(1).double().sum(1).tolist()]
        total = torch.zeros((), device=inputs.device, dtype=inputs.dtype)
        for number in range(PASSES // 2):
            numbers = [number] * len(inputs)
            noise = unit_ball_noise(self.norm, inputs.shape[1:], seed=0, indices=indices, restarts=numbers)
            noise = self.radius * noise.to(inputs)
            total = total + self.model(inputs + noise) + self.model(inputs - noise)
        return total / PASSES


def averaged_copy(model: nn.Module, images: Tensor, labels: Tensor, norm: Norm, epsilon: float) -> nn.Module:
    """Return a copy of a model whose gradient is a mean over a neighbourhood, rescaled as `differentiable_copies` are.

    Parameters
    ----------
    model, images, labels
        As for `differentiable_copies`.
    norm, epsilon
        The ball of the attack.
    """
    return _rescaled(Averaged(copy.deepcopy(model), norm, WIDTH * epsilon), images, labels)


def _rescaled(model: nn.Module, images: Tensor, labels: Tensor) -> nn.Module:
    with torch.no_grad(), true_float32():
        margins = classification_margin(model(images), labels).abs()
    # Labels for logits, or rounded ones, may leave most images on a boundary.
    return Rescaled(model, float(margins.median()) or float(margins.mean()) or 1.0).eval()


def _without_gradient_gaps(model: nn.Module, opaque: list[str], replacement: Replacement) -> nn.Module:
    """Return a copy of a model in which a gradient passes its opaque layers as if they were the identity."""
    passable = copy.deepcopy(model)

    def through(_: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
        if replacement is Replacement.LEFT_OUT:
            return arguments[0]
        with torch._C.DisableTorchFunction():  # which would see through the detachment
            return arguments[0] + (output - arguments[0]).detach()

    for name in opaque:
        passable.get_submodule(name).register_forward_hook(through)
    return passable


def opaque_layers(model: nn.Module, images: Tensor) -> list[str]:
    """Return the names of the layers that let no gradient pass, for none of the images, whatever they call.

    Asked are layers at any depth that turn one tensor of floats into one of the same shape, the innermost first; a
    layer around an opaque one is not named as well, and of what has several names the first is. What leaves PyTorch on
    the way, such as a compression of images by another library, is only found here.
    """
    seen: dict[str, Tensor] = {}

    def remember(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_: nn.Module, arguments: tuple[object, ...], named: dict[str, object], output: object) -> None:
            if len(arguments) != 1 or named or not isinstance(output, Tensor):
                return
            (inputs,) = arguments
            if isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.shape == output.shape:
                seen.setdefault(name, inputs.detach().clone())

        return model.get_submodule(name).register_forward_hook(hook, with_kwargs=True)

    handles = [remember(name) for name, _ in model.named_modules() if name]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    opaque: list[str] = []
    for name in sorted(seen, key=lambda name: -name.count(".")):
        around = any(found.startswith(f"{name}.") for found in opaque)
        if not around and _is_opaque(model.get_submodule(name), seen[name]):
            opaque.append(name)
    return [name for name in seen if name in opaque]


def _is_opaque(layer: nn.Module, inputs: Tensor) -> bool:
    """Return whether a layer passes no gradient, with its functions replaced where they let none pass."""
    with weights_frozen(layer), torch.enable_grad():
        found: Found = suspects_of(layer, inputs)
        variable = inputs.detach().clone().requires_grad_(True)
        output = Replaced(copy.deepcopy(layer), found, Replacement.STRAIGHT_THROUGH)(variable * 1)
        if not output.requires_grad:
            return True
        (gradient,) = torch.autograd.grad(output.sum(), variable, allow_unused=True)
    return gradient is None or not bool(gradient.any())
