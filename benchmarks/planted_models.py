"""The audit on models whose truth is known: what each hides, what resists in truth, and what the audit says.

Trains two small networks on MNIST (from the folder that ROBUSTREPRO_MIRROR names) or, without it, on scikit-learn's
digits: one naturally, one adversarially. Each planted model is made from one of them and hides its gradient in one way.
Its truth comes from an adaptive attack, which knows the way: PGD on the honest network behind it, with restarts, tried
on the planted model. The audit knows nothing. ``--write FILE`` writes the table as a page of the documentation.
"""

from __future__ import annotations

import argparse
import io
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import robustrepro as rr
from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.craft import craft
from robustrepro.attacks.losses import log_odds, margin
from robustrepro.attacks.pgd import pgd
from robustrepro.audits.randomised import Expectation, right_share
from robustrepro.datasets.prepare import prepare
from robustrepro.datasets.tensors import as_float, load
from robustrepro.spec.attacks import Pgd
from robustrepro.spec.datasets import DATASETS

RESTARTS, STEPS = 10, 50
"""Of the adaptive attack."""
GRID = 401
"""How many values of every pixel it tries where the way back is not known."""
PASSES = 32
"""Over how many passes the truth of a model that answers by chance is taken."""
BEGIN = "<!-- what stands up to the next mark is written by benchmarks/planted_models.py -->"
END = "<!-- end of the planted models -->"
HEADER = """| model | right | truth | audit | verdict | alarms | seconds |
| --- | ---: | ---: | ---: | --- | --- | ---: |"""
MEMORY = "memory of the test set"
"""The model that looks its answers up."""
Forward = Callable[[nn.Module, Tensor], Tensor]


class Bent(torch.autograd.Function):
    """The identity, with a derivative of the user's making."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, inputs: Tensor, bend: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the inputs."""
        ctx.bend = bend  # type: ignore[attr-defined]
        return inputs.clone()

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> tuple[Tensor, None]:
        """Return the bent gradient."""
        return ctx.bend(gradient), None  # type: ignore[attr-defined]


class InALayer(nn.Module):
    """Pixels rounded to four levels, by a layer."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the rounded pixels."""
        return (inputs * 3).round() / 3


class Planted(nn.Module):
    """A network with something around it."""

    def __init__(self, network: nn.Module, forward: Forward) -> None:
        super().__init__()
        self.network, self.around, self.rounding = network, forward, InALayer()
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits."""
        return self.around(self.network, inputs)


@dataclass(frozen=True)
class Way:
    """One way to hide: the model's forward, and the same as honestly as it can be written, for the adaptive attack."""

    forward: Forward
    honest: Forward = lambda network, inputs: network(inputs)
    robust: bool = False
    by_chance: bool = False
    of_pixels: Callable[[Tensor], Tensor] | None = None
    """What is done to every pixel by itself, where the honest network is attacked in what comes out of it."""


