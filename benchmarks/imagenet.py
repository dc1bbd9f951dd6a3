"""The memory that ImageNet takes while its images are read, and while they are corrupted and classified.

Made-up photographs, few and many, each in a process of its own: those that are many make a file of more than a
gigabyte, which is mapped. Counted is what a process holds for itself, sampled ten times a second; pages of the mapped
file come and go as the machine has room.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from robustrepro.datasets.prepare import prepare
from robustrepro.measures import corrupted
from robustrepro.measures.trained import Trained
from robustrepro.models.build import build_network
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.measurements import measure_of
from robustrepro.spec.networks import Network
from robustrepro.steps import Progress

NETWORK = {"architecture": {"name": "convnet", "channels": [4, 8]}}
TARGET = 1.25
"""How much more memory twenty times as many images may take."""


def held_megabytes() -> float:
    """Return the memory that this process holds for itself, without mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise SystemExit("the kernel does not say what a process holds for itself (RssAnon in /proc/self/status)")


@contextmanager
def sampled(peaks: list[float]) -> Iterator[None]:
    """Append the most memory that is held within the block."""
    most, done = [held_megabytes()], threading.Event()

    def sample() -> None:
        while not done.wait(0.1):
            most.append(held_megabytes())

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        peaks.append(max(most))


def photographs(folder: Path, count: int) -> None:
    """Write made-up photographs of 227 pixels and their labels."""
    (folder / "val").mkdir(parents=True)
    random, names = np.random.default_rng(0), [f"{number:05}.JPEG" for number in range(count)]
    pictures = [Image.fromarray(random.integers(0, 256, (227, 227, 3), dtype=np.uint8)) for _ in range(8)]
    for number, name in enumerate(names):
        pictures[number % len(pictures)].save(folder / "val" / name, quality=75)
    lines = ["file,label", *(f"{name},{number % 1000}" for number, name in enumerate(names))]
    (folder / "val_labels.csv").write_text("\n".join(lines))


def run(count: int) -> None:
    """Read so many images and classify them, and print the most memory that each took and the seconds."""
    torch.set_num_threads(1)
    peaks: list[float] = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        photographs(folder / "imagenet", count)
        start = time.perf_counter()
        with sampled(peaks):
            prepare(dataset_spec("imagenet"), folder / "data", mirror=folder, allow_unverified=True)
        read = time.perf_counter() - start
        network = Network.model_validate(NETWORK)
        weights = folder / "weights.safetensors"
        model = build_network(network, (3, 224, 224), 1000)
        save_file({name: value.contiguous() for name, value in model.state_dict().items()}, weights)
        described = {"model": "made-up", "seed": 0, "network": network.model_dump(mode="json")}
        declared = measure_of({"corrupted": {"corruptions": ["contrast"], "severities": [1], "clean": True}}, "c")
        with sampled(peaks), Progress("scoring") as progress:
            trained = Trained(described, weights, folder / "data", torch.device("cpu"))
            corrupted.measure(trained, declared, progress)  # type: ignore[arg-type]
    print(*peaks, read)


def main() -> int:
    """Compare few images with many, and return 1 if many take more memory."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs=2, default=[400, 8000], help="few and many (default: 400 8000)")
    parser.add_argument("--run", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        run(options.run)
        return 0
    print(f"{'images':>8} {'reading, MB':>12} {'scoring, MB':>12} {'images/s read':>14}")
    found = []
    for count in options.images:
        command = [sys.executable, __file__, "--run", str(count)]
        done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=True)
        reading, scoring, seconds = map(float, done.stdout.split())
        found.append((reading, scoring))
        print(f"{count:>8} {reading:>12.0f} {scoring:>12.0f} {count / seconds:>14.0f}")
    ratios = [many / few for few, many in zip(*found, strict=True)]
    print(f"many / few: reading {ratios[0]:.2f}, scoring {ratios[1]:.2f} (to be at most {TARGET})")
    return int(max(ratios) > TARGET)


if __name__ == "__main__":
    sys.exit(main())
