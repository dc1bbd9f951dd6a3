"""Throughput of the training loop beside two hand-written PyTorch loops: LeNet-5, Adam, the same batches.

"minimal" is what one writes in a notebook: `nn.Sequential` in the usual order (convolution, ReLU, pooling), contiguous
tensors, PyTorch's default Adam, batches cut from a permutation. "DataLoader" is the same with the usual `DataLoader`
over a `TensorDataset`. All three start from the same weights and see the same batches in the same order, so that they
do the same work; the mean training losses must agree, or the status is 1. The images are scikit-learn's digits,
repeated.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.models.build import build_network
from robustrepro.objectives.erm import EmpiricalRisk
from robustrepro.seeds import derive_seed
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.networks import Network
from robustrepro.spec.training import TrainingSpec
from robustrepro.training.loop import Training, train

LEARNING_RATE = 0.001
LENET5 = Network.model_validate({"architecture": "lenet5"})

AGREEMENT = 1e-3
"""Largest relative difference of the mean losses: float32 sums in another order drift apart over an epoch."""

Loop = Callable[[Tensor, Tensor], float]
"""Trains one epoch from the same weights every time; returns the mean training loss."""


def usual_lenet5() -> nn.Sequential:
    """Return LeNet-5 as it is usually written, with the weights that our own starts from."""
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )
    ours = build_network(LENET5, (1, 28, 28), 10)
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), ours.parameters(), strict=True):
            parameter.copy_(value)
    return model


def shuffled(count: int) -> Tensor:
    """Return the order in which our loop takes the examples in its first epoch with seed 0."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(derive_seed(0, "data order", 1)))


def minimal(initial: nn.Module, batch_size: int) -> Loop:
    """Return a loop that cuts batches from a permutation."""

    def run(inputs: Tensor, labels: Tensor) -> float:
        model = copy.deepcopy(initial).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        total = 0.0
        for rows in torch.split(shuffled(len(inputs)), batch_size):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(inputs[rows]), labels[rows])
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(rows)
        return total / len(inputs)

    return run


def with_data_loader(initial: nn.Module, batch_size: int) -> Loop:
    """Return the same loop over a `DataLoader`."""

    def run(inputs: Tensor, labels: Tensor) -> float:
        model = copy.deepcopy(initial).train()
        optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
        # As `shuffle=True`, which also draws a permutation and makes it a list, but the same one as the others.
        order = shuffled(len(inputs)).tolist()
        total = 0.0
        for images, truth in DataLoader(TensorDataset(inputs, labels), batch_size, sampler=order):
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(images), truth)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item() * len(truth)
        return total / len(inputs)

    return run


def ours(batch_size: int, folder: Path) -> Loop:
    """Return our training loop, as the step ``train`` calls it."""
    spec = TrainingSpec.model_validate(
        {
            "dataset": "digits",
            "network": LENET5,
            "objective": {"name": "erm"},
            "optimizer": {"name": "adam", "learning_rate": LEARNING_RATE},
            "epochs": 1,
            "batch_size": batch_size,
        }
    )
    initial = build_network(LENET5, (1, 28, 28), 10)

    def run(inputs: Tensor, labels: Tensor) -> float:
        training = Training("benchmark", 0, spec, inputs, labels, EmpiricalRisk())
        history = train(copy.deepcopy(initial), training, folder / "state.partial", report=lambda _entry: None)
        loss: float = history[-1]["loss"]
        return loss

    return run


def repeated_digits(count: int, folder: Path) -> tuple[Tensor, Tensor]:
    """Return ``count`` images of digits, float32, shape (count, 1, 28, 28), and their labels."""
    prepare(dataset_spec("digits"), folder, mirror=None, allow_unverified=False)
    split = load(folder, "train")
    rows = torch.arange(count) % len(split.labels)
    return as_float(split.inputs)[rows], split.labels[rows]


def main() -> int:
    """Train in turn, print throughputs, ratios and losses, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="rounds, each with every loop (default: 9)")
    parser.add_argument("--images", type=int, default=6400, help="images per epoch (default: 6400)")
    parser.add_argument("--batch-size", type=int, default=128, help="images per batch (default: 128)")
    options = parser.parse_args()
    torch.set_num_threads(1)

    seconds: dict[str, list[float]] = {}
    losses: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as temporary:
        inputs, labels = repeated_digits(options.images, Path(temporary) / "digits")
        peer = usual_lenet5()
        loops = {
            "ours": ours(options.batch_size, Path(temporary)),
            "minimal": minimal(peer, options.batch_size),
            "DataLoader": with_data_loader(peer, options.batch_size),
        }
        names = list(loops)
        for loop in loops.values():  # what happens once per process, such as imports inside the first optimiser
            loop(inputs[: 4 * options.batch_size], labels[: 4 * options.batch_size])
        for number in range(options.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                began = time.process_time()
                losses[name] = loops[name](inputs, labels)
                seconds.setdefault(name, []).append(time.process_time() - began)

    print(
        f"LeNet-5, batch size {options.batch_size}, one epoch of {options.images} images, {options.rounds} rounds; "
        "images per second of processor time, one thread"
    )
    print(f"{'loop':<12}{'median':>8}{'min - max':>16}{'ours / it, median':>20}{'min - max':>15}{'mean loss':>12}")
    for name in names:
        rates = [options.images / value for value in seconds[name]]
        ratios = [its / our for its, our in zip(seconds[name], seconds["ours"], strict=True)]
        print(
            f"{name:<12}{statistics.median(rates):>8.0f}{min(rates):>9.0f} -{max(rates):>5.0f}"
            f"{statistics.median(ratios):>20.3f}{min(ratios):>8.3f} - {max(ratios):.3f}{losses[name]:>12.6f}"
        )
    print("target: at least 1 times the throughput of the minimal loop")
    furthest = max(abs(loss / losses["ours"] - 1) for loss in losses.values())
    print(f"losses agree within {furthest:.1e} (relative; at most {AGREEMENT:.0e})")
    return 0 if furthest <= AGREEMENT else 1


if __name__ == "__main__":
    sys.exit(main())
