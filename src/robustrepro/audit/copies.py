"""Differentiable copies of a model: nearly the same predictions, and gradients that an attack can use."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from robustrepro.attacks.losses import classification_margin
from robustrepro.precision import true_float32


class StraightThrough(nn.Module):
    """A layer whose output is kept, but whose derivative is replaced by that of the identity.

    References
    ----------
    Athalye, Carlini & Wagner, "Obfuscated Gradients Give a False Sense of Security", 2018, Section 4.1 (BPDA).
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the layer's output."""
        output: Tensor = inputs + (self.layer(inputs) - inputs).detach()
        return output


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
        and which of its layers let no gradient pass.

    Returns
    -------
    By name: ``rescaled``, where the median margin is 1; and, where there are layers that let no gradient pass (a
    quantisation, say), ``straight-through``, rescaled too, in which their derivative is that of the identity.
    """
    with torch.no_grad(), true_float32():
        margins = classification_margin(model(images), labels).abs()
    divisor = max(float(margins.median()), torch.finfo(margins.dtype).tiny)
    copies: dict[str, nn.Module] = {"rescaled": Rescaled(copy.deepcopy(model), divisor).eval()}
    passable = copy.deepcopy(model)
    opaque = opaque_layers(passable, images)
    for name in opaque:
        owner = passable.get_submodule(name.rpartition(".")[0])
        setattr(owner, name.rpartition(".")[2], StraightThrough(passable.get_submodule(name)))
    if opaque:
        copies["straight-through"] = Rescaled(passable, divisor).eval()
    return copies


def opaque_layers(model: nn.Module, images: Tensor) -> list[str]:
    """Return the names of the layers that keep their input's shape and let no gradient pass, for none of the images."""
    leaves = [name for name, module in model.named_modules() if name and not list(module.children())]
    seen: dict[str, Tensor] = {}

    def remember(name: str) -> torch.utils.hooks.RemovableHandle:
        def hook(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
            seen.setdefault(name, arguments[0].detach().clone())

        return model.get_submodule(name).register_forward_pre_hook(hook)

    handles = [remember(name) for name in leaves]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    return [name for name, inputs in seen.items() if _is_opaque(model.get_submodule(name), inputs)]


def _is_opaque(layer: nn.Module, inputs: Tensor) -> bool:
    variable = inputs.requires_grad_(True)
    with torch.enable_grad():
        output = layer(variable * 1)  # a copy, which a layer that works in place may overwrite
        if output.shape != inputs.shape:
            return False
        if not output.requires_grad:
            return True
        (gradient,) = torch.autograd.grad(output.sum(), variable, allow_unused=True)
    return gradient is None or not bool(gradient.any())
