"""What attacks inside a ball did to each image."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from robustrepro.attacks.losses import classification_margin


@dataclass(frozen=True, eq=False)
class AttackOutcome:
    """What an attack did to each image: CPU tensors, all of length N and in the order of the inputs.

    For an image that the clean model misclassifies, and for every image under `Clean`, the returned point is
    the image itself. For a broken image it is the iterate that broke it. For an image that resisted every restart
    it is the iterate with the smallest margin of all restarts, random starts included, the image itself not. Of a
    perceptual attack it is what the attack ends with, as its function says.

    Attributes
    ----------
    index
        The image's index in its data set.
    label
        Its label.
    clean_prediction, clean_margin
        Prediction for the image, and Z_y − max_{i≠y} Z_i.
    prediction, margin
        The same at the returned point.
    linf, l2
        Distances from the image to the returned point, in units of the pixel range (float64).
    queries
        Passes through the model that the image took part in, the clean one included; a forward pass counts
        once whether or not a gradient followed.
    restart
        The restart that broke it; -1 where none did or none was needed.
    adversarial
        The returned points, in the attack's precision, if they were asked for.
    size
        How large the perturbation is in the metric that the attack's bound is in (float64), 0 where there is none; only
        of an attack that has such a metric of its own.
    """

    index: Tensor
    label: Tensor
    clean_prediction: Tensor
    clean_margin: Tensor
    prediction: Tensor
    margin: Tensor
    linf: Tensor
    l2: Tensor
    queries: Tensor
    restart: Tensor
    adversarial: Tensor | None
    size: Tensor | None = None

    @property
    def robust(self) -> Tensor:
        """Whether each image is classified correctly, clean and under attack; bool, shape (N,)."""
        return (self.clean_prediction == self.label) & (self.prediction == self.label)

    def repeated(self, times: int) -> AttackOutcome:
        """Return the outcome with every image's row ``times`` over, the rows of an image together."""
        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        present = {name: column for name, column in columns.items() if column is not None}
        return replace(self, **{name: column.repeat_interleave(times, 0) for name, column in present.items()})


@dataclass(frozen=True, eq=False)
class CurveOutcome:
    """What one attack did to each image at each ε: CPU tensors of length N · E, the ε of an image together.

    Attributes
    ----------
    index, label
        The image's index in its data set, and its label.
    epsilon
        The radius, in units of the pixel range (float64).
    clean_prediction
        Prediction for the image itself.
    prediction, margin
        Prediction and margin at the point that the attack returned (see `AttackOutcome`).
    queries
        Passes that this image took part in at this ε, the clean one included though an image's rows share it:
        what a separate attack at this ε would have spent.
    """

    index: Tensor
    label: Tensor
    epsilon: Tensor
    clean_prediction: Tensor
    prediction: Tensor
    margin: Tensor
    queries: Tensor

    @property
    def robust(self) -> Tensor:
        """Whether each image is classified correctly, clean and under attack at each ε; bool, shape (N · E,)."""
        return (self.clean_prediction == self.label) & (self.prediction == self.label)


def clean_outcome(indices: Tensor, labels: Tensor, logits: Tensor, adversarial: Tensor | None = None) -> AttackOutcome:
    """Return the outcome of no attack.

    Parameters
    ----------
    indices, labels
        int64, shape (N,).
    logits
        The model's logits of the images, shape (N, classes), on the CPU.
    adversarial
        The images on the CPU, where the outcome is to hold the returned points; an attack writes into them.
    """
    prediction, margin = logits.argmax(1), classification_margin(logits, labels)
    still = torch.zeros(len(labels), dtype=torch.float64)
    return AttackOutcome(
        index=indices,
        label=labels,
        clean_prediction=prediction,
        clean_margin=margin,
        prediction=prediction.clone(),
        margin=margin.clone(),
        linf=still,
        l2=still.clone(),
        queries=torch.ones_like(labels),
        restart=torch.full_like(labels, -1),
        adversarial=adversarial,
    )
