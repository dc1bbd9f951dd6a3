"""One model under one attack with the weights after each epoch that its training keeps, image by image."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from robustrepro.attacks.losses import attack_loss
from robustrepro.attacks.measure import measure as measure_attack
from robustrepro.attacks.precision import PRECISIONS
from robustrepro.attacks.subject import subject_of
from robustrepro.losses import PerExampleLoss
from robustrepro.measures.step import Columns
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Examples, Trained
from robustrepro.spec.attacks import GradientAttack
from robustrepro.spec.measurements import OverEpochs
from robustrepro.steps import Progress


def measure(trained: Trained, declared: OverEpochs, progress: Progress) -> Columns:
    """Attack a model as it was after each epoch and return one row per epoch and image.

    An epoch's rows are those of an attack on a model that was trained for just so many epochs.

    Returns
    -------
    ``epoch``, ``index`` in its split, ``label``, ``clean_prediction``, ``prediction`` (of the adversarial image) and,
    but for a measure without an attack, ``without_gradient``: see :func:`lack_gradient`.
    """
    examples, attack = trained.examples(declared.split, declared.examples, declared.clipped), declared.attack
    progress.expect(len(trained.kept_epochs))
    parts: list[dict[str, Any]] = []
    for epoch in trained.kept_epochs:
        network = trained.network_after(epoch)
        outcome = measure_attack(
            network,
            examples.inputs,
            examples.labels,
            examples.index,
            attack,
            seed=trained.seed,
            training_loss=trained.training_loss,
            box=examples.box,
        )
        columns = {
            "epoch": epoch,
            "index": outcome.index,
            "label": outcome.label,
            "clean_prediction": outcome.clean_prediction,
            "prediction": outcome.prediction,
        }
        if isinstance(attack, GradientAttack):
            columns["without_gradient"] = lack_gradient(network, examples, attack, trained.training_loss)
        parts.append({name: np.asarray(each) if isinstance(each, Tensor) else each for name, each in columns.items()})
        progress.advance(1, f"epoch {epoch}")
    return stacked(parts)


def lack_gradient(
    network: nn.Module, examples: Examples, attack: GradientAttack, training_loss: PerExampleLoss | None
) -> Tensor:
    """Return of which examples the loss that an attack ascends has no gradient: it is exactly 0 in every pixel.

    There the first step of the attack from the image itself goes nowhere, whichever class the model sees in it.

    Parameters
    ----------
    network
        In evaluation mode.
    examples
        Unharmed, N of them.
    attack
        Its loss, and its precision; where it searches in a lower one, that one is not meant.
    training_loss
        The loss that ``loss: training`` stands for, if any.

    Returns
    -------
    Booleans, shape (N,), on the CPU.
    """
    subject = subject_of(
        network,
        examples.inputs,
        examples.labels,
        examples.index,
        precision=PRECISIONS[attack.precision],
        box=examples.box,
        batch_size=256,
        seed=0,
    )
    _, gradient = subject.classify_with_gradient(attack_loss(attack.loss, training_loss))
    return (gradient == 0).flatten(1).all(1).cpu()
