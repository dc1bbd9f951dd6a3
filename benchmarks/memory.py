"""What it costs a training to give freed memory back to the system, as glibc does unless it is told otherwise.

The same epoch of LeNet-5 in fresh processes in turn, with and without the variables that a run sets around its steps
(`robustrepro.surroundings.FREED_MEMORY`). The data set is as large as MNIST and converted as the step does, since
what glibc gives back depends on the sizes that were freed before.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from training import ours

from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.spec.datasets import dataset_spec
from robustrepro.surroundings import FREED_MEMORY

DATA_SET = 60_000


def epoch(images: int) -> None:
    """Train one epoch and print its processor seconds of user and system, its page faults and its mean loss."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        prepare(dataset_spec("digits"), Path(temporary), mirror=None, allow_unverified=False)
        split = load(Path(temporary), "train")
        rows = torch.arange(DATA_SET) % len(split.labels)
        inputs, labels = as_float(split.inputs[rows]), split.labels[rows]
        loop = ours(128, Path(temporary))
        loop(inputs[:512], labels[:512])  # what happens once per process
        before = resource.getrusage(resource.RUSAGE_SELF)
        loss = loop(inputs[:images], labels[:images])
        after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime
    print(user, system, after.ru_minflt - before.ru_minflt, loss)


def measured(images: int, *, kept: bool) -> list[float]:
    """Return what an epoch in a process of its own prints."""
    environment = {name: value for name, value in os.environ.items() if name not in FREED_MEMORY}
    if kept:
        environment |= {name: str(size) for name, size in FREED_MEMORY.items()}
    command = [sys.executable, __file__, "--epoch", "--images", str(images)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


def main() -> int:
    """Train in turn, print seconds, faults and ratios, and return 1 if the losses differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="rounds, each with and without (default: 5)")
    parser.add_argument("--images", type=int, default=19_200, help="images per epoch (default: 19200)")
    parser.add_argument("--epoch", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.epoch:
        epoch(options.images)
        return 0
    rounds = [[measured(options.images, kept=kept) for kept in (True, False)] for _ in range(options.rounds)]
    print(
        f"LeNet-5, batch size 128, one epoch of {options.images} images, {options.rounds} rounds; medians, one thread"
    )
    print(f"{'freed memory':<16}{'user s':>8}{'system s':>10}{'page faults':>13}{'mean loss':>12}")
    for place, name in enumerate(("kept", "given back")):
        user, system, faults, loss = (
            statistics.median(values) for values in zip(*(r[place] for r in rounds), strict=True)
        )
        print(f"{name:<16}{user:>8.2f}{system:>10.2f}{faults:>13,.0f}{loss:>12.6f}")
    ratios = [sum(given_back[:2]) / sum(kept[:2]) for kept, given_back in rounds]
    print(
        f"given back / kept: {statistics.median(ratios):.2f} ({min(ratios):.2f} - {max(ratios):.2f}); target: above 1"
    )
    return int(len({loss for pair in rounds for *_, loss in pair}) > 1)


if __name__ == "__main__":
    sys.exit(main())
