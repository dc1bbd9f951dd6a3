"""One fully connected layer of a network: found by its name, what goes in, which of its units are active."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from robustrepro.datasets.tensors import as_float
from robustrepro.errors import UserError
from robustrepro.models.evaluation import batch_size


def fully_connected(model: nn.Module, layer: str) -> nn.Linear:
    """Return a fully connected layer by its name in the network, such as ``classifier.3``.

    Raises
    ------
    UserError
        If there is no such layer; the message lists those that there are.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    if layer not in layers:
        raise UserError(f"the network has no fully connected layer '{layer}' (it has: {', '.join(layers) or 'none'})")
    return layers[layer]


@torch.no_grad()
def replace_weights(linear: nn.Linear, weight: Tensor, bias: Tensor | None) -> None:
    """Give a layer other weights, in place; shapes (outputs, inputs) and (outputs,)."""
    linear.weight.copy_(weight)
    if bias is not None:
        linear.bias.copy_(bias)


@torch.no_grad()
def inputs_of(model: nn.Module, layer: str, images: Tensor) -> Iterator[Tensor]:
    """Yield what goes into a fully connected layer, batch by batch, shape (M, features).

    Parameters
    ----------
    model
        The network, in evaluation mode.
    layer
        The layer's name.
    images
        As stored or as floats, shape (N, ...), on any device.

    Raises
    ------
    UserError
        If there is no such layer.
    """
    seen: list[Tensor] = []
    linear = fully_connected(model, layer)
    hook = linear.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    try:
        for batch in torch.split(images, batch_size(images)):
            seen.clear()
            model(as_float(batch).to(linear.weight.device))
            yield seen[0]
    finally:
        hook.remove()


@torch.no_grad()
def from_layer_on(model: nn.Module, layer: str, image: Tensor) -> Callable[[Tensor], Tensor]:
    """Return what a network computes of the outputs of one of its fully connected layers, shape (M, outputs).

    What comes before the layer runs on one image alone, whose outputs are put aside; so the rest of the network must
    treat every row by itself, and use nothing from before the layer.

    Parameters
    ----------
    model
        The network, in evaluation mode.
    layer
        The layer's name.
    image
        What the network takes, one example, shape (1, ...).

    Raises
    ------
    UserError
        If there is no such layer.
    """
    linear = fully_connected(model, layer)

    def rest(outputs: Tensor) -> Tensor:
        hook = linear.register_forward_hook(lambda *_: outputs)
        try:
            with torch.no_grad():
                answers: Tensor = model(image)
        finally:
            hook.remove()
        if len(answers) != len(outputs):
            raise UserError(f"layer '{layer}': what the network computes of it is not row by row")
        return answers

    return rest
