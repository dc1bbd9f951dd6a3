"""Any classifier, with images and labels, checked and put as the attacks need it: each fault is one line."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from robustrepro.attacks.precision import in_float64
from robustrepro.attacks.subject import on_device
from robustrepro.errors import UserError
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import Inputs

FEWEST_CLASSES = 2
PASSES = 16
"""Over how many passes a model that answers by chance is attacked, and its answers are counted."""


class Classifier(nn.Module):
    """A classifier that takes images as attacks make them, and answers in their precision.

    Images are copied before the model sees them, since it may write over them, and brought to its device and precision.

    Parameters
    ----------
    model
        In evaluation mode: from images to logits (N, classes).
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the model's logits, shape (N, classes), in the precision of the inputs."""
        weight = next((each for each in self.model.parameters() if each.is_floating_point()), None)
        seen = inputs * 1 if weight is None else (inputs * 1).to(weight.device, weight.dtype)
        logits: Tensor = self.model(seen)
        return logits.to(inputs.device, inputs.dtype)


def checked(model: nn.Module, images: Any, labels: Any) -> tuple[Classifier, Tensor, Tensor]:
    """Return a classifier, float32 images and int64 labels on the CPU, once they fit together.

    Parameters
    ----------
    model
        From images in [0, 1] to logits (N, classes), in evaluation mode, on any device, in any precision.
    images
        Floats in [0, 1], tensor or array of shape (N, channels, height, width), or points (N, features); or bytes,
        which stand for 255ths.
    labels
        Whole numbers from 0 to classes − 1, shape (N,).

    Raises
    ------
    UserError
        If any of them is not so, the model fails on the images, or its answers are no finite logits.
    """
    inputs, classes = _images(images), _labels(labels)
    if len(inputs) != len(classes):
        raise UserError(f"there are {len(inputs)} images and {len(classes)} labels; expected one label per image")
    if not isinstance(model, nn.Module):
        raise UserError(f"the model is a {type(model).__name__}; expected a torch.nn.Module from images to logits")
    training = next((name or "the model" for name, module in model.named_modules() if module.training), None)
    if training is not None:
        raise UserError(f"{training} is in training mode; call model.eval() first")
    try:
        copy.deepcopy(model)
    except Exception as error:
        raise UserError(f"the model cannot be copied, which attacks need ({_said(error)})") from error
    classifier = Classifier(model).eval()
    _require_logits(classifier, inputs[:2], classes)
    return classifier, inputs, classes


def inputs_of(classifier: Classifier, images: Tensor) -> Inputs:
    """Return what an attack on a classifier is to change."""
    device = next((weight.device for weight in classifier.parameters()), images.device)
    with torch.no_grad():
        classes = classifier(images[:1].to(device)).shape[1]
    wide = in_float64(classifier, images[:1].to(device))
    return Inputs(tuple(images.shape[1:]), classes, in_float64=wide is not None)


def _images(images: Any) -> Tensor:
    tensor = torch.as_tensor(np.asarray(images) if not isinstance(images, Tensor) else images).detach().cpu()
    if tensor.dtype == torch.uint8:
        tensor = tensor.float() / 255
    if not tensor.is_floating_point() or tensor.ndim not in (2, 4):
        raise UserError(
            f"images are {tensor.dtype} of shape {tuple(tensor.shape)}; expected floats in [0, 1], of shape (N, "
            "channels, height, width) or (N, features), or bytes"
        )
    if len(tensor) == 0:
        raise UserError("there are no images; expected at least one")
    low, high = float(tensor.min()), float(tensor.max())
    if not (low >= 0 and high <= 1):
        raise UserError(
            f"images run from {low:g} to {high:g}; expected [0, 1]. Standardise inside the model, as its first layer"
        )
    return tensor.float().contiguous()


def _labels(labels: Any) -> Tensor:
    tensor = torch.as_tensor(np.asarray(labels) if not isinstance(labels, Tensor) else labels).detach().cpu()
    if tensor.is_floating_point() or tensor.dtype == torch.bool or tensor.ndim != 1:
        raise UserError(f"labels are {tensor.dtype} of shape {tuple(tensor.shape)}; expected whole numbers, shape (N,)")
    return tensor.long()


def _require_logits(classifier: Classifier, images: Tensor, labels: Tensor) -> None:
    """Refuse a model whose answer to a few images is no row of finite logits for each."""
    device = next((weight.device for weight in classifier.parameters()), images.device)
    shape = tuple(images.shape[1:])
    try:
        with torch.no_grad(), true_float32():
            logits = classifier(on_device(images, device))
    except Exception as error:
        raise UserError(f"the model fails on images of shape {shape}: {_said(error)}") from error
    if logits.ndim != 2 or len(logits) != len(images) or logits.shape[1] < FEWEST_CLASSES:
        raise UserError(
            f"the model returned shape {tuple(logits.shape)} for {len(images)} images; expected (images, classes), two "
            "classes at least"
        )
    if not bool(logits.isfinite().all()):
        raise UserError("the model's logits are not finite; expected finite numbers")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= logits.shape[1]:
        raise UserError(
            f"labels run from {low} to {high}; expected 0 to {logits.shape[1] - 1}, since the model has "
            f"{logits.shape[1]} classes"
        )


def _said(error: Exception) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
