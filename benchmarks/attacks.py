"""PGD beside Foolbox 3, torchattacks and a plain loop, and a curve of FGSM beside separate attacks, in one process.

Trains a small convolutional network on scikit-learn's digits, finds the ε at which PGD leaves about a fifth of
the images robust, and times each way to attack all of them, with one restart and with several; then FGSM at many ε.
Repetitions alternate between the ways, and the fastest of each is reported. Last, our time is compared with its limit:
the bare passes through the model, of as many images, at full batches.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path

import foolbox
import torch
from foolbox.attacks import LinfProjectedGradientDescentAttack
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.curve import attacks_of, measure_curve
from robustrepro.attacks.measure import measure
from robustrepro.attacks.pgd import pgd
from robustrepro.attacks.threat_models import ThreatModel, unit_ball_noise
from robustrepro.losses import cross_entropy
from robustrepro.spec.attacks import Curve, Pgd

PEERS = Path(__file__).parent.parent / ".venv" / "peers"
"""Where ``make bench`` puts torchattacks, whose old pins would hold back the environment's own packages."""

BATCH_SIZES = (64, 128, 256)
"""At which our time is compared with its limit."""

Attack = Callable[[], Tensor]
"""Attacks every image and returns whether each resisted, bool, shape (N,)."""


def trained_model(inputs: Tensor, labels: Tensor, epochs: int) -> nn.Module:
    """Return a small convolutional network trained on the digits, in evaluation mode."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(inputs)).split(64):
            optimizer.zero_grad()
            functional.cross_entropy(model(inputs[rows]), labels[rows]).backward()
            optimizer.step()
    return model.eval().requires_grad_(False)


def in_foolbox(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Pgd, batch_size: int) -> Attack:
    """Return Foolbox's attack, repeated on every image and worst-of-all over restarts."""
    wrapped = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    single = LinfProjectedGradientDescentAttack(abs_stepsize=spec.step_size, steps=spec.steps, random_start=True)
    attack = single.repeat(spec.restarts) if spec.restarts > 1 else single

    def run() -> Tensor:
        resisted = []
        for images, truth in zip(inputs.split(batch_size), labels.split(batch_size), strict=True):
            _, _, broken = attack(wrapped, images, truth, epsilons=spec.epsilon)
            resisted.append(~broken)
        return torch.cat(resisted)

    return run


def in_torchattacks(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Pgd, batch_size: int) -> Attack:
    """Return torchattacks' PGD, which knows no restarts: run on every image as often, worst of all."""
    attack = torchattacks_pgd(model, spec)
    return lambda: torch.stack(
        [resisting(attack, model, inputs, labels, batch_size) for _ in range(spec.restarts)]
    ).all(0)


def in_multi_attack(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Pgd, batch_size: int) -> Attack:
    """Return torchattacks' `MultiAttack` of as many PGDs, each on the images that resisted those before."""
    import torchattacks

    attack = torchattacks.MultiAttack([torchattacks_pgd(model, spec) for _ in range(spec.restarts)])
    return lambda: resisting(attack, model, inputs, labels, batch_size)


def torchattacks_pgd(model: nn.Module, spec: Pgd) -> Callable[[Tensor, Tensor], Tensor]:
    """Return torchattacks' PGD with one random start."""
    import torchattacks

    return torchattacks.PGD(model, eps=spec.epsilon, alpha=spec.step_size, steps=spec.steps, random_start=True)


def resisting(
    attack: Callable[[Tensor, Tensor], Tensor], model: nn.Module, inputs: Tensor, labels: Tensor, batch_size: int
) -> Tensor:
    """Return which images are classified correctly, clean and at the points that an attack returns."""
    resisted = []
    for images, truth in zip(inputs.split(batch_size), labels.split(batch_size), strict=True):
        points = attack(images, truth)
        with torch.no_grad():
            resisted.append((model(points).argmax(1) == truth) & (model(images).argmax(1) == truth))
    return torch.cat(resisted)


