"""What the geometry of decision_surface costs: a surface of LeNet-5 around an image, and Hessians of its MNIST net.

Wall time of the measurements themselves, without their start, on all cores. A surface has 101 x 101 points and two
functions, in a random and an adversarial direction; the Hessians are of 100 digits and of margin, softmax probability
and cross-entropy, in float64.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from robustrepro.datasets.prepare import prepare
from robustrepro.measures import input_geometry, surface
from robustrepro.measures.trained import Trained
from robustrepro.models.build import build_network
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.measurements import measure_of
from robustrepro.spec.networks import Network
from robustrepro.steps import Progress

STRIDED = {"name": "strided_convnet", "channels": [16, 32], "kernel": 5, "stride": 2, "hidden": [100]}
MEASURES: dict[str, tuple[Any, dict[str, Any], Any, float]] = {
    "surface of LeNet-5": (
        "lenet5",
        {
            "surface": {
                "space": "inputs",
                "directions": ["random", "margin"],
                "functions": ["cross_entropy", "margin"],
                "reach": 0.5,
                "resolution": 101,
                "images": [11],
            }
        },
        surface,
        5.0,
    ),
    "100 Hessians": (
        STRIDED,
        {"input_geometry": {"functions": ["margin", "confidence", "cross_entropy"]}, "examples": 100},
        input_geometry,
        10.0,
    ),
}
"""The architecture, the measure, the module that measures it, and the seconds that it may take."""


def main() -> None:
    """Measure in turn, and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=10, help="rounds, each with every measurement (default: 10)")
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {name: [] for name in MEASURES}
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary, "digits")
        prepare(dataset_spec("digits"), data, mirror=None, allow_unverified=False)
        for _ in range(options.rounds + 1):  # the first is for what happens once per process
            for number, (name, (architecture, declared, module, _target)) in enumerate(MEASURES.items()):
                network = Network.model_validate({"architecture": architecture})
                weights = Path(temporary, f"{number}.safetensors")
                torch.manual_seed(0)
                built = build_network(network, (1, 28, 28), 10)
                save_file({key: value.contiguous() for key, value in built.state_dict().items()}, weights)
                described = {"model": name, "seed": 0, "network": network.model_dump(mode="json")}
                trained = Trained(described, weights, data, torch.device("cpu"))
                measure = measure_of(declared, "the benchmark")
                began = time.perf_counter()
                with Progress(name) as progress:
                    module.measure(trained, measure, progress)
                seconds[name].append(time.perf_counter() - began)
    print(f"{options.rounds} rounds; wall time on {torch.get_num_threads()} threads")
    print(f"{'measurement':<20}{'median s':>10}{'min - max':>16}{'at most':>10}")
    for name, [_, *values] in seconds.items():
        span = f"{min(values):.2f} - {max(values):.2f}"
        print(f"{name:<20}{statistics.median(values):>10.2f}{span:>16}{MEASURES[name][3]:>10.0f}")


if __name__ == "__main__":
    main()