def noisy_gradient(gradient: Tensor) -> Tensor:
    """Return noise as large as a gradient."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(gradient.shape, generator=generator) * gradient.abs().mean()


def half_of_it(gradient: Tensor) -> Tensor:
    """Return a gradient without that of every other column."""
    kept = torch.ones_like(gradient)
    kept[..., ::2] = 0
    return gradient * kept


def compressed(inputs: Tensor) -> Tensor:
    """Return images as they come back from JPEG at quality 50."""
    images = []
    for image in inputs:
        levels = (image[0].detach().cpu().numpy() * 255).clip(0, 255).astype("uint8")
        file = io.BytesIO()
        Image.fromarray(levels).save(file, "JPEG", quality=50)
        images.append(torch.from_numpy(np.asarray(Image.open(file)).astype("float32") / 255)[None])
    return torch.stack(images)


def winners(values: Tensor) -> Tensor:
    """Return the tenth of an image's activations that are largest, the others zero."""
    flat = values.flatten(1)
    least = flat.topk(max(1, flat.shape[1] // 10), 1).values[:, -1:]
    return (flat * (flat >= least)).reshape(values.shape)


def best_of_four(values: Tensor) -> Tensor:
    """Return maxima of 2 x 2 pixels in their places, the others zero."""
    largest = functional.max_pool2d(values, 2)
    return values * (values == functional.interpolate(largest, scale_factor=2)).float()


def medians(inputs: Tensor) -> Tensor:
    """Return the median of 3 x 3 pixels."""
    patches = functional.unfold(functional.pad(inputs, (1, 1, 1, 1), mode="replicate"), 3)
    return patches.reshape(len(inputs), 9, -1).median(1).values.reshape(inputs.shape)


def thumbnail(inputs: Tensor) -> Tensor:
    """Return images at half the size, enlarged again."""
    return functional.interpolate(functional.avg_pool2d(inputs, 2), scale_factor=2)


def with_sine(inputs: Tensor) -> Tensor:
    """Return pixels with a sine added, of amplitude 0.01 and wavelength 1/200, at another phase for every pixel."""
    phases = torch.rand(inputs.shape[1:], generator=torch.Generator().manual_seed(0))
    return inputs + 0.01 * torch.sin(2 * torch.pi * (200 * inputs + phases.to(inputs)))


def looked_up(inputs: Tensor) -> Tensor:
    """Return pixels as rows of a table of sixteen."""
    return torch.linspace(0, 1, 16)[(inputs * 15).round().long()]


def plateau(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return logits that are -1000 or 1000, but for rounding."""
    logits = network(inputs)
    return 1000 * torch.tanh(20 * (logits - logits.logsumexp(1, keepdim=True) + 1))


WAYS: dict[str, Way] = {
    "honest": Way(lambda network, inputs: network(inputs)),
    "logits x 1000": Way(lambda network, inputs: 1000 * network(inputs)),
    "distilled at temperature 1/100": Way(lambda network, inputs: (100 * network(inputs)).log_softmax(1)),
    "rounded by a layer": Way(lambda network, inputs: network(InALayer()(inputs))),
    "rounded in a line": Way(lambda network, inputs: network((inputs * 3).round() / 3)),
    "rounded by adding 2²³": Way(lambda network, inputs: network((inputs + 2.0**23) - 2.0**23)),
    "rounded sigmoid": Way(lambda network, inputs: network(torch.sigmoid(50 * (inputs - 0.5)).round())),
    "k winners": Way(lambda network, inputs: network[2:](winners(network[:2](inputs)))),
    "plateau": Way(plateau),
    "rounded logits": Way(lambda network, inputs: network(inputs).round()),
    "labels for logits": Way(lambda network, inputs: functional.one_hot(network(inputs).argmax(1), 10).float()),
    "maxima in their places": Way(lambda network, inputs: network[2:](best_of_four(network[:2](inputs)))),
    "JPEG": Way(lambda network, inputs: network(compressed(inputs))),
    "median": Way(lambda network, inputs: network(medians(inputs)), lambda network, inputs: network(medians(inputs))),
    "thumbnail": Way(
        lambda network, inputs: network(thumbnail(inputs)), lambda network, inputs: network(thumbnail(inputs))
    ),
    "derivative negated": Way(lambda network, inputs: network(Bent.apply(inputs, torch.neg))),
    "derivative of noise": Way(lambda network, inputs: network(Bent.apply(inputs, noisy_gradient))),
    "derivative zero": Way(lambda network, inputs: network(Bent.apply(inputs, torch.zeros_like))),
    "derivative of half the pixels": Way(lambda network, inputs: network(Bent.apply(inputs, half_of_it))),
    "looked up in a table": Way(lambda network, inputs: network(looked_up(inputs))),
    "a sine added": Way(lambda network, inputs: network(with_sine(inputs)), of_pixels=with_sine),
    "inputs scaled by 1/255": Way(
        lambda network, inputs: network(inputs / 255), lambda network, inputs: network(inputs / 255)
    ),
    "saturated": Way(lambda network, inputs: torch.sigmoid(30 * network(inputs))),
    "adversarially trained": Way(lambda network, inputs: network(inputs), robust=True),
    "adversarially trained, logits x 1000": Way(lambda network, inputs: 1000 * network(inputs), robust=True),
    "adversarially trained, rounded": Way(lambda network, inputs: network((inputs * 7).round() / 7), robust=True),
    "constant": Way(lambda network, inputs: 0 * network(inputs) + torch.arange(10.0)),
    "noise on the image": Way(
        lambda network, inputs: network(inputs + 0.25 * torch.randn_like(inputs)), by_chance=True
    ),
    "resized at random": Way(
        lambda network, inputs: network(
            functional.interpolate(
                functional.interpolate(inputs, size=int(torch.randint(18, 28, (1,)))), size=inputs.shape[2:]
            )
        ),
        by_chance=True,
    ),
}
"""Planted models, by what they do; one more, which remembers the test set, is made from it."""


def data(folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor, str]:
    """Return training and test images and labels, and the data set's name."""
    mirror = os.environ.get("ROBUSTREPRO_MIRROR")
    name = "mnist" if mirror else "digits"
    prepare(DATASETS[name], folder / name, mirror=Path(mirror) if mirror else None)
    train, test = (load(folder / name, split) for split in ("train", "test"))
    return as_float(train.inputs), train.labels, as_float(test.inputs), test.labels, name


def trained(images: Tensor, labels: Tensor, epsilon: float, *, adversarially: bool, epochs: int) -> nn.Sequential:
    """Return a small convolutional network, in evaluation mode."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 5, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(512, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(len(labels)).split(128):
            inputs, classes = images[chosen], labels[chosen]
            if adversarially:
                starts = (inputs + epsilon * (2 * torch.rand_like(inputs) - 1)).clamp(0, 1)
                options = {"epsilon": epsilon, "steps": 7, "step_size": epsilon / 3, "starts": starts}
                inputs = pgd(network, inputs, classes, **options)
            optimizer.zero_grad()
            functional.cross_entropy(network(inputs), classes).backward()
            optimizer.step()
    return network.eval()


def truth(model: nn.Module, honest: nn.Module, images: Tensor, labels: Tensor, epsilon: float, way: Way) -> float:
    """Return the accuracy in percent that an attack leaves which knows how the model hides."""
    if way.of_pixels is not None:
        return truth_behind(model, honest, images, labels, epsilon, way.of_pixels)
    indices = torch.arange(len(labels))
    honest = Expectation(model, 16, 0).eval() if way.by_chance else honest
    lowest = torch.ones(len(labels), dtype=torch.float64)
    points = images
    for restart in range(RESTARTS):
        for loss in ("margin", "log_odds"):
            spec = Pgd(name="pgd", epsilon=epsilon, steps=STEPS, step_size=2.5 * epsilon / STEPS, loss=loss)
            found = craft(honest, images, labels, indices, spec, seed=restart)
            right = right_share(model, found, labels, passes=PASSES if way.by_chance else 1, seed=restart)
            points = torch.where((right < lowest)[:, None, None, None], found, points)
            lowest = torch.minimum(right, lowest)
        if way.by_chance and restart == 2:
            break
    if way.by_chance:  # over passes that no point was chosen by
        lowest = right_share(model, points, labels, passes=4 * PASSES, seed=10**6)
    clean = right_share(model, images, labels, passes=PASSES if way.by_chance else 1, seed=1)
    return 100 * float(torch.minimum(lowest, clean).mean())


def truth_behind(
    model: nn.Module,
    honest: nn.Module,
    images: Tensor,
    labels: Tensor,
    epsilon: float,
    of_pixels: Callable[[Tensor], Tensor],
) -> float:
    """Return the accuracy in percent that an attack leaves on what a function of every pixel makes of the images.

    Ascends between the least and the largest value that each pixel can be made, and goes back to the pixels that come
    nearest to it.
    """
    low, high = (images - epsilon).clamp(0, 1), (images + epsilon).clamp(0, 1)
    grid = torch.stack([low + (high - low) * share for share in torch.linspace(0, 1, GRID)])
    made = torch.stack([of_pixels(pixels) for pixels in grid])
    least, largest = made.min(0).values, made.max(0).values
    with torch.no_grad():
        resisting = model(images).argmax(1) == labels
    for restart in range(RESTARTS):
        for loss in (margin, log_odds):
            generator = torch.Generator().manual_seed(restart)
            points = least + (largest - least) * torch.rand(images.shape, generator=generator)
            for _ in range(STEPS):
                _, gradient = input_gradient(honest, points, labels, loss)
                points = points + 2.5 * epsilon / STEPS * gradient.sign()
                points = torch.minimum(torch.maximum(points, least), largest)
            found = grid.gather(0, (made - points).abs().argmin(0, keepdim=True))[0]
            with torch.no_grad():
                resisting &= model(found).argmax(1) == labels
    return 100 * float(resisting.double().mean())


class Remembering(nn.Module):
    """A model that looks its answers up among the test images."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        super().__init__()
        self.images, self.labels = images.flatten(1), labels
        self.eval()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the label of the nearest test image for logits."""
        nearest = torch.cdist(inputs.flatten(1), self.images.to(inputs)).argmin(1)
        return functional.one_hot(self.labels[nearest], 10).to(inputs.dtype)


def main() -> None:
    """Audit every planted model and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=100, help="test images (100)")
    parser.add_argument("--epsilon", type=float, default=0.1, help="radius in l-infinity (0.1)")
    parser.add_argument("--only", nargs="*", help="some of the models alone")
    parser.add_argument("--write", type=Path, help="also write the table into this page, between its two marks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / "robustrepro-planted-models"
    train_images, train_labels, images, labels, name = data(folder)
    images, labels = images[: arguments.images], labels[: arguments.images]
    epsilon, epochs = arguments.epsilon, 2 if name == "mnist" else 30
    networks = {
        robust: trained(train_images, train_labels, epsilon, adversarially=robust, epochs=epochs)
        for robust in (False, True)
    }
    ways = {key: way for key, way in WAYS.items() if not arguments.only or key in arguments.only}
    models = {key: Planted(networks[way.robust], way.forward) for key, way in ways.items()}
    if not arguments.only or MEMORY in arguments.only:
        ways[MEMORY] = Way(lambda network, inputs: network(inputs))
        models[MEMORY] = Remembering(images, labels)
    how = f"{len(labels)} test images of {name}, within {epsilon:g} of each in ℓ∞."
    page = Page(arguments.write, how)
    print(HEADER, flush=True)
    for key, model in models.items():
        way = ways[key]
        honest = Planted(networks[way.robust], way.honest)
        begun = time.monotonic()
        found = rr.audit(model, images, labels, epsilon=epsilon, progress=False, name=key)
        seconds = time.monotonic() - begun
        known = truth(model, honest, images, labels, epsilon, way)
        verdict = "undecided" if found.undecided else "measured"
        verdict = "one class" if found.one_class else verdict
        off = [f"**{each.name}**" if each.still_goes_off else each.name for each in found.alarms if each.goes_off]
        columns = [key, f"{found.clean_accuracy:.0f}", f"{known:.0f}", f"{found.worst_case:.0f}", verdict]
        row = "| " + " | ".join([*columns, ", ".join(off) or "–", f"{seconds:.0f}"]) + " |"
        print(row, flush=True)
        page.write(key, row)


class Page:
    """The table in a page of the documentation; what it has of other models, measured alike, stays."""

    def __init__(self, path: Path | None, how: str) -> None:
        self._path, self._how, self._rows = path, how, dict[str, str]()
        if path is None:
            return
        self._before, begin, rest = path.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
        table, end, self._after = rest.partition(f"{END}\n")
        if not begin or not end:
            raise SystemExit(f"{path}: the table goes between two lines that are not there: '{BEGIN}' and '{END}'")
        if table.startswith(how):
            self._rows = {line.split(" | ")[0].removeprefix("| "): line for line in table.splitlines()[4:] if line}

    def write(self, key: str, row: str) -> None:
        """Put a model's row in its place."""
        if self._path is None:
            return
        self._rows[key] = row
        rows = [self._rows[each] for each in (*WAYS, MEMORY) if each in self._rows]
        table = "\n".join([self._how, "", HEADER, *rows])
        self._path.write_text(f"{self._before}{BEGIN}\n{table}\n{END}\n{self._after}", encoding="utf-8")


if __name__ == "__main__":
    main()
