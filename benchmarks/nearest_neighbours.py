"""The distances from 10,000 of 50,000 images to the nearest other one: wall-clock time on all cores, and memory."""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from robustrepro.measures.nearest_neighbours import measure
from robustrepro.measures.store import write_measurement
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import NearestNeighbours
from robustrepro.steps import Progress

SHAPE = (3, 32, 32)
TARGETS = (60, 2000)
"""Seconds, and megabytes."""


class MadeUp(Trained):
    """Random images in the place of a data set: what is computed does not depend on them."""

    def __init__(self, count: int) -> None:
        super().__init__({"model": "none", "seed": 0}, Path("none"), None, torch.device("cpu"))
        self.count = count

    def split(self, name: str) -> object:  # type: ignore[override]  # noqa: ARG002 (there is one)
        """Return images and labels."""
        generator = torch.Generator().manual_seed(0)
        inputs = torch.empty(self.count, *SHAPE, dtype=torch.uint8).random_(generator=generator)
        return argparse.Namespace(inputs=inputs, labels=torch.zeros(self.count, dtype=torch.int64))


def main() -> None:
    """Measure once, in this process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=50_000)
    parser.add_argument("--examples", type=int, default=10_000)
    options = parser.parse_args()
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, Progress("nearest neighbours") as progress:
        declared = NearestNeighbours(kind="nearest_neighbours", examples=options.examples)
        columns = measure(MadeUp(options.images), declared, progress)
        arrays = {name: np.asarray(column) for name, column in columns.items()}
        write_measurement(Path(folder) / "distances.parquet", arrays, {})
    seconds = time.perf_counter() - start
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{options.examples} of {options.images} images: {seconds:.0f} s (to be: {TARGETS[0]}), "
        f"{megabytes:.0f} MB at most (to be: below {TARGETS[1]})"
    )


if __name__ == "__main__":
    main()
