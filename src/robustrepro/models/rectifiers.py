"""What the ReLUs of a network are given: its pre-activations, which decide the activation pattern."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from torch import Tensor, nn

from robustrepro.errors import UserError


def rectifiers_of(model: nn.Module) -> dict[str, nn.ReLU]:
    """Return the ReLUs of a network by their names, in the order in which they were defined.

    Raises
    ------
    UserError
        If there is none, or if another activation function is in the network; the message names its layer. Functions
        that a network calls without a module cannot be seen.
    """
    found = {}
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):
            found[name] = module
        elif not list(module.children()) and _is_activation(module):
            raise UserError(
                f"layer {name} is a {type(module).__name__}; activation patterns are those of nn.ReLU alone"
            )
    if not found:
        raise UserError("the network has no nn.ReLU, so that it has no activation pattern")
    return found


def _is_activation(module: nn.Module) -> bool:
    """Tell whether a layer without children is one of PyTorch's activation functions."""
    return type(module).__module__ == "torch.nn.modules.activation"


@contextmanager
def watching(model: nn.Module, look: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Show every ReLU's pre-activations, shape (N, ...), to a function, in each pass in the block, call by call.

    The layer goes on with what the function returns.

    Raises
    ------
    UserError
        As of :func:`rectifiers_of`.
    """

    def hook(module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        seen = look(inputs[0])
        return seen.clone() if module.inplace else seen  # which would write over what the function keeps

    hooks = [rectifier.register_forward_pre_hook(hook) for rectifier in rectifiers_of(model).values()]
    try:
        yield
    finally:
        for handle in hooks:
            handle.remove()


@contextmanager
def pre_activations(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect what every ReLU is given by the passes in the block, in the order of the calls.

    Each tensor has the shape (N, ...) of the layer and is part of the graph, so that gradients flow into it.

    Raises
    ------
    UserError
        As of :func:`rectifiers_of`.
    """
    given: list[Tensor] = []

    def keep(layer: Tensor) -> Tensor:
        given.append(layer)
        return layer

    with watching(model, keep):
        yield given
