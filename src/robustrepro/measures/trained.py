"""A trained model as measurements are handed it: its network, its data, and others like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from robustrepro.attacks.threat_models import Box
from robustrepro.canonical import canonical_json
from robustrepro.datasets.tensors import Split, as_float, load
from robustrepro.implementations import made
from robustrepro.losses import PerExampleLoss
from robustrepro.models.build import build_network, load_network
from robustrepro.models.changes.checkpoint import take_weights_after
from robustrepro.spec.networks import Network

if TYPE_CHECKING:  # most measurements need neither, and declarations take time to build
    from robustrepro.spec.training import TrainingSpec


@dataclass(frozen=True)
class Examples:
    """Some examples of a split, in its order.

    Attributes
    ----------
    inputs
        Images, float32, shape (N, C, H, W), in [0, 1] unless their data set has no such range; or points, shape (N, 2).
        On the CPU.
    labels, index
        int64, shape (N,): classes, and places in the split.
    box
        The range of valid pixels; None for points, for images that were never clipped, and where none are to be.
    """

    inputs: Tensor
    labels: Tensor
    index: Tensor
    box: Box


class Trained:
    """One model with one seed; everything is read when it is first asked for.

    Parameters
    ----------
    described
        What the job's spec says of it: ``model``, ``seed``, and the parts that the kind of measurement asked for.
    weights
        The checkpoint.
    data
        The folder of the data set that is measured on; None where none is.
    device
        Where the network computes.
    shard
        Which part of the rows this job measures, and of how many parts; None for all.
    others
        The models beside it: the second of a pair, the targets of its adversarial examples, or those whose features an
        attack compares.
    checkpoints
        The weights after the epochs that its training keeps; None where the kind of measurement asks for none.
    history
        The record of its training; None where the kind of measurement asks for none.
    """

    def __init__(
        self,
        described: Mapping[str, Any],
        weights: Path,
        data: Path | None,
        device: torch.device,
        shard: tuple[int, int] | None = None,
        others: Sequence[Trained] = (),
        checkpoints: Path | None = None,
        history: Path | None = None,
    ) -> None:
        self.model: str = described["model"]
        self.seed: int = described["seed"]
        self.weights, self.device, self.others = weights, device, others
        self.checkpoints, self.history = checkpoints, history
        self._described, self._data, self._shard = described, data, shard
        self._splits: dict[str, Split] = {}

    def split(self, name: Literal["train", "test"]) -> Split:
        """Return a whole split of the data set, as stored."""
        if name not in self._splits:
            self._splits[name] = load(self.data, name)
        return self._splits[name]

    def origins_of(self, index: Tensor) -> dict[str, Any]:
        """Return where examples of an adversarial test split come from, as columns; none for any other data set.

        Parameters
        ----------
        index
            Their places in the split, int64, shape (N,).

        Returns
        -------
        ``origin_index``, the image's index in the split that was attacked, ``origin_norm`` and ``origin_epsilon``.
        """
        origins = next((split.origins for split in self._splits.values() if split.origins is not None), None)
        if origins is None:
            return {}
        attacks = [origins.attacks[number] for number in origins.attack[index].tolist()]
        return {
            "origin_index": origins.index[index],
            "origin_norm": np.array([attack.norm for attack in attacks]),
            "origin_epsilon": np.array([attack.epsilon for attack in attacks]),
        }

    def originals(self) -> Tensor:
        """Return the images that an adversarial test split was made of, float32 in [0, 1] or as stored, (N, ...)."""
        from robustrepro.datasets.originals import load_originals

        return as_float(load_originals(self.data))

    def places(self, name: Literal["train", "test"], count: int | None = None) -> Tensor:
        """Return where the job's own share of the first ``count`` examples of a split is, int64, shape (N,)."""
        size = len(self.split(name).labels)
        total = min(count or size, size)
        number, shards = self._shard or (0, 1)
        return torch.arange(number * total // shards, (number + 1) * total // shards)

    @property
    def data(self) -> Path:
        """The folder of the data set that is measured on."""
        if self._data is None:
            raise ValueError("this kind of measurement says that it reads no data")
        return self._data

    def examples(self, name: Literal["train", "test"], count: int | None = None, clipped: bool = True) -> Examples:
        """Return the first ``count`` examples of a split, all when not said; of these only the job's own share.

        Unless they are to be ``clipped`` they have no box, whatever the data set's own range of valid pixels.
        """
        split, index = self.split(name), self.places(name, count)
        return Examples(as_float(split.inputs[index]), split.labels[index], index, split.box if clipped else None)

    @cached_property
    def network(self) -> nn.Module:
        """The network with its weights, in evaluation mode, on the device."""
        return load_network(self.weights, *self._form).to(self.device)

    @property
    def kept_epochs(self) -> list[int]:
        """The epochs after which its training kept the weights, in order."""
        epochs: list[int] = self._described["checkpoints"]
        return epochs

    def network_after(self, epoch: int) -> nn.Module:
        """Return the network with the weights after an epoch, in evaluation mode, on the device.

        Raises
        ------
        UserError
            If no weights after this epoch were kept, or they are another network's.
        """
        if self.checkpoints is None:
            raise ValueError("this kind of measurement says that it reads no checkpoints")
        network = build_network(*self._form)
        take_weights_after(network, self.checkpoints, epoch)
        return network.eval().to(self.device)

    @cached_property
    def _form(self) -> tuple[Network, tuple[int, ...], int]:
        """The network's declaration, the shape of an example and the number of classes."""
        network = Network.model_validate_json(canonical_json(self._described["network"]))
        split = next(iter(self._splits.values()), None) or self.split("test")
        return network, tuple(split.inputs.shape[1:]), split.classes

    @cached_property
    def training_loss(self) -> PerExampleLoss | None:
        """The per-example loss that an attack with the training objective ascends; None where no attack asks for it."""
        if "objective" not in self._described:
            return None
        from robustrepro.spec.objectives import objective_adapter

        declared = objective_adapter.validate_json(canonical_json(self._described["objective"]))
        loss: PerExampleLoss = made(declared).example_losses
        return loss

    @cached_property
    def training(self) -> TrainingSpec:
        """How it was trained."""
        from robustrepro.spec.training import TrainingSpec

        return TrainingSpec.model_validate_json(canonical_json(self._described["training"]))
