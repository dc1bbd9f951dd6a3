"""A network as a chain of affine maps with a ReLU between every two, in float64: what the verifier works on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from robustrepro.errors import UserError
from robustrepro.models.preprocessing.standardise import Standardise

Shape = tuple[int, ...]
AGREEMENT = 1e-9
"""Largest difference of the chain's logits from the network's, relative to the largest logit."""


@dataclass(frozen=True)
class Affine:
    """One layer without a ReLU: x ↦ Wx + b, and what bounds need of it.

    Attributes
    ----------
    before, after
        Shapes of an example in front of the layer and behind it.
    apply
        Wx + b, of examples of shape (N, *before).
    spread
        |W| r, of radii of shape (N, *before): how far the outputs reach where the inputs reach r.
    back
        cW, of rows of coefficients of shape (R, *after).
    offset
        c·b, shape (R,), of such rows.
    """

    before: Shape
    after: Shape
    apply: Callable[[Tensor], Tensor]
    spread: Callable[[Tensor], Tensor]
    back: Callable[[Tensor], Tensor]
    offset: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Chain:
    """Affine maps, each made of layers, with a ReLU between every two of them.

    Attributes
    ----------
    maps
        The layers of each map, in order; the last one's outputs are the logits.
    """

    maps: tuple[tuple[Affine, ...], ...]

    @property
    def shapes(self) -> list[Shape]:
        """Return the shape of an example in front of each map, and of the logits."""
        return [of_map[0].before for of_map in self.maps] + [self.maps[-1][-1].after]

    def pre_activations(self, inputs: Tensor) -> list[Tensor]:
        """Return what each map makes of inputs, shape (N, *before): the last of them are the logits."""
        made, activations = [], inputs.double()
        for of_map in self.maps:
            for layer in of_map:
                activations = layer.apply(activations)
            made.append(activations)
            activations = activations.clamp(min=0)
        return made

    def back(self, number: int, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return cW, shape (R, *before), and c·b, shape (R,), of rows of coefficients c behind a map."""
        offset = rows.new_zeros(len(rows))
        for layer in reversed(self.maps[number]):
            offset = offset + layer.offset(rows)
            rows = layer.back(rows)
        return rows, offset


def chain_of(model: nn.Module, input_shape: Shape) -> Chain:
    """Return a network's chain.

    Parameters
    ----------
    model
        In evaluation mode, on any device; made of standardisation, convolutions, fully connected layers and ReLUs that
        follow one another.
    input_shape
        Shape of one example.

    Raises
    ------
    UserError
        If a layer is of another kind, or the layers do not follow one another; the message names the layer.
    """
    maps: list[list[Affine]] = [[]]
    shape = input_shape
    for name, module in model.named_modules():
        if isinstance(module, nn.ReLU):
            maps.append([])
        elif isinstance(module, nn.Flatten):
            maps[-1].append(_flattened(shape))
        elif not list(module.children()) and not isinstance(module, nn.Identity | nn.Dropout):
            maps[-1].append(_affine(name, module, shape))
        if maps[-1]:
            shape = maps[-1][-1].after
    if len(maps) < 2 or not all(maps):
        raise UserError("a network to verify has ReLUs with layers around each; found no ReLU, or one without")
    chain = Chain(tuple(map(tuple, maps)))
    _require_the_same_function(model, chain, input_shape)
    return chain


def _require_the_same_function(model: nn.Module, chain: Chain, input_shape: Shape) -> None:
    """Refuse a network whose layers do more than follow one another in the order of their definition."""
    probes = torch.rand(8, *input_shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        logits = copy.deepcopy(model).double().cpu()(probes)
    ours = chain.pre_activations(probes)[-1]
    if ours.shape != logits.shape or (ours - logits).abs().max() > AGREEMENT * logits.abs().max():
        raise UserError("the network does more than its layers one after another, so that it cannot be verified")


def _flattened(shape: Shape) -> Affine:
    flat = (math.prod(shape),)

    def flatten(values: Tensor) -> Tensor:
        return values.flatten(1)

    return Affine(
        shape, flat, flatten, flatten, lambda rows: rows.view(-1, *shape), lambda rows: rows.new_zeros(len(rows))
    )


def _affine(name: str, module: nn.Module, shape: Shape) -> Affine:
    """Return a layer without children as an affine map, or refuse it."""
    if isinstance(module, Standardise):
        scale, shift = 1 / module.std.double().cpu(), -module.mean.double().cpu() / module.std.double().cpu()
        return Affine(
            shape,
            shape,
            lambda values: values * scale + shift,
            lambda radii: radii * scale,
            lambda rows: rows * scale,
            lambda rows: (rows * shift).flatten(1).sum(1),
        )
    if isinstance(module, nn.Linear):
        weight, bias = _parameters(module, module.out_features)
        return Affine(
            shape,
            (module.out_features,),
            lambda values: functional.linear(values, weight, bias),
            lambda radii: functional.linear(radii, weight.abs()),
            lambda rows: rows @ weight,
            lambda rows: rows @ bias,
        )
    if isinstance(module, nn.Conv2d) and module.groups == 1 and module.padding_mode == "zeros":
        return _convolution(module, shape)
    raise UserError(
        f"layer {name} is a {type(module).__name__}; the verifier handles standardisation, convolutions, fully "
        "connected layers and ReLU"
    )


def _parameters(module: nn.Linear | nn.Conv2d, outputs: int) -> tuple[Tensor, Tensor]:
    """Return a layer's weight and bias in float64 on the CPU; zeros for a bias that it has not."""
    weight = module.weight.detach().double().cpu()
    bias = module.bias.detach().double().cpu() if module.bias is not None else weight.new_zeros(outputs)
    return weight, bias


def _convolution(module: nn.Conv2d, shape: Shape) -> Affine:
    weight, bias = _parameters(module, module.out_channels)
    stride, padding, dilation = (_pair(value) for value in (module.stride, module.padding, module.dilation))

    def apply(values: Tensor, weight: Tensor = weight, bias: Tensor | None = bias) -> Tensor:
        return functional.conv2d(values, weight, bias, stride, padding, dilation)

    after = tuple(apply(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:])
    # Of several input sizes that give the same output size, `conv_transpose2d` is to be told which it was.
    left_over = [
        size - ((out - 1) * step - 2 * pad + gap * (kernel - 1) + 1)
        for size, out, step, pad, gap, kernel in zip(
            shape[1:], after[1:], stride, padding, dilation, weight.shape[2:], strict=True
        )
    ]
    return Affine(
        shape,
        after,
        apply,
        lambda radii: apply(radii, weight.abs(), None),
        lambda rows: functional.conv_transpose2d(rows, weight, None, stride, padding, left_over, 1, dilation),
        lambda rows: rows.flatten(2).sum(2) @ bias,
    )


def _pair(value: Any) -> tuple[int, int]:
    """Return (of height, of width) of what PyTorch keeps as a pair."""
    first, second = value
    return int(first), int(second)
