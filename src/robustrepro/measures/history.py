"""What a training recorded after every epoch."""

from __future__ import annotations

import csv

import numpy as np

from robustrepro.errors import UserError
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import History
from robustrepro.steps import Progress

RENAMED = {"accuracy": "training_accuracy"}
"""So that nobody takes the accuracy on training images, in training, for that on test images."""


def measure(trained: Trained, _declared: History, _progress: Progress) -> Columns:
    """Return one row per epoch.

    Returns
    -------
    ``epoch`` (the first is 1), ``loss`` (the mean of the objective over the epoch's batches), ``training_accuracy`` (a
    share, over the examples as the network saw them), ``test_accuracy`` (a share) if the model asks for it, the
    objective's own terms, ``seconds`` and ``images_per_second``.

    Raises
    ------
    UserError
        If the record has no epochs, or is no table of numbers.
    """
    if trained.history is None:
        raise ValueError("this kind of measurement says that it reads no history")
    with trained.history.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    try:
        columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    except (IndexError, TypeError, ValueError) as error:
        message = f"{trained.history}: not the record of a training ({error}). Delete its folder and run again"
        raise UserError(message) from None
    epoch = columns.pop("epoch").astype(np.int64)
    return {"epoch": epoch, **{RENAMED.get(name, name): values for name, values in columns.items()}}
