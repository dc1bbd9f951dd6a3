"""What an attack ascends: one loss per example, so that no image's gradient depends on its batch."""

from __future__ import annotations

import torch
from torch import Tensor

from robustrepro.losses import PerExampleLoss, example_loss
from robustrepro.spec.attacks import AttackLoss


def classification_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return Z_y − max_{i≠y} Z_i, shape (N,): positive where the label wins, negative where it loses.

    Parameters
    ----------
    logits
        Shape (N, classes), at least two classes.
    labels
        int64, shape (N,).
    """
    column = labels.unsqueeze(1)
    others = logits.scatter(1, column, -torch.inf)
    return logits.gather(1, column).squeeze(1) - others.amax(1)


def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Return max_{i≠y} Z_i − Z_y, shape (N,): the loss of Carlini & Wagner (2017), f₆ without its clipping."""
    return -classification_margin(logits, labels)


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Return log Σ_{i≠y} exp Z_i − Z_y, shape (N,): the log-odds of a wrong answer.

    Its gradient is Σ_{i≠y} w_i ∇(Z_i − Z_y), with w the softmax over the wrong classes alone. That is cross-entropy's
    gradient divided by 1 − p_y, so the two point the same way; but cross-entropy's loses the term of Z_y to rounding
    once p_y is near 1, and this one holds at any gap between the logits.
    """
    column = labels.unsqueeze(1)
    others = logits.scatter(1, column, -torch.inf)
    return others.logsumexp(1) - logits.gather(1, column).squeeze(1)


def attack_loss(name: AttackLoss, training_loss: PerExampleLoss | None = None) -> PerExampleLoss:
    """Return the loss that an attack's spec names.

    Parameters
    ----------
    name
        ``"cross_entropy"``, ``"clipped_cross_entropy"``, ``"margin"``, ``"log_odds"`` or ``"training"``.
    training_loss
        What ``"training"`` stands for. A pairwise objective (CEM, HRM) gives each image's own √L: the
        gradient of its batch loss with respect to one image is a positive multiple of that of √L.

    Raises
    ------
    ValueError
        If the training loss is asked for and was not given.
    """
    if name == "training":
        if training_loss is None:
            message = (
                "the attack's loss is 'training', but no training_loss was given: pass the model's per-example loss"
            )
            raise ValueError(message)
        return training_loss
    of_attacks = {"margin": margin, "log_odds": log_odds}
    return of_attacks[name] if name in of_attacks else example_loss(name)
