"""Images, and how steep a function of a model's answer is in each of their pixels."""

from __future__ import annotations

import numpy as np
import torch

from robustrepro.logit_functions import FUNCTIONS
from robustrepro.measures.chosen import chosen_images
from robustrepro.measures.step import Columns
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import InputGradients
from robustrepro.steps import Progress


def measure(trained: Trained, declared: InputGradients, _progress: Progress) -> Columns:
    """Return one row per pixel of each image.

    Returns
    -------
    ``index``, ``label``, ``prediction``; ``channel``, ``y``, ``x``, the pixel's ``value`` and, with respect to it, the
    ``gradient`` of the function, pixels in units of the range [0, 1].

    Raises
    ------
    UserError
        If the test split lacks an image.
    """
    examples = chosen_images(trained, declared.images)
    images, labels = examples.inputs.clone().to(trained.device).requires_grad_(), examples.labels.to(trained.device)
    logits = trained.network(images)
    (gradients,) = torch.autograd.grad(FUNCTIONS[declared.function](logits, labels).sum(), images)
    channel, y, x = (places.ravel() for places in np.indices(examples.inputs.shape[1:]))
    return stacked(
        [
            {
                "index": int(index),
                "label": int(label),
                "prediction": int(prediction),
                "channel": channel,
                "y": y,
                "x": x,
                "value": image.flatten().numpy(),
                "gradient": gradient.flatten().numpy(),
            }
            for index, label, prediction, image, gradient in zip(
                examples.index, examples.labels, logits.argmax(1).cpu(), examples.inputs, gradients.cpu(), strict=True
            )
        ]
    )
