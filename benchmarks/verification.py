"""How many images are verified in an hour of one core, and which stage decides them.

The network is one that a run has trained, such as `results/paper/models/verifiable-hamming/seed0`, on the test images
of its data set; without one, a network of the same form is trained on embedded digits first, for a minute.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor, nn

from robustrepro.attacks.measure import measure
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.implementations import made
from robustrepro.models.build import build_network, load_network
from robustrepro.objectives.base import Objective, Step
from robustrepro.spec.attacks import Pgd
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.networks import Network
from robustrepro.spec.objectives import objective_adapter
from robustrepro.verification.verify import STAGES, Verifier

EPSILON = 8 / 255
TARGET = 10 * 60
"""Seconds for 10,000 images, none unresolved."""
FORM = {"architecture": {"name": "strided_convnet", "channels": [16, 32], "kernel": 4, "stride": 2, "hidden": [128]}}


def trained_on_digits(folder: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network of Table 2's form, trained for some updates on digits on photographs, and their test images."""
    prepare(dataset_spec("digits_rgb"), folder)
    train, test = load(folder, "train"), load(folder, "test")
    network = build_network(Network.model_validate(FORM), tuple(train.inputs.shape[1:]), train.classes, seed=0)
    objective: Objective = made(
        objective_adapter.validate_python({"name": "hamming", "epsilon": EPSILON, "stability": 0.04, "hamming": 90.0})
    )
    generator, optimizer = torch.Generator().manual_seed(0), torch.optim.SGD(network.parameters(), 0.05)
    for update in range(600):
        drawn = torch.randint(len(train.labels), (64,), generator=generator)
        step = Step(as_float(train.inputs[drawn]), train.labels[drawn], drawn, update / 100, generator)
        optimizer.zero_grad()
        objective(network, step).value.backward()
        optimizer.step()
    return network.eval(), as_float(test.inputs), test.labels


def trained_by_a_run(model: Path, data: Path) -> tuple[nn.Module, Tensor, Tensor]:
    """Return a network from its folder, and the test images of its data set."""
    test = load(data, "test")
    declared = json.loads((model / "card.json").read_text())["spec"]["training"]["network"]
    network = load_network(
        model / "weights.safetensors", Network.model_validate(declared), tuple(test.inputs.shape[1:]), test.classes
    )
    return network, as_float(test.inputs), test.labels


def main() -> None:
    """Attack and verify, and print a line for each stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="folder of a trained network, with its card")
    parser.add_argument("--data", type=Path, default=Path("data/cifar10"), help="folder of its data set")
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=120.0, help="for one image")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        found = trained_by_a_run(options.model, options.data) if options.model else trained_on_digits(Path(folder))
    network, images, labels = found[0], found[1][: options.images], found[2][: options.images]
    start = time.process_time()
    attack = Pgd(name="pgd", loss="margin", epsilon=EPSILON, steps=40, step_size=EPSILON / 8, restarts=5)
    outcome = measure(network, images, labels, torch.arange(len(labels)), attack, seed=0, keep_adversarial=True)
    assert outcome.adversarial is not None
    attacked = time.process_time() - start
    verifier = Verifier.of(network, tuple(images.shape[1:]), EPSILON, (0.0, 1.0), options.seconds)
    decisions = [*verifier.decide(images, labels, outcome.adversarial)]
    total = time.process_time() - start
    print(f"{len(labels)} images in {total:.0f} s of one core, {attacked:.0f} of them the attack: ", end="")
    print(f"{len(labels) * 3600 / total:,.0f} an hour; 10,000 would take {total * 10_000 / len(labels):.0f} s", end=" ")
    print(f"(to be: at most {TARGET})")
    counts = Counter((each.stage, each.verdict) for each in decisions)
    for (stage, verdict), count in sorted(counts.items(), key=lambda entry: STAGES.index(entry[0][0])):
        print(f"  {stage:18} {verdict:10} {count:6} {count / len(decisions):8.2%}")


if __name__ == "__main__":
    main()
