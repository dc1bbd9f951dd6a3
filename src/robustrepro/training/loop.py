"""The one training loop. The whole data set is a tensor on the device; nothing is loaded while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.objectives.base import Objective
from robustrepro.seeds import derive_seed
from robustrepro.training.resume import load_state, save_state, snapshot

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Maps a batch of images to changed ones of the same shape, drawing from the generator only."""

SECONDS_BETWEEN_SAVES = 20.0
"""At most this much work, and the epoch that was running, is lost to a kill."""

Epoch = dict[str, Any]
"""One line of the history: epoch, loss, accuracy, seconds, images_per_second."""


def train(
    model: nn.Module,
    objective: Objective,
    inputs: Tensor,
    labels: Tensor,
    spec: Mapping[str, Any],
    *,
    name: str,
    seed: int,
    state: Path,
    report: Callable[[Epoch], None],
    augment: Augmentation | None = None,
    observe: Callable[[nn.Module], None] | None = None,
) -> list[Epoch]:
    """Train a model in place and return its history, one entry an epoch.

    The order of the examples in an epoch and what augmentation does to them depend on (seed, epoch) only, so that a
    resumed training gives the same bits as an uninterrupted one, and models that share a seed see the same batches. A
    last batch of one example is left out, since a pairwise objective has nothing to say about it.

    Parameters
    ----------
    model, inputs, labels
        On one device; inputs float32 of shape (N, ...), labels int64 of shape (N,).
    objective
        What is descended.
    spec
        The training spec: ``optimizer``, ``epochs``, ``batch_size``.
    name, seed
        Which model this is, for messages and for the order of the data.
    state
        Where the resumable state is kept. It is written now and then and when the training is interrupted, and stays
        until the caller has stored the weights.
    report
        Called after every epoch.
    augment
        Applied to the inputs of every batch, if given.
    observe
        Called in every update with the model, whose parameters hold the gradient that is about to change them.

    Raises
    ------
    UserError
        If the loss becomes NaN or infinite; the message names model, epoch and learning rate.
    """
    learning_rate = spec["optimizer"]["learning_rate"]
    # The fused kernel is bit for bit reproducible and leaves most of a small network's optimiser overhead out.
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate, fused=True)
    history = load_state(state, model, optimizer)
    saved = time.monotonic()
    # One value, so that an interrupt finds weights and history of the same epoch.
    reached = snapshot(model, optimizer), history
    model.train()
    try:
        for epoch in range(len(history) + 1, spec["epochs"] + 1):
            entry = _train_epoch(
                model, objective, inputs, labels, optimizer, spec["batch_size"], seed, epoch, augment, observe
            )
            if not math.isfinite(entry["loss"]):
                raise UserError(
                    f"model {name}, seed {seed}: the loss is {entry['loss']} in epoch {epoch} at learning rate "
                    f"{learning_rate}; lower optimizer.learning_rate of {name}"
                )
            reached = snapshot(model, optimizer), [*reached[1], entry]
            report(entry)
            if time.monotonic() - saved > SECONDS_BETWEEN_SAVES:
                save_state(state, *reached)
                saved = time.monotonic()
    except KeyboardInterrupt:
        # The model itself is in the middle of an epoch, from where it could not be continued to the same bits.
        save_state(state, *reached)
        raise
    return reached[1]


def _train_epoch(
    model: nn.Module,
    objective: Objective,
    inputs: Tensor,
    labels: Tensor,
    optimizer: torch.optim.Optimizer,
    batch_size: int,
    seed: int,
    epoch: int,
    augment: Augmentation | None,
    observe: Callable[[nn.Module], None] | None,
) -> Epoch:
    """Train one epoch and return its line of the history."""
    start = time.perf_counter()
    generator = torch.Generator().manual_seed(derive_seed(seed, "data order", epoch))
    order = torch.randperm(len(inputs), generator=generator).to(inputs.device)
    changes = torch.Generator().manual_seed(derive_seed(seed, "augmentation", epoch))
    loss_sum = torch.zeros((), device=inputs.device, dtype=torch.float64)
    correct = torch.zeros((), device=inputs.device, dtype=torch.int64)
    seen = 0
    for batch in torch.split(order, batch_size):
        if len(batch) < 2:
            continue
        batch_inputs, batch_labels = inputs[batch], labels[batch]
        if augment is not None:
            batch_inputs = augment(batch_inputs, changes)
        risk = objective(model, batch_inputs, batch_labels)
        optimizer.zero_grad(set_to_none=True)
        risk.value.backward()  # type: ignore[no-untyped-call]
        if observe is not None:
            observe(model)
        optimizer.step()
        loss_sum += risk.value.detach() * len(batch)
        correct += (risk.logits.detach().argmax(1) == batch_labels).sum()
        seen += len(batch)
    loss = loss_sum.item() / seen  # waits for the device
    seconds = time.perf_counter() - start
    return {
        "epoch": epoch,
        "loss": loss,
        "accuracy": correct.item() / seen,
        "seconds": round(seconds, 3),
        "images_per_second": round(seen / seconds),
    }
