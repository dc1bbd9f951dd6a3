"""The step ``data``: one data set as tensors and a manifest."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from robustrepro.datasets.prepare import prepare
from robustrepro.spec.datasets import DatasetSpec
from robustrepro.steps import LOGGER

MIRROR_VARIABLE = "ROBUSTREPRO_MIRROR"
"""A folder of official files. Not part of the spec: the same data from elsewhere are the same data."""


def data_step(spec: dict[str, Any], folder: Path) -> None:
    """Make one data set in a folder.

    Parameters
    ----------
    spec
        ``dataset``, the data set's declaration, and ``allow_unverified``.
    folder
        Where the tensors and the manifest go.
    """
    dataset: DatasetSpec = TypeAdapter(DatasetSpec).validate_python(spec["dataset"], strict=False)
    mirror = os.environ.get(MIRROR_VARIABLE)
    manifest = prepare(
        dataset, folder, mirror=Path(mirror) if mirror else None, allow_unverified=spec["allow_unverified"]
    )
    checked = "checksums verified" if manifest.verified else "NOT VERIFIED: other bytes than the official ones"
    LOGGER.info("%s: %d + %d examples, %s", manifest.name, manifest.train.examples, manifest.test.examples, checked)
