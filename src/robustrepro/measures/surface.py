"""The values of functions of a model's answer in a plane of its input or parameter space."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from robustrepro.attacks.losses import margin
from robustrepro.logit_functions import FUNCTIONS
from robustrepro.losses import cross_entropy
from robustrepro.measures.chosen import chosen_images
from robustrepro.measures.step import Columns
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Examples, Trained
from robustrepro.seeds import derive_seed
from robustrepro.spec.measurements import Surface
from robustrepro.steps import Progress

BATCH_SIZE = 1024


def measure(trained: Trained, declared: Surface, progress: Progress) -> Columns:
    """Return V(x, y) = F(o + x α + y β), one row per point of a grid and function (Equation 1).

    Returns
    -------
    ``function``, ``x``, ``y`` and ``value``. In input space there is a surface around every image: ``index`` and
    ``label`` are the image's, ``prediction`` is what the model takes the point for. In parameter space values are means
    over the images.

    Raises
    ------
    UserError
        If the test split lacks an image.

    References
    ----------
    Yu et al., "Interpreting Adversarial Robustness: A View from Decision Surface in Input Space", 2018, Section 2.1.
    """
    steps = torch.linspace(-declared.reach, declared.reach, declared.resolution, dtype=torch.float64)
    grid = torch.cartesian_prod(steps, steps).flip(1)  # row by row: x changes first
    if declared.space == "parameters":
        rows = _around_weights(trained, declared, trained.examples("test", declared.examples), grid, progress)
    else:
        rows = _around_images(trained, declared, chosen_images(trained, declared.images), grid, progress)
    return stacked(list(rows))


def _around_images(
    trained: Trained, declared: Surface, examples: Examples, grid: Tensor, progress: Progress
) -> Iterator[Mapping[str, Any]]:
    """Yield the columns of each image and function."""
    progress.expect(len(grid) * len(examples.labels))
    for image, label, index in zip(examples.inputs, examples.labels, examples.index.tolist(), strict=True):
        origin, network = image.to(trained.device), trained.network
        alpha, beta = (
            input_direction(name, network, origin, label, seed=derive_seed(trained.seed, "surface", index, place))
            for place, name in enumerate(declared.directions)
        )
        logits = []
        for part in torch.split(grid.to(origin), BATCH_SIZE):
            x, y = (part[:, place].view(-1, *[1] * origin.ndim) for place in range(2))
            logits.append(_answers(network, origin + x * alpha + y * beta))
            progress.advance(len(part))
        answers = torch.cat(logits)
        for function in declared.functions:
            yield {
                "index": index,
                "label": int(label),
                "prediction": answers.argmax(1).numpy(),
                **_on_grid(function, grid, FUNCTIONS[function](answers.double(), label.repeat(len(grid)))),
            }


def _on_grid(function: str, grid: Tensor, values: Tensor) -> dict[str, Any]:
    return {"function": function, "x": grid[:, 0].numpy(), "y": grid[:, 1].numpy(), "value": values.numpy()}


@torch.no_grad()
def _answers(network: nn.Module, inputs: Tensor) -> Tensor:
    logits: Tensor = network(inputs).cpu()
    return logits


def input_direction(name: str, network: nn.Module, image: Tensor, label: Tensor, *, seed: int) -> Tensor:
    """Return a direction of ±1 in every pixel, of the shape of the image; 0 where a gradient is (Equation 3).

    Parameters
    ----------
    name
        ``random``; or the ascent of the ``cross_entropy``, of the likelihood of the ``least_likely`` class, or of the
        ``margin`` of the best wrong class over the label, after Carlini & Wagner.
    image, label
        One example.
    seed
        Of the random direction.
    """
    if name == "random":
        signs = torch.randint(2, image.shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        return signs.to(image)
    point = image[None].detach().requires_grad_()
    logits = network(point)
    label = label.to(logits.device)
    if name == "least_likely":
        ascended = -cross_entropy(logits, logits.argmin(1))
    else:
        ascended = {"cross_entropy": cross_entropy, "margin": margin}[name](logits, label[None])
    (gradient,) = torch.autograd.grad(ascended.sum(), point)
    return gradient[0].sign()


def filter_normalised(network: nn.Module, *, seed: int) -> dict[str, Tensor]:
    """Return a random direction of the parameters, by name, each filter of which is as long as the network's own.

    A filter is what makes one output channel of a convolution, or one unit of a linear layer; biases, and the
    parameters of a normalisation, are not moved.

    References
    ----------
    Li et al., "Visualizing the Loss Landscape of Neural Nets", 2018, Section 4.
    """
    generator = torch.Generator().manual_seed(seed)
    direction = {}
    for name, weights in network.named_parameters():
        if weights.ndim < 2:
            direction[name] = torch.zeros_like(weights)
            continue
        drawn = torch.randn(weights.shape, generator=generator).to(weights)
        own, theirs = (torch.linalg.vector_norm(each.detach().flatten(1), dim=1) for each in (weights, drawn))
        direction[name] = drawn * (own / theirs).view(-1, *[1] * (weights.ndim - 1))
    return direction


@torch.no_grad()
def _around_weights(
    trained: Trained, declared: Surface, examples: Examples, grid: Tensor, progress: Progress
) -> Iterator[Mapping[str, Any]]:
    """Yield the columns of each function."""
    progress.expect(len(grid))
    network, labels = trained.network, examples.labels
    alpha, beta = (
        filter_normalised(network, seed=derive_seed(trained.seed, "parameter surface", place)) for place in range(2)
    )
    weights = {name: weight.detach() for name, weight in network.named_parameters()}
    images = [part.to(trained.device) for part in torch.split(examples.inputs, BATCH_SIZE)]
    values: dict[str, list[float]] = {function: [] for function in declared.functions}
    for x, y in grid.tolist():
        moved = {name: weight + x * alpha[name] + y * beta[name] for name, weight in weights.items()}
        answers = torch.cat([functional_call(network, moved, (part,)).cpu() for part in images]).double()
        for function in declared.functions:
            values[function].append(FUNCTIONS[function](answers, labels).mean().item())
        progress.advance(1)
    for function in declared.functions:
        yield _on_grid(function, grid, torch.tensor(values[function], dtype=torch.float64))
