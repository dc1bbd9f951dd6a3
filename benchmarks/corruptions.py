"""The 15 corruptions of ImageNet-C, beside the recorded times of the published code.

The published code needs ImageMagick, OpenCV and old libraries, and is not run here: its times were recorded, on one
core of a machine that did other things too, with the outputs that the tests compare with. So the two columns are of two
runs, and often of two machines: read the ratios as rough factors, and that of the fastest before that of the medians.

Processor time per image of 224 pixels, over all severities and rounds. Without the recordings, made-up images are
timed alone; without its textures, frost is left out.
"""

from __future__ import annotations

import argparse
import csv
import os
import statistics
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from robustrepro.corruptions.batches import SEVERITIES, Corruption
from robustrepro.corruptions.registry import CORRUPTIONS, corruption

SHARED = Path(__file__).parents[2] / "shared"
RECORDED = Path(os.environ.get("ROBUSTREPRO_ORACLES") or SHARED / "oracles") / "imagenet_c"
TEXTURES = Path(os.environ.get("ROBUSTREPRO_MIRROR") or SHARED / "data") / "imagenet" / "frost"

KINDS = ("median", "fastest")
"""Of the times of a corruption, which are told apart."""

TARGET = 2.0
"""Times as many images per second as the published code."""


def recorded_images(folder: Path) -> NDArray[np.uint8]:
    """Return the images that the published code was timed on, shape (4, 3, 224, 224)."""
    pictures = [np.asarray(Image.open(folder / f"clean_{number}.png").convert("RGB")) for number in range(4)]
    return np.ascontiguousarray(np.stack(pictures).transpose(0, 3, 1, 2))


def made_up_images() -> NDArray[np.uint8]:
    """Return waves with some noise, shape (4, 3, 224, 224)."""
    random = np.random.default_rng(0)
    waves = np.sin(np.arange(224) / random.uniform(5, 40, (4, 3, 1, 1)) + random.uniform(0, 6, (4, 3, 224, 1)))
    return (128 + 90 * waves + random.normal(0, 9, waves.shape)).clip(0, 255).astype(np.uint8)


def recorded_times(folder: Path) -> dict[str, tuple[float, float]]:
    """Return the median and the fastest time of the published code per corruption, over all severities, in seconds."""
    with (folder / "times.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["severity"] == "all"]
    return {row["corruption"]: (float(row["median_cpu_s"]), float(row["min_cpu_s"])) for row in rows}


def seconds_per_image(corrupt: Corruption, images: NDArray[np.uint8], rounds: int) -> list[float]:
    """Return the processor time per image, of each round and severity."""
    seconds = []
    for number in range(rounds + 1):
        for severity in SEVERITIES:
            streams = [np.random.default_rng([number, severity, image]) for image in range(len(images))]
            start = time.process_time()
            corrupt(images, streams, severity=severity)
            seconds.append((time.process_time() - start) / len(images))
    return seconds[len(SEVERITIES) :]  # The first round makes kernels and tables, once per process.


def main() -> None:
    """Time every corruption and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=8, help="rounds, each at every severity (default: %(default)s)")
    parser.add_argument("--recorded", type=Path, default=RECORDED, help="folder of the recorded times and images")
    parser.add_argument("--textures", type=Path, default=TEXTURES, help="folder of the textures of frost")
    options = parser.parse_args()

    has_recordings = options.recorded.is_dir()
    images = recorded_images(options.recorded) if has_recordings else made_up_images()
    published = recorded_times(options.recorded) if has_recordings else {}
    if not has_recordings:
        print(f"the published code's times are not in {options.recorded}: ours alone")
    beside = f"{'published':>11}{'faster':>9}" if has_recordings else ""
    print(f"{'milliseconds per image':<24}" + "".join(f"{kind:>11}{beside}" for kind in KINDS))
    for name in CORRUPTIONS:
        if name == "frost" and not options.textures.is_dir():
            print(f"{name:<24}  not measured: its textures are not in {options.textures}")
            continue
        seconds = seconds_per_image(corruption(name, frost_folder=options.textures), images, options.rounds)
        line = f"{name:<24}"
        for place, ours in enumerate((statistics.median(seconds), min(seconds))):
            line += f"{1000 * ours:>11.2f}"
            if name in published:
                ratio = published[name][place] / ours
                line += f"{1000 * published[name][place]:>11.2f}{ratio:>8.1f}{'x' if ratio >= TARGET else '!'}"
        print(line)
    if has_recordings:
        print(f"! less than {TARGET:.0f} times as fast")


if __name__ == "__main__":
    main()
