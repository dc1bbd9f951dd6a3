"""The networks and images of the recorded outputs of attacks with bounds of their own (oracle ``perceptual``)."""

from __future__ import annotations

import functools
from typing import Literal

import numpy as np
import torch
from oracles import oracle
from safetensors.torch import load_file
from torch import Tensor, nn

from robustrepro.attacks.losses import margin

Name = Literal["std", "robust"]

CIFAR_MEAN, CIFAR_DEVIATION = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def _standardised(images: Tensor, mean: tuple[float, ...], deviation: tuple[float, ...]) -> Tensor:
    shift, scale = (images.new_tensor(values)[:, None, None] for values in (mean, deviation))
    return (images - shift) / scale


class SmallNetwork(nn.Module):
    """Four convolutions with batch normalisation, global mean, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        widths, strides = (3, 16, 32, 64, 64), (1, 2, 2, 1)
        self.convs = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
            for before, after, stride in zip(widths[:-1], widths[1:], strides, strict=True)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(width) for width in widths[1:])
        self.fc = nn.Linear(64, 10)

    def activations(self, images: Tensor) -> list[Tensor]:
        """The four maps after ReLU, which LPIPS compares; sides 32, 16, 8 and 8."""
        values, maps = _standardised(images, CIFAR_MEAN, CIFAR_DEVIATION), []
        for convolution, normalisation in zip(self.convs, self.bns, strict=True):
            values = normalisation(convolution(values)).relu()
            maps.append(values)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.activations(images)[-1].mean((2, 3)))


class AlexNet(nn.Module):
    """A quarter of the width of the CIFAR AlexNet, whose features LPIPS compares."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 48, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(48, 96, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(96, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(256, 10)

    def activations(self, images: Tensor) -> list[Tensor]:
        """The five maps after ReLU; sides 16, 8, 4, 4 and 4."""
        values, maps = _standardised(images, IMAGENET_MEAN, IMAGENET_DEVIATION), []
        for layer in self.features:
            values = layer(values)
            if isinstance(layer, nn.ReLU):
                maps.append(values)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier(nn.functional.max_pool2d(self.activations(images)[-1], 2).flatten(1))


def _loaded(model: nn.Module, name: str) -> nn.Module:
    """The recorded weights, which were rounded to float16 before every run, in float32."""
    weights = load_file(oracle("perceptual") / f"{name}.safetensors")
    for key, value in weights.items():
        if value.is_floating_point():
            weights[key] = value.float()
    model.load_state_dict(weights)
    return model.eval()


def network(name: Name) -> SmallNetwork:
    return _loaded(SmallNetwork(), name)


def alexnet() -> AlexNet:
    return _loaded(AlexNet(), "alexnet")


def random_colour_case(count: int) -> tuple[nn.Module, Tensor, Tensor]:
    """A random network in float64, smooth images of 16x16 pixels in [0, 1], and its predictions for them as labels."""
    generator = torch.Generator().manual_seed(5)
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(128, 4)
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) / weight[0].numel() ** 0.5)
    model.double().eval()
    patches = torch.rand((count, 3, 4, 4), generator=generator, dtype=torch.float64)
    images = nn.functional.interpolate(patches, size=(16, 16), mode="bilinear")
    with torch.no_grad():
        model[-1].weight *= 30
        # Centred, so that all classes occur.
        model[-1].bias -= model(images).mean(0)
        return model, images, model(images).argmax(1)


def margins(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return max_{i≠y} Z_i − Z_y of images, shape (N,)."""
    with torch.no_grad():
        return margin(model(images), labels)


class Recording(nn.Module):
    """A model that keeps the images it is shown."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.seen: list[Tensor] = []

    def forward(self, images: Tensor) -> Tensor:
        self.seen.append(images.detach().clone())
        answers: Tensor = self.model(images)
        return answers


class Recorded:
    """Images that a network gets right, and what the reference's attacks did to them.

    Attributes
    ----------
    images, labels
        Of those images that were kept, (48, 3, 32, 32) in [0, 1], and int64.
    """

    def __init__(self, name: Name) -> None:
        folder = oracle("perceptual")
        self._name, self._records = name, np.load(folder / "records.npz")
        self._adversarial = np.load(folder / "adversarial.npz")
        self.images = torch.from_numpy(self._adversarial[f"{name}__orig_u8"]).float() / 255
        self.labels = torch.from_numpy(self._records[f"{name}__label"]).long()[: len(self.images)]

    def record(self, run: str, field: str) -> np.ndarray:
        """A field of a run, such as ``("stadv_0.05_100", "margin")``, of the images that were kept."""
        return self._records[f"{self._name}__{run}__{field}"][: len(self.images)]

    def adversarial(self, attack: str) -> Tensor:
        """What ``stadv``, ``recolor``, ``jpeg``, ``lpa`` or ``lpa_alexnet`` ended with, but for rounding to float16."""
        delta = torch.from_numpy(self._adversarial[f"{self._name}__{attack}__delta"]).float()
        return (self.images + delta).clamp(0, 1)

    def flow(self) -> Tensor:
        """StAdv's grid minus identity, of the first 24 images, (24, 32, 32, 2)."""
        return torch.from_numpy(self._adversarial[f"{self._name}__stadv__flow"]).float()


@functools.cache
def recorded(name: Name) -> Recorded:
    return Recorded(name)