def in_a_plain_loop(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Pgd, batch_size: int) -> Attack:
    """Return PGD that takes every step of every restart on every image, with our own noise."""
    threat = ThreatModel("linf", spec.epsilon)

    def run() -> Tensor:
        resisted = torch.ones(len(labels), dtype=torch.bool)
        for restart in range(spec.restarts):
            for rows in torch.arange(len(labels)).split(batch_size):
                images, truth = inputs[rows], labels[rows]
                restarts = [restart] * len(rows)
                noise = unit_ball_noise("linf", images.shape[1:], seed=0, indices=rows.tolist(), restarts=restarts)
                points = pgd(
                    model,
                    images,
                    truth,
                    epsilon=spec.epsilon,
                    steps=spec.steps,
                    step_size=spec.step_size,
                    starts=threat.random_start(images, noise),
                )
                with torch.no_grad():
                    resisted[rows] &= model(images).argmax(1) == truth
                    resisted[rows] &= model(points).argmax(1) == truth
        return resisted

    return run


def in_the_active_set(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Pgd, batch_size: int) -> Attack:
    """Return our measurement."""
    indices = torch.arange(len(labels))
    return lambda: measure(model, inputs, labels, indices, spec, seed=0, batch_size=batch_size).robust


def as_a_curve(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Curve, batch_size: int) -> Attack:
    """Return our curve, all ε in one go."""
    indices = torch.arange(len(labels))
    return lambda: measure_curve(model, inputs, labels, indices, spec, seed=0, batch_size=batch_size).robust


def one_by_one(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Curve, batch_size: int) -> Attack:
    """Return our measurement at one ε after the other."""
    indices = torch.arange(len(labels))

    def run() -> Tensor:
        outcomes = [
            measure(model, inputs, labels, indices, attack, seed=0, batch_size=batch_size)
            for attack in attacks_of(spec)
        ]
        return torch.stack([outcome.robust for outcome in outcomes], dim=1).flatten()

    return run


def epsilon_for(model: nn.Module, inputs: Tensor, labels: Tensor, steps: int, target: float) -> float:
    """Return the ε at which PGD leaves about ``target`` of the images robust, by bisection."""
    low, high = 0.0, 0.5
    indices = torch.arange(len(labels))
    for _ in range(10):
        epsilon = (low + high) / 2
        spec = Pgd(name="pgd", epsilon=epsilon, steps=steps, step_size=epsilon / 8)
        robust = measure(model, inputs, labels, indices, spec, seed=0).robust.float().mean().item()
        low, high = (epsilon, high) if robust > target else (low, epsilon)
    return (low + high) / 2


def timed(attacks: dict[str, Attack], repetitions: int) -> dict[str, tuple[float, Tensor]]:
    """Run the attacks in turn, ``repetitions`` times, and return each one's fastest time and last verdicts."""
    results: dict[str, tuple[float, Tensor]] = {}
    for _ in range(repetitions):
        for name, attack in attacks.items():
            began = time.perf_counter()
            resisted = attack()
            seconds = time.perf_counter() - began
            results[name] = (min(seconds, results[name][0]) if name in results else seconds, resisted)
    return results


def rows_through(model: nn.Module, attack: Attack) -> tuple[int, int]:
    """Return how many rows an attack sends through the model, with a gradient and without."""
    rows = {True: 0, False: 0}

    def count(_: nn.Module, __: tuple[Tensor, ...], logits: Tensor) -> None:
        rows[logits.requires_grad] += len(logits)

    handle = model.register_forward_hook(count)
    try:
        attack()
    finally:
        handle.remove()
    return rows[True], rows[False]


def bare_passes(
    model: nn.Module, inputs: Tensor, labels: Tensor, rows: tuple[int, int], batch_size: int
) -> Callable[[], float]:
    """Return the limit of an attack: the same passes at full batches, and nothing else.

    The timed function returns its processor seconds, for exactly as many rows: the time of the last batch counts in
    part where the rows do not fill it.
    """
    fast = model.to(memory_format=torch.channels_last)
    images, truth = inputs[:batch_size].contiguous(memory_format=torch.channels_last), labels[:batch_size]

    def run() -> float:
        seconds = 0.0
        for count, with_gradient in zip(rows, (True, False), strict=True):
            batches = max(1, round(count / len(images)))
            began = time.thread_time()
            for _ in range(batches):
                if with_gradient:
                    input_gradient(fast, images, truth, cross_entropy)
                else:
                    with torch.no_grad():
                        fast(images)
            seconds += (time.thread_time() - began) * count / (batches * len(images))
        return seconds

    return run


