"""What a training step costs with every objective, beside ERM, and with clipped probabilities, beside none.

LeNet-5 on digits, in the real training loop; adversarial training and gradient regularisation on the networks of the
papers that are about them. It starts itself again with the memory settings that the steps of a run have.

Each round trains a freshly built network for a few batches with every objective in turn; the order rotates from round
to round. All start from the same weights and see the same whole batches. Ratios are taken within a round, so that what
slows the machine down for a while slows both sides; rounds are short and many for the same reason.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.implementations import made
from robustrepro.models.build import build_network
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.training import TrainingSpec
from robustrepro.surroundings import FREED_MEMORY
from robustrepro.training.loop import Training, train

TARGET = 1.03
"""CEM and HRM take at most this many times the step of ERM, and each with clipped probabilities its own without.
A V-matrix needs all pairs of images, and has no target."""

ADVERSARIAL_TARGET = 1.8
"""Adversarial training with one step takes at most this many times the step of ERM: its ascent needs no gradient of
the weights."""

REGULARISED_TARGET = 2.8
"""Gradient regularisation takes at most this many times the step of ERM. A pass forward and two back to the weights are
3 units of work; the gradient of the images, and both passes back through it, are 3 more."""

STEPS = 10
ASCENT_TARGET = 1.1 * (STEPS + 1)
"""Adversarial training with so many steps takes at most this many times the step of ERM: it has that many more passes,
and what stands beside them is a tenth at most."""

PAIRS_TARGET = 3.3
"""Hamming and stability regularisation take at most this many times the step of ERM: a pair is two more images, and
what reads its activation patterns is the rest."""

FGSM = {"name": "fgsm", "epsilon": 0.05504}
PAIRS = {"name": "hamming", "epsilon": "8/255", "stability": 0.4, "hamming": 900}
DECLARATIONS: dict[str, dict[str, Any]] = {
    "erm": {"name": "erm"},
    "cem": {"name": "cem"},
    "hrm": {"name": "hrm"},
    "v_matrix": {"name": "v_matrix", "kernel": {"name": "rbf", "gamma": 0.01}, "hollow": True},
    "erm clipped": {"name": "erm", "loss": "clipped_cross_entropy"},
    "cem clipped": {"name": "cem", "loss": "clipped_cross_entropy"},
    "hrm clipped": {"name": "hrm", "loss": "clipped_cross_entropy"},
    "convnet erm": {"name": "erm"},
    "convnet l1": {"name": "adversarial", "clipped": False, "adversary": {**FGSM, "norm": "l1"}},
    "convnet l2": {"name": "adversarial", "clipped": False, "adversary": {**FGSM, "norm": "l2"}},
    "convnet linf": {"name": "adversarial", "clipped": False, "adversary": {**FGSM, "norm": "linf"}},
    "strided erm": {"name": "erm"},
    "strided grad": {"name": "gradient_regularisation", "function": "margin", "norm": "l2", "coefficient": 1.0},
    "strided bim": {
        "name": "adversarial",
        "adversary": {"name": "bim", "loss": "margin", "epsilon": 0.3, "steps": STEPS, "step_size": 0.1},
    },
    "strided pgd": {
        "name": "adversarial",
        "adversary": {"name": "pgd", "epsilon": 0.3, "steps": STEPS, "step_size": 0.075},
    },
    "rgb erm": {"name": "erm"},
    "rgb pairs": PAIRS,
    "rgb stable": {**PAIRS, "hamming": 0},
    "rgb dense": {**PAIRS, "name": "dense_hamming"},
}
NAMES = tuple(DECLARATIONS)
BASES = {
    name: name.removesuffix(" clipped") if "clipped" in name else f"{name.rpartition(' ')[0]} erm".strip()
    for name in NAMES
}
"""What each is compared with."""
CONVNET: dict[str, Any] = {
    "architecture": {"name": "pooled_convnet", "channels": [32, 64], "kernel": 5, "pools": [3, 2], "hidden": [200]},
    "preprocessing": [
        {"name": "pad", "size": 32},
        {"name": "standardise", "mean": 0.1, "std": 0.2752},
        {"name": "input_normalisation"},
    ],
}
"""The network of robust_optimization on MNIST, with what its robustified nets have at their input."""
STRIDED: dict[str, Any] = {
    "architecture": {"name": "strided_convnet", "channels": [16, 32], "kernel": 5, "stride": 2, "hidden": [100]}
}
"""The network of decision_surface on MNIST."""
VERIFIABLE: dict[str, Any] = {
    "architecture": {"name": "strided_convnet", "channels": [16, 32], "kernel": 4, "stride": 2, "hidden": [128]}
}
"""The verification network of hamming on CIFAR-10."""
NETWORKS: dict[str, dict[str, Any]] = {"convnet": CONVNET, "strided": STRIDED, "rgb": VERIFIABLE}
"""By the first word of a name; LeNet-5 where it is none of these."""


def dataset_of(name: str) -> str:
    """Return the data set on which an objective is timed."""
    return "digits_rgb" if name.startswith("rgb") else "digits"


def training_spec(objective: str, batch_size: int) -> TrainingSpec:
    """Return the spec of one epoch as the workflow resolves it, with the objective's own defaults."""
    declaration = {
        "dataset": dataset_of(objective),
        "network": NETWORKS.get(objective.partition(" ")[0], {"architecture": "lenet5"}),
        "objective": DECLARATIONS[objective],
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "epochs": 1,
        "batch_size": batch_size,
    }
    return TrainingSpec.model_validate(declaration)


