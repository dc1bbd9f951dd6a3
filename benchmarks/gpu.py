"""What a GPU changes: training alone and beside others, and searches in TF32 and bfloat16 beside float32.

Needs a CUDA device. First LeNet-5 is trained on scikit-learn's digits, repeated, by one process and by several that
share the device, as steps do with ``ROBUSTREPRO_STEPS_PER_GPU``; then on the processor, one thread. Then the networks
of CIFAR-10 are trained, on images and by one step of ascent. Then PGD-20 attacks LeNet-5 and a ResNet-50, searching in
each precision in turn; verdicts are always taken in float32.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing import get_context

from robustrepro.attacks.measure import measure
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.implementations import made
from robustrepro.models.build import build_network
from robustrepro.spec.attacks import Pgd
from robustrepro.spec.datasets import dataset_spec
from robustrepro.spec.training import TrainingSpec
from robustrepro.training.loop import Training, train

SEARCHES = ("float32", "tf32", "bfloat16")


def digits(name: str, count: int) -> tuple[Tensor, Tensor]:
    """Return ``count`` images of digits, repeated as often as it takes, and their labels, on the CPU."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(dataset_spec(name), Path(folder), mirror=None, allow_unverified=False)
        split = load(Path(folder), "train")
        rows = torch.arange(count) % len(split.labels)
        return as_float(split.inputs)[rows], split.labels[rows]


def trained(
    architecture: str,
    objective: str | dict[str, Any],
    images: tuple[Tensor, Tensor],
    epochs: int,
    device: torch.device,
) -> tuple[nn.Module, list[float]]:
    """Train a network with our loop; return it and the images per second of each epoch."""
    spec = TrainingSpec.model_validate(
        {
            "dataset": "digits",
            "network": {"architecture": architecture},
            "objective": {"name": objective} if isinstance(objective, str) else objective,
            "optimizer": {"name": "adam", "learning_rate": 0.001},
            "epochs": epochs,
            "batch_size": 128,
        }
    )
    inputs, labels = (tensor.to(device) for tensor in images)
    model = build_network(spec.network, tuple(inputs.shape[1:]), 10).to(device)
    training = Training("benchmark", 0, spec, inputs, labels, made(spec.objective))
    with tempfile.TemporaryDirectory() as folder:
        history = train(model, training, Path(folder) / "state.partial", report=lambda _entry: None)
    return model.eval(), [entry["images_per_second"] for entry in history]


def train_beside_others(begin: Any, rates: Any, count: int, epochs: int, device: str) -> None:
    """Warm up, wait for the other processes, train, and report the images per second from the first epoch's end on."""
    torch.set_num_threads(1)
    images = digits("digits", count)
    trained("lenet5", "hrm", images, 1, torch.device(device))
    begin.wait()
    rates.put(statistics.median(trained("lenet5", "hrm", images, epochs, torch.device(device))[1]))
    begin.wait()


def throughput(processes: int, count: int, epochs: int, device: str) -> float:
    """Return the images per second that some processes train together."""
    context = get_context("spawn")
    begin, rates = context.Barrier(processes), context.SimpleQueue()
    workers = [
        context.Process(target=train_beside_others, args=(begin, rates, count, epochs, device))
        for _ in range(processes)
    ]
    for worker in workers:
        worker.start()
    total: float = sum(rates.get() for _ in workers)
    for worker in workers:
        worker.join()
    return total


def training_rates(architecture: str, count: int, epochs: int) -> None:
    """Train a network of CIFAR-10 on the GPU, on images and on adversarial ones, and print a line for each."""
    images = digits("digits_rgb", count)
    fgsm = {"name": "fgsm", "norm": "linf", "epsilon": 0.02}
    objectives: dict[str, str | dict[str, Any]] = {
        "ERM": "erm",
        "adversarial": {"name": "adversarial", "adversary": fgsm},
    }
    plain = 0.0
    for label, objective in objectives.items():
        rates = trained(architecture, objective, images, epochs + 1, torch.device("cuda"))[1][1:]
        rate = statistics.median(rates)
        plain = plain or rate
        print(
            f"{architecture:<10}{label:<12}{rate:>10.0f} images/s{50_000 / rate:>8.1f} s an epoch of CIFAR-10"
            f"{plain / rate:>8.2f} x ERM's time"
        )


def search_times(architecture: str, data: str, count: int, epsilon: float, rounds: int) -> None:
    """Train a network on the GPU, attack it with each precision of the search in turn, and print a line for each."""
    gpu = torch.device("cuda")
    inputs, labels = digits(data, count)
    model, _ = trained(architecture, "erm", (inputs, labels), 3, gpu)
    indices = torch.arange(count)
    seconds: dict[str, list[float]] = {search: [] for search in SEARCHES}
    robust: dict[str, Tensor] = {}
    for number in range(rounds + 1):  # the first is not counted: libraries choose their kernels in it
        for search in SEARCHES:
            changed = {} if search == "float32" else {"search": search}
            spec = Pgd.model_validate(
                {"name": "pgd", "epsilon": epsilon, "steps": 20, "step_size": epsilon / 10, "restarts": 5, **changed}
            )
            torch.cuda.synchronize()
            began = time.perf_counter()
            robust[search] = measure(model, inputs, labels, indices, spec, seed=0, batch_size=1024).robust
            if number:
                seconds[search].append(time.perf_counter() - began)
    for search in SEARCHES:
        ratios = [plain / own for plain, own in zip(seconds["float32"], seconds[search], strict=True)]
        differing = (robust[search] != robust["float32"]).sum().item()
        print(
            f"{architecture:<10}{search:<10}{statistics.median(seconds[search]):>8.2f} s"
            f"{statistics.median(ratios):>10.2f} x{robust[search].double().mean():>10.2%} resist"
            f"{differing:>6} of {count} verdicts differ from float32's"
        )


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12800, help="images per epoch of training (default: 12800)")
    parser.add_argument("--epochs", type=int, default=5, help="epochs of a training that is timed (default: 5)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of the attacks (default: 3)")
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[1, 2, 4, 8], help="how many share the GPU (default: 1 2 4 8)"
    )
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("this benchmark needs a CUDA device")
        return 1
    print(f"{torch.cuda.get_device_name(0)}, torch {torch.__version__}")
    print("LeNet-5 with HRM, batch size 128, images per second of all processes together")
    cpu = throughput(1, options.images, options.epochs, "cpu")
    print(f"processor, one thread {cpu:>10.0f}")
    for processes in options.processes:
        rate = throughput(processes, options.images, options.epochs, "cuda")
        print(f"GPU, {processes:>2} process(es)  {rate:>10.0f} {rate / cpu:>7.1f} x one thread")
    print("training on images of 32x32, batch size 128, convolutions in TF32 as PyTorch has them unless told otherwise")
    for architecture in ("vgg", "resnet50"):
        training_rates(architecture, options.images, options.epochs)
    print(f"PGD-20 with 5 restarts, {options.rounds} rounds, wall seconds; x: times as fast as float32")
    search_times("lenet5", "digits", 10000, 0.1, options.rounds)
    search_times("resnet50", "digits_rgb", 1024, 8 / 255, options.rounds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
