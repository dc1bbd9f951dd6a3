"""What a finished run has left: its models, ready to be asked, and its measurements in one data frame."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from robustrepro.canonical import canonical_json
from robustrepro.datasets.tensors import as_float
from robustrepro.datasets.tensors import load as load_split
from robustrepro.errors import UserError
from robustrepro.layout import MEASUREMENT
from robustrepro.measures.frames import read_frame
from robustrepro.models.build import load_network
from robustrepro.spec.networks import Network

CARD, WEIGHTS = "card.json", "weights.safetensors"
BELOW_ROOT = 4
"""How far below the project a model's folder is: ``results/SCALE/models/MODEL/seedK``."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model of a finished run, with the test set that it was measured on.

    Attributes
    ----------
    model
        In evaluation mode, on the CPU: from images in [0, 1] to logits.
    images
        Those of the test set, float32 in [0, 1], shape (N, channels, height, width), or points, shape (N, 2).
    labels
        Their classes, int64, shape (N,).
    card
        What ``card.json`` says of it: ``spec`` (how it was trained, and on what), ``final`` (accuracies, shares of 1),
        ``seed``, ``code`` (a digest of the sources), ``commit``, ``versions``, ``device`` and ``seconds``.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    card: Mapping[str, Any]


def load(folder: str | Path, *, data: str | Path | None = None) -> Loaded:
    """Return a model of a finished run, such as ``results/paper/models/mnist-lenet5-hrm/seed0``.

    Parameters
    ----------
    folder
        The model's, with one seed: ``results/SCALE/models/MODEL/seedK``.
    data
        The folder of its data set; when not said, ``data/DATASET`` of the project that the model lies in.

    Returns
    -------
    The model in evaluation mode, the test set and the card.

    Raises
    ------
    UserError
        If there is no such model (the message names those that there are), or its data set is missing.
    """
    folder = Path(folder)
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder}: there is no finished model ({CARD} is missing){_models_beside(folder)}") from None
    except ValueError as error:
        raise UserError(f"{folder / CARD}: not a model's card ({error})") from None
    dataset, network = _described(card["spec"])
    place = folder.resolve().parents[BELOW_ROOT] / "data" / dataset if data is None else Path(data)
    if not place.is_dir():
        raise UserError(
            f"{place}: the data set {dataset} is missing; run the scale that made the model, or pass data=FOLDER"
        )
    split = load_split(place, "test")
    model = load_network(folder / WEIGHTS, network, tuple(split.inputs.shape[1:]), split.classes)
    return Loaded(model, as_float(split.inputs), split.labels, card)


def _described(spec: Mapping[str, Any]) -> tuple[str, Network]:
    """Return the data set and the network of a model, however it was made."""
    described = spec.get("training") or spec
    if "among" in spec:  # the best of a search: all candidates have the same network and data
        described = next(iter(spec["among"].values()))
    return described["dataset"], Network.model_validate_json(canonical_json(described["network"]))


def _models_beside(folder: Path) -> str:
    """Return which models there are instead, in words, where there are any."""
    models = folder.parent.parent
    names = sorted(each.parent.parent.name for each in models.glob(f"*/*/{CARD}")) if models.is_dir() else []
    if not names:
        return "; a run leaves its models under results/SCALE/models/MODEL/seedK"
    found = ", ".join(dict.fromkeys(names))
    return f"; there are: {found}"


def measurements(results: str | Path, *, measure: str | None = None) -> pd.DataFrame:
    """Return all measurements of a finished scale, such as ``results/paper``, in one data frame.

    Parameters
    ----------
    results
        The scale's folder.
    measure
        One measure alone, by its name in ``paper.yaml``, such as ``pgd40-0.3``; all when not said.

    Returns
    -------
    One row per example (and per attack or ε, where a measure has several): ``measure``, ``subject`` (a model, or two
    joined by ``+``) and ``seed``, then the columns of the measurements; what a measure does not have is missing.

    Raises
    ------
    UserError
        If there are no measurements in the folder, or a file of one cannot be read.
    """
    folder = Path(results)
    frames = []
    for path in sorted((folder / "measurements").glob(f"{measure or '*'}/*/*.parquet")):
        found = MEASUREMENT.fullmatch(path.relative_to(folder).as_posix())
        if found is None:
            continue
        frame, _ = read_frame(path)
        named = {"measure": found["measure"], "subject": found["subject"], "seed": int(found["seed"])}
        frames.append(frame.drop(columns=list(named), errors="ignore").assign(**named))
    if not frames:
        which = f" of '{measure}'" if measure else ""
        raise UserError(f"{folder}: there are no measurements{which}; a run leaves them under measurements/")
    together = pd.concat(frames, ignore_index=True)
    first = ["measure", "subject", "seed"]
    return together[[*first, *(column for column in together if column not in first)]]