def seconds_per_step(spec: TrainingSpec, inputs: Tensor, labels: Tensor, folder: Path) -> float:
    """Train from the same weights every time and return the processor seconds of a step."""
    model = build_network(spec.network, tuple(inputs.shape[1:]), 10)
    training = Training("benchmark", 0, spec, inputs, labels, made(spec.objective))
    began = time.process_time()
    train(model, training, folder / "state.partial", report=lambda _entry: None)
    steps: int = len(inputs) // spec.batch_size
    return (time.process_time() - began) / steps


def interval_of_median(ordered: list[float]) -> tuple[float, float]:
    """Return a 95% interval of the median of sorted values, from their ranks alone."""
    half = 0.98 * len(ordered) ** 0.5  # 1.96 standard deviations of the number of values below the median
    last = len(ordered) - 1
    return ordered[max(0, int(last / 2 - half))], ordered[min(last, int(last / 2 + half + 1))]


def main() -> None:
    """Train in turn, and print times and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=120, help="rounds, each with every objective (default: 120)")
    parser.add_argument("--batches", type=int, default=11, help="batches per round, at most 11 of 128 (default: 11)")
    parser.add_argument("--batch-size", type=int, default=128, help="images per batch (default: 128)")
    options = parser.parse_args()
    if not FREED_MEMORY.keys() <= os.environ.keys():
        settings = {name: str(size) for name, size in FREED_MEMORY.items()}
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | settings)
    torch.set_num_threads(1)

    specs = {name: training_spec(name, options.batch_size) for name in NAMES}
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        count = options.batches * options.batch_size
        examples: dict[str, tuple[Tensor, Tensor]] = {}
        for dataset in dict.fromkeys(map(dataset_of, NAMES)):
            prepare(dataset_spec(dataset), folder / dataset, mirror=None, allow_unverified=False)
            split = load(folder / dataset, "train")
            if count > len(split.labels):
                parser.error(f"{count} images asked for, {dataset} has {len(split.labels)}")
            examples[dataset] = as_float(split.inputs[:count]), split.labels[:count]
        for name in NAMES:  # what happens once per process, such as imports inside the first optimiser
            seconds_per_step(specs[name], *examples[dataset_of(name)], folder)
        for number in range(options.rounds):
            turn = number % len(NAMES)
            for name in (*NAMES[turn:], *NAMES[:turn]):
                seconds[name].append(seconds_per_step(specs[name], *examples[dataset_of(name)], folder))

    setting = f"batch size {options.batch_size}, {options.rounds} rounds; processor time of a step, one thread"
    print(f"LeNet-5, the convnet, the strided one, and that of verification on RGB images, {setting}")
    print(f"{'objective':<12}{'median ms':>10}{'min - max':>16}{'median ratio':>14}{'(95%)':>16}{'min - max':>16}  to")
    for name, values in seconds.items():
        milliseconds = [1000 * value for value in values]
        other = BASES[name]
        ratios = sorted(value / base for value, base in zip(values, seconds[other], strict=True))
        low, high = interval_of_median(ratios)
        print(
            f"{name:<12}{statistics.median(milliseconds):>10.2f}{min(milliseconds):>8.2f} -{max(milliseconds):>6.2f}"
            f"{statistics.median(ratios):>14.3f}{low:>8.3f} - {high:.3f}{ratios[0]:>8.3f} - {ratios[-1]:.3f}  {other}"
        )
    print(
        f"target: at most {TARGET}, but for a V-matrix; for adversarial training at most {ADVERSARIAL_TARGET}, for "
        f"gradient regularisation at most {REGULARISED_TARGET}, for {STEPS} steps of ascent at most "
        f"{ASCENT_TARGET:.1f}, for pairs at most {PAIRS_TARGET}"
    )


if __name__ == "__main__":
    main()
