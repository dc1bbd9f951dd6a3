"""Models that answer by chance: seen by asking twice, and attacked in expectation."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from robustrepro.attacks.subject import on_device, predictions
from robustrepro.precision import true_float32
from robustrepro.seeds import derive_seed

MOST_ASKED = 64
"""How many images are asked about twice."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Let PyTorch, NumPy and Python draw from a seed inside the block, and from where they were after it."""
    numpy_state, python_state = np.random.get_state(), random.getstate()  # noqa: NPY002 (what a model may draw from)
    with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)  # noqa: NPY002
            random.setstate(python_state)


@true_float32()
def varying_share(model: nn.Module, images: Tensor, seed: int = 0) -> float:
    """Return the share of images for which two passes give different logits.

    Parameters
    ----------
    model
        In evaluation mode.
    images
        Shape (N, ...), N ≥ 1, on the CPU; the first `MOST_ASKED` are asked about.
    seed
        Of the chance: the same two passes each time.
    """
    device = next((weight.device for weight in model.parameters()), images.device)
    asked = on_device(images[:MOST_ASKED], device)
    answers = []
    with torch.no_grad():
        for number in range(2):
            with seeded(derive_seed(seed, "asked twice", number)):
                answers.append(model(asked).flatten(1))
    same = (answers[0] == answers[1]) | (answers[0].isnan() & answers[1].isnan())
    return float((~same).any(1).double().mean())


class Expectation(nn.Module):
    """A model whose answer is the mean of a randomised one's over some passes: always the same, with a gradient.

    Attacks on it follow the gradient of the expectation (Athalye et al. 2018, "Synthesizing Robust Adversarial
    Examples", Section 2.1, EOT).

    Parameters
    ----------
    model
        In evaluation mode.
    passes
        Over how many passes the mean of the probabilities is taken.
    seed
        Of the chance.
    """

    def __init__(self, model: nn.Module, passes: int, seed: int) -> None:
        super().__init__()
        self.model, self.passes, self.seed = model, passes, seed

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logarithm of the mean probabilities, shape (N, classes)."""
        with seeded(derive_seed(self.seed, "expectation")):
            answers = torch.stack([self.model(inputs).log_softmax(1) for _ in range(self.passes)])
        return answers.logsumexp(0) - torch.tensor(float(self.passes)).log().to(answers)


def right_share(model: nn.Module, points: Tensor, labels: Tensor, *, passes: int, seed: int) -> Tensor:
    """Return in which share of passes a randomised model gets each point right, float64 on the CPU, shape (N,).

    Parameters
    ----------
    model
        In evaluation mode.
    points, labels
        Shapes (N, ...) and (N,), on the CPU.
    passes
        How often each point is asked about.
    seed
        Of the chance.
    """
    device = next((weight.device for weight in model.parameters()), points.device)
    right = torch.zeros(len(labels), dtype=torch.float64)
    for number in range(passes):
        with seeded(derive_seed(seed, "pass", number)):
            right += (predictions(model, points, device) == labels).double()
    return right / passes
