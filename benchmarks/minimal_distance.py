"""DeepFool and Carlini & Wagner as in Foolbox 1.8, beside Foolbox 3 at equal steps, on one batch of 64 digits.

Repetitions alternate between both, and the fastest of each is reported, with the mean distance over the images that
both break. Beside them, what the bare passes of our attack cost: as many forward passes and gradients of as many rows,
in full batches.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import foolbox
import torch
from attacks import trained_model
from foolbox.attacks import L2CarliniWagnerAttack, L2DeepFoolAttack
from foolbox.attacks.base import MinimizationAttack
from sklearn.datasets import load_digits
from torch import Tensor, nn

from robustrepro.attacks.minimal_distance import measure_distances
from robustrepro.spec.attacks import MinimalDistanceAttack, attack_adapter

IMAGES = 64
PASSES = 50
"""From which the cost of one is taken."""

Attack = Callable[[], Tensor]
"""Returns each image's l2 distance from its adversarial example, infinite where there is none, shape (N,)."""


class Pair(NamedTuple):
    """An attack of ours and the same one in Foolbox 3, and what the bare passes of ours cost."""

    name: str
    ours: Attack
    theirs: Attack
    bare: Callable[[], float]


def in_foolbox(model: nn.Module, images: Tensor, labels: Tensor, attack: MinimizationAttack) -> Attack:
    """Return Foolbox's attack."""
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")

    def run() -> Tensor:
        found, _, broken = attack(wrapped, images, labels, epsilons=None)
        distances = (found - images).flatten(1).norm(dim=1)
        return torch.where(broken, distances, torch.inf)

    return run


def ours(model: nn.Module, images: Tensor, labels: Tensor, **declared: object) -> Attack:
    """Return our attack."""
    spec = attack_adapter.validate_python(declared)
    assert isinstance(spec, MinimalDistanceAttack)
    index = torch.arange(len(labels))
    return lambda: measure_distances(model, images, labels, index, spec, batch_size=IMAGES).l2.float()


def bare(model: nn.Module, images: Tensor, labels: Tensor, gradients: int, **declared: object) -> Callable[[], float]:
    """Return what measures the seconds of our attack's passes alone, each with the gradients of so many logits."""
    spec = attack_adapter.validate_python(declared)
    assert isinstance(spec, MinimalDistanceAttack)
    queries = measure_distances(model, images, labels, torch.arange(len(labels)), spec, batch_size=IMAGES).queries
    variable = images.to(memory_format=torch.channels_last).requires_grad_(True)
    fast = copy.deepcopy(model).to(memory_format=torch.channels_last)

    def measure() -> float:
        start = time.perf_counter()
        for _ in range(PASSES):
            logits = fast(variable)
            for of_class in range(gradients):
                torch.autograd.grad(logits[:, of_class].sum(), variable, retain_graph=True)
        return (time.perf_counter() - start) / PASSES * int(queries.sum()) / len(images)

    return measure


def show(pair: Pair, repetitions: int) -> None:
    """Time both, in turns, and print a line."""
    seconds: dict[str, list[float]] = {"ours": [], "theirs": []}
    distances: dict[str, Tensor] = {}
    passes: list[float] = []
    for _ in range(repetitions):
        for who in seconds:
            start = time.perf_counter()
            distances[who] = getattr(pair, who)()
            seconds[who].append(time.perf_counter() - start)
        passes.append(pair.bare())
    both = torch.isfinite(distances["ours"]) & torch.isfinite(distances["theirs"])
    own, other = (min(seconds[who]) for who in ("ours", "theirs"))
    means = [distances[who][both].mean().item() for who in ("ours", "theirs")]
    broken = [int(torch.isfinite(distances[who]).sum()) for who in ("ours", "theirs")]
    print(
        f"{pair.name:24} ours {own:7.2f} s, Foolbox 3 {other:7.2f} s: {other / own:5.2f} times as fast "
        f"(the bare passes of ours {min(passes):.2f} s, {other / min(passes):.2f} times as fast); mean distance "
        f"{means[0]:.4f} and {means[1]:.4f} over {int(both.sum())} images; broken {broken[0]} and {broken[1]}"
    )


def main() -> None:
    """Time both attacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=300, help="of Carlini & Wagner, per weight")
    options = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_digits()
    inputs = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target, dtype=torch.int64)
    model = trained_model(inputs, labels, epochs=5)
    images, truth = inputs[:IMAGES], labels[:IMAGES]
    search = {"binary_search_steps": 5, "confidence": 0.0, "abort_early": True}
    wagner = L2CarliniWagnerAttack(steps=options.iterations, stepsize=5e-3, initial_const=1e-2, **search)
    for pair in (
        Pair(
            "DeepFool, 100 steps",
            ours(model, images, truth, name="legacy_deepfool"),
            in_foolbox(model, images, truth, L2DeepFoolAttack(steps=100, candidates=10)),
            bare(model, images, truth, 10, name="legacy_deepfool"),
        ),
        Pair(
            f"C&W, 5 x {options.iterations} steps",
            ours(model, images, truth, name="legacy_carlini_wagner", max_iterations=options.iterations),
            in_foolbox(model, images, truth, wagner),
            bare(model, images, truth, 1, name="legacy_carlini_wagner", max_iterations=options.iterations),
        ),
    ):
        show(pair, options.repetitions)


if __name__ == "__main__":
    main()
