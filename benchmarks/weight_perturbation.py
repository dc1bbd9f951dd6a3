"""300 perturbed forms of one layer: sharing what comes before it, beside evaluating 300 networks, on LeNet-5.

Both classify the same images, and the predictions are compared.
"""

from __future__ import annotations

import argparse
import copy
import time

import torch
from torch import Tensor, nn

from robustrepro.measures.weight_perturbation import Perturbable
from robustrepro.models.changes.remove_rarely_active import activity_on
from robustrepro.models.changes.truncate_singular_values import Truncation
from robustrepro.models.fully_connected import from_layer_on, fully_connected, inputs_of, replace_weights
from robustrepro.models.lenet5 import LeNet5
from robustrepro.spec.measurements import Method

LAYER = "classifier.3"
METHODS: tuple[Method, ...] = ("remove_rarely_active", "truncate_singular_values", "remove_and_truncate")
VARIANTS = [(method, percent) for method in METHODS for percent in range(100)]


def perturbable(model: nn.Module, images: Tensor) -> Perturbable:
    """Return the layer, with its activity on the images."""
    linear, activity = fully_connected(model, LAYER), activity_on(model, LAYER, images, "outputs")
    return Perturbable(linear.weight, linear.bias, Truncation(linear.weight), activity)


@torch.no_grad()
def sharing(model: nn.Module, images: Tensor) -> Tensor:
    """Return the predictions of every form, shape (300, N), from features that are computed once."""
    layer, rest = perturbable(model, images), from_layer_on(model, LAYER, images[:1])
    features = torch.cat([*inputs_of(model, LAYER, images)])
    outputs = (nn.functional.linear(features, *layer.perturbed(*variant)) for variant in VARIANTS)
    return torch.stack([rest(each).argmax(1) for each in outputs])


@torch.no_grad()
def separately(model: nn.Module, images: Tensor, variants: list[tuple[Method, int]]) -> Tensor:
    """Return the predictions of some forms, each a network of its own."""
    layer, answers = perturbable(model, images), []
    for variant in variants:
        network = copy.deepcopy(model)
        replace_weights(fully_connected(network, LAYER), *layer.perturbed(*variant))
        answers.append(torch.cat([network(batch).argmax(1) for batch in images.split(1000)]))
    return torch.stack(answers)


def main() -> None:
    """Time both, the networks on every tenth form alone."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--repetitions", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, images = LeNet5((1, 28, 28), 10).eval(), torch.rand(options.images, 1, 28, 28)
    some = VARIANTS[::10]
    ours, theirs = [], []
    for _ in range(options.repetitions):
        start = time.perf_counter()
        shared = sharing(model, images)
        ours.append(time.perf_counter() - start)
        start = time.perf_counter()
        separate = separately(model, images, some)
        theirs.append((time.perf_counter() - start) * len(VARIANTS) / len(some))
    same = (shared[::10] == separate).float().mean().item()
    print(
        f"{len(VARIANTS)} forms on {options.images} images: {min(ours):.2f} s, as networks {min(theirs):.1f} s "
        f"(from {len(some)}): {min(theirs) / min(ours):.1f} times as fast; {same:.4%} of the predictions are equal"
    )


if __name__ == "__main__":
    main()
