"""What is attacked: a model and a test set, checked, and put where and how an attack needs them."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.threat_models import Box
from robustrepro.errors import UserError
from robustrepro.losses import PerExampleLoss
from robustrepro.precision import true_float32

NO_OTHERS: Mapping[str, nn.Module] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and a test set that `subject_of` has checked.

    Attributes
    ----------
    model
        A copy of the caller's: its weights frozen, in the attack's precision and the faster memory format.
    inputs
        Shape (N, ...), in the attack's precision, where the caller had them.
    labels, indices
        int64 on the CPU, shape (N,).
    box
        Range of valid pixels; None for inputs without one.
    device
        Where the model is.
    batch_size
        Most rows that go through the model at once.
    seed
        The seed that the user sees.
    others
        Other networks that the attack looks into, by their models' names: copies like the model.
    """

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    indices: Tensor
    box: Box
    device: torch.device
    batch_size: int
    seed: int
    others: Mapping[str, nn.Module]

    def images(self, positions: Tensor) -> Tensor:
        """Return some images on the model's device; positions are int64 on the CPU."""
        return on_device(self.inputs[positions.to(self.inputs.device)], self.device)

    def batches(self) -> Iterator[Tensor]:
        """Yield the positions of the images that go through the model together."""
        yield from torch.split(torch.arange(len(self.labels)), self.batch_size)

    def classify(self) -> Tensor:
        """Return the logits of every image, shape (N, classes), on the CPU."""
        with torch.no_grad(), true_float32():
            answers = []
            for positions in self.batches():
                logits = self.model(self.images(positions))
                self._require_sound(logits, len(positions))
                answers.append(logits.to(self.inputs.dtype).cpu())
        return torch.cat(answers)

    def classify_with_gradient(self, loss: PerExampleLoss) -> tuple[Tensor, Tensor]:
        """Return the logits of every image on the CPU, and the gradient of its loss, shape and place of the inputs."""

        def checked_loss(logits: Tensor, labels: Tensor) -> Tensor:
            self._require_sound(logits, len(labels))
            return loss(logits, labels)

        answers, gradients = [], torch.empty_like(self.inputs)
        with true_float32():
            for positions in self.batches():
                labels = self.labels[positions].to(self.device)
                logits, gradient = input_gradient(self.model, self.images(positions), labels, checked_loss)
                gradients[positions.to(gradients.device)] = gradient.to(gradients.device)
                answers.append(logits.cpu())
        return torch.cat(answers), gradients

    def _require_sound(self, logits: Tensor, count: int) -> None:
        """Refuse logits that cannot be answers about these labels."""
        require_finite(logits, "on clean images")
        if logits.ndim != 2 or len(logits) != count or logits.shape[1] < 2:
            actual = f"shape {tuple(logits.shape)} for {count} images"
            raise ValueError(f"the model returned logits of {actual}; expected (images, classes), two classes at least")
        low, high = int(self.labels.min()), int(self.labels.max())
        if low < 0 or high >= logits.shape[1]:
            expected = f"0 to {logits.shape[1] - 1}, the model's classes"
            raise ValueError(f"labels run from {low} to {high}; expected {expected}")


def subject_of(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    *,
    precision: torch.dtype,
    box: Box,
    batch_size: int,
    seed: int,
    others: Mapping[str, nn.Module] = NO_OTHERS,
) -> Subject:
    """Check a model and a test set, and return them ready to be attacked; the arguments are those of `Subject`.

    Raises
    ------
    ValueError
        If a layer is in training mode, or inputs, labels, indices or batch size are not as described.
    """
    for network in (model, *others.values()):
        _require_evaluation_mode(network)
    _check_arguments(inputs, labels, indices, box, batch_size)
    device = next((weight.device for weight in model.parameters()), inputs.device)

    def working(network: nn.Module) -> nn.Module:
        copied = copy.deepcopy(network).to(device, precision).requires_grad_(False)
        return copied.to(memory_format=torch.channels_last) if inputs.ndim == 4 else copied

    copies = {name: working(other) for name, other in others.items()}
    # The libraries of attacks cannot take views with the dimensions in another order.
    inputs = inputs.detach().to(precision).contiguous()
    return Subject(working(model), inputs, labels.cpu(), indices.cpu(), box, device, batch_size, seed, copies)


def _require_evaluation_mode(model: nn.Module) -> None:
    training = next((name or "the model" for name, module in model.named_modules() if module.training), None)
    if training is not None:
        raise ValueError(f"{training} is in training mode; call model.eval() before an attack")


def _check_arguments(inputs: Tensor, labels: Tensor, indices: Tensor, box: Box, batch_size: int) -> None:
    """Refuse what would give a wrong measurement rather than an error."""
    if inputs.ndim not in (2, 4) or not inputs.is_floating_point():
        actual = f"{inputs.dtype} of shape {tuple(inputs.shape)}"
        raise ValueError(f"inputs are {actual}; expected floats, (N, features) or (N, channels, height, width)")
    for what, values in (("labels", labels), ("indices", indices)):
        if values.dtype != torch.int64 or values.shape != inputs.shape[:1]:
            actual = f"{values.dtype} of shape {tuple(values.shape)}"
            raise ValueError(f"{what} are {actual}; expected int64 of shape ({len(inputs)},), one per input")
    if len(inputs) == 0:
        raise ValueError("there are no inputs; expected at least one")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected at least 1")
    low, high = inputs.min().item(), inputs.max().item()
    allowed = box or (float("-inf"), float("inf"))
    if not (allowed[0] <= low and high <= allowed[1]) or not bool(inputs.isfinite().all()):
        expected = "finite values" if box is None else f"[{box[0]:g}, {box[1]:g}]"
        raise ValueError(f"inputs run from {low:g} to {high:g}; expected {expected}. Pass box=None for unbounded data")


def require_finite(logits: Tensor, when: str) -> None:
    """Raise unless all logits are finite: a NaN would otherwise be taken for a prediction.

    Raises
    ------
    UserError
        With the occasion, such as "on clean images".
    """
    if not bool(logits.isfinite().all()):
        raise UserError(
            f"the model's logits are not finite {when}; expected finite numbers. "
            "Check that training did not diverge, then train the model again"
        )


def on_device(images: Tensor, device: torch.device) -> Tensor:
    """Return a batch on the model's device, images channels-last: convolutions are up to twice as fast."""
    return images.to(device, memory_format=torch.channels_last if images.ndim == 4 else torch.preserve_format)


@torch.no_grad()
@true_float32()
def predictions(model: nn.Module, images: Tensor, device: torch.device, batch_size: int = 256) -> Tensor:
    """Return a model's prediction for each image, int64, shape (N,), on the CPU; without TF32.

    Images that were made in another precision are rounded to the model's.
    """
    precision = next((weight.dtype for weight in model.parameters()), images.dtype)
    batches = (on_device(batch.to(precision), device) for batch in torch.split(images, batch_size))
    return torch.cat([model(batch).argmax(1).cpu() for batch in batches])