def show_the_limit(model: nn.Module, inputs: Tensor, labels: Tensor, spec: Pgd, repetitions: int) -> None:
    """Print our processor time over that of the bare passes, for several batch sizes."""
    for batch_size in BATCH_SIZES:
        attack = in_the_active_set(model, inputs, labels, spec, batch_size)
        rows = rows_through(model, attack)
        bare = bare_passes(model, inputs, labels, rows, batch_size)
        ours, limits = [], []
        for _ in range(repetitions):
            began = time.thread_time()
            attack()
            ours.append(time.thread_time() - began)
            limits.append(bare())
        print(
            f"  batches of {batch_size:<4} {min(ours):8.3f} s   {min(ours) / min(limits):6.2f} x the bare passes   "
            f"{1e6 * min(limits) / sum(rows):6.1f} us per bare row, {sum(rows):,} rows"
        )


def show(results: dict[str, tuple[float, Tensor]]) -> None:
    """Print each way's time, and its verdicts beside those of the first, which is ours."""
    ours, verdicts = next(iter(results.values()))
    for name, (seconds, resisted) in results.items():
        agreement = (resisted == verdicts).float().mean().item()
        robust = resisted.float().mean().item()
        print(
            f"  {name:<16} {seconds:8.3f} s   {seconds / ours:6.2f} x our time   "
            f"robust {robust:6.1%}   same verdict {agreement:6.1%}"
        )


def main() -> None:
    """Train, attack, and print times, ratios and agreement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20, help="steps of PGD (default: %(default)s)")
    parser.add_argument("--restarts", type=int, default=10, help="restarts beside one (default: %(default)s)")
    parser.add_argument("--points", type=int, default=20, help="points of the curve (default: %(default)s)")
    parser.add_argument("--robust", type=float, default=0.2, help="robust accuracy aimed at (default: %(default)s)")
    parser.add_argument("--images", type=int, default=600, help="images attacked (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=256, help="images per batch (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=15, help="epochs of training (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=2, help="runs, fastest counts (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: %(default)s)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    digits = load_digits()
    inputs = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    labels = torch.tensor(digits.target, dtype=torch.int64)
    model = trained_model(inputs, labels, options.epochs)
    inputs, labels = inputs[: options.images], labels[: options.images]
    epsilon = epsilon_for(model, inputs, labels, options.steps, options.robust)

    sys.path.append(str(PEERS))
    has_torchattacks = importlib.util.find_spec("torchattacks") is not None
    for restarts in (1, options.restarts):
        spec = Pgd(name="pgd", epsilon=epsilon, steps=options.steps, step_size=epsilon / 8, restarts=restarts)
        ways = {"active set": in_the_active_set, "plain loop": in_a_plain_loop, "Foolbox 3": in_foolbox}
        if has_torchattacks:
            ways["torchattacks"] = in_torchattacks
        if has_torchattacks and restarts > 1:
            ways["MultiAttack"] = in_multi_attack
        attacks = {name: way(model, inputs, labels, spec, options.batch_size) for name, way in ways.items()}
        print(f"PGD-{options.steps}, {restarts} restart(s), epsilon {epsilon:.4f}, {len(labels)} images")
        show(timed(attacks, options.repetitions))
        if not has_torchattacks:
            print("  torchattacks     not measured: run make bench")

    epsilons = [2 * epsilon * point / options.points for point in range(1, options.points + 1)]
    curve = Curve.model_validate({"epsilons": epsilons, "attack": {"name": "fgsm"}})
    ways_of_curves = {"curve": as_a_curve, "separate attacks": one_by_one}
    attacks = {name: way(model, inputs, labels, curve, options.batch_size) for name, way in ways_of_curves.items()}
    print(f"FGSM at {options.points} epsilons up to {epsilons[-1]:.4f}, {len(labels)} images")
    show(timed(attacks, options.repetitions))

    for restarts in (1, options.restarts):
        spec = Pgd(name="pgd", epsilon=epsilon, steps=options.steps, step_size=epsilon / 8, restarts=restarts)
        print(f"PGD-{options.steps}, {restarts} restart(s): the active set over bare passes of as many images")
        show_the_limit(model, inputs, labels, spec, max(5, options.repetitions))


if __name__ == "__main__":
    main()
