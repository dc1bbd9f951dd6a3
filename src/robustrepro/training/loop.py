"""The one training loop. The whole data set is a tensor on the device; nothing is loaded while it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robustrepro.datasets.tensors import Split, as_float
from robustrepro.errors import UserError
from robustrepro.implementations import made
from robustrepro.objectives.base import Objective, Risk, Step
from robustrepro.schedules import value_at
from robustrepro.seeds import derive_seed
from robustrepro.spec.training import TrainingSpec
from robustrepro.training.resume import load_state, save_state, snapshot

Augmentation = Callable[[Tensor, torch.Generator], Tensor]
"""Maps a batch of images to changed ones of the same shape, drawing from the generator only."""

SECONDS_BETWEEN_SAVES = 20.0
"""At most this much work, and the epoch that was running, is lost to a kill."""

Epoch = dict[str, Any]
"""One line of the history: epoch, loss, accuracy, the objective's terms, seconds and images_per_second (of training
alone), and test_accuracy where it is asked for."""


@dataclass(frozen=True)
class Training:
    """One training: all that decides the weights, but for the network that it starts from.

    Attributes
    ----------
    name, seed
        Which model this is, for messages and for the order of the data.
    spec
        The declaration; the loop reads optimiser, epochs and batch size.
    inputs, labels
        The training set on the model's device: float32 of shape (N, ...) and int64 of shape (N,).
    objective
        What is descended.
    augment
        Applied to the inputs of every batch, if given.
    others
        Other networks that the objective looks into, by their models' names: frozen, in evaluation mode, on the device.
    """

    name: str
    seed: int
    spec: TrainingSpec
    inputs: Tensor
    labels: Tensor
    objective: Objective
    augment: Augmentation | None = None
    others: Mapping[str, nn.Module] = field(default_factory=dict)

    @classmethod
    def declared(
        cls,
        name: str,
        seed: int,
        spec: TrainingSpec,
        split: Split,
        device: torch.device,
        others: Mapping[str, nn.Module],
    ) -> Training:
        """Return the training that a spec declares, on a data set's training split.

        Parameters
        ----------
        name, seed, spec
            As the attributes.
        split
            The training split.
        device
            Where it computes.
        others
            The other networks that the spec names, in evaluation mode; they are frozen, and moved to the device.
        """
        return cls(
            name,
            seed,
            spec,
            as_float(split.inputs).to(device),
            split.labels.to(device),
            made(spec.objective),
            made(spec.augmentation) if spec.augmentation else None,
            {other: network.to(device).requires_grad_(False) for other, network in others.items()},
        )


def train(
    model: nn.Module,
    training: Training,
    state: Path,
    *,
    report: Callable[[Epoch], None],
    keep: Callable[[int, nn.Module], None] | None = None,
    evaluate: Callable[[nn.Module], float] | None = None,
    observe: Callable[[nn.Module], None] | None = None,
) -> list[Epoch]:
    """Train a model in place and return its history, one entry per epoch.

    The order of the examples in an epoch, what augmentation does to them and what the objective draws depend on
    (seed, epoch) only, so that a resumed training gives the same bits as an uninterrupted one, and models that share a
    seed see the same batches. A last batch of one example is left out, since a pairwise objective has nothing to say
    about it.

    Parameters
    ----------
    model
        On the device of the training's tensors.
    training
        What it is trained on, and how.
    state
        Where the resumable state is kept. It is written now and then and when the training is interrupted, and stays
        until the caller has stored the weights.
    report
        Called after every epoch.
    keep
        Called with the epoch and the model after each of the spec's checkpoints, if given. What it stores must last: it
        is not called again for an epoch that is behind a resumed training.
    evaluate
        Called after every epoch, if given; returns ``test_accuracy``. It must leave the model and every random state
        as it found them.
    observe
        Called in every update with the model, whose parameters hold the gradient that is about to change them.

    Raises
    ------
    UserError
        If the loss becomes NaN or infinite; the message names model, epoch and learning rate.
    """
    optimizer: torch.optim.Optimizer = made(training.spec.optimizer, model.parameters())
    history = load_state(state, model, optimizer)
    saved = time.monotonic()
    # One value, so that an interrupt finds weights and history of the same epoch.
    reached = snapshot(model, optimizer), history
    model.train()
    try:
        for epoch in range(len(history) + 1, training.spec.epochs + 1):
            entry = _train_epoch(model, training, optimizer, epoch, observe)
            _require_finite(entry, training)
            if evaluate is not None:
                entry["test_accuracy"] = evaluate(model)
            if keep is not None and epoch in training.spec.checkpoints:
                keep(epoch, model)
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


def _require_finite(entry: Epoch, training: Training) -> None:
    if not math.isfinite(entry["loss"]):
        learning_rate = value_at(training.spec.optimizer.learning_rate, entry["epoch"] - 1)
        raise UserError(
            f"model {training.name}, seed {training.seed}: the loss is {entry['loss']} in epoch {entry['epoch']} at "
            f"learning rate {learning_rate}; lower optimizer.learning_rate of {training.name}"
        )


def _train_epoch(
    model: nn.Module,
    training: Training,
    optimizer: torch.optim.Optimizer,
    epoch: int,
    observe: Callable[[nn.Module], None] | None,
) -> Epoch:
    """Train one epoch (the first is 1) and return its line of the history."""
    start = time.perf_counter()
    inputs, labels = training.inputs, training.labels
    order = torch.randperm(len(inputs), generator=_stream(training, "data order", epoch)).to(inputs.device)
    changes, draws = _stream(training, "augmentation", epoch), _stream(training, "objective", epoch)
    batches = [batch for batch in torch.split(order, training.spec.batch_size) if len(batch) > 1]
    means = _Means(inputs.device)
    for number, batch in enumerate(batches):
        batch_inputs, batch_labels = inputs[batch], labels[batch]
        if training.augment is not None:
            batch_inputs = training.augment(batch_inputs, changes)
        at = epoch - 1 + number / len(batches)
        step = Step(batch_inputs, batch_labels, batch, at, draws, training.others)
        for group in optimizer.param_groups:
            group["lr"] = value_at(training.spec.optimizer.learning_rate, step.epoch)
        risk = training.objective(model, step)
        optimizer.zero_grad(set_to_none=True)
        risk.value.backward()  # type: ignore[no-untyped-call]
        if observe is not None:
            observe(model)
        optimizer.step()
        means.add(risk, batch_labels)
    columns = means.columns()  # waits for the device
    seconds = time.perf_counter() - start
    return {
        "epoch": epoch,
        **columns,
        "seconds": round(seconds, 3),
        "images_per_second": round(means.seen / seconds),
    }


def _stream(training: Training, purpose: str, epoch: int) -> torch.Generator:
    return torch.Generator().manual_seed(derive_seed(training.seed, purpose, epoch))


class _Means:
    """Sums over an epoch, kept on the device so that no batch waits for it."""

    def __init__(self, device: torch.device) -> None:
        self.seen = 0
        self._correct = torch.zeros((), device=device, dtype=torch.int64)
        self._sums: dict[str, Tensor] = {}

    def add(self, risk: Risk, labels: Tensor) -> None:
        """Add a batch's loss, terms and number of right answers."""
        values = {"loss": risk.value, **_named_terms(risk.terms)}
        if self.seen and values.keys() != self._sums.keys():
            raise ValueError(f"an objective has the same terms in every batch, not {[*self._sums]} and {[*values]}")
        for name, value in values.items():
            addend = value.detach() * len(labels)
            self._sums[name] = self._sums[name] + addend if self.seen else addend.double()
        self._correct += (risk.logits.detach().argmax(1) == labels).sum()
        self.seen += len(labels)

    def columns(self) -> dict[str, float]:
        """Return the means over the examples seen: loss, accuracy, and the terms in the objective's order."""
        loss, *terms = ((name, total.item() / self.seen) for name, total in self._sums.items())
        return dict([loss, ("accuracy", self._correct.item() / self.seen), *terms])


def _named_terms(terms: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    """Refuse a term that would overwrite another column of the history."""
    taken = {"epoch", "loss", "accuracy", "test_accuracy", "seconds", "images_per_second"} & terms.keys()
    if taken:
        raise ValueError(f"{', '.join(sorted(taken))}: a column of every history; expected another name of the term")
    return terms
