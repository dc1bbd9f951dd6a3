"""The step ``data``: one data set as tensors and a manifest."""

from __future__ import annotations

import os
from pathlib import Path

from robustrepro.datasets.examples import AttackedModel
from robustrepro.datasets.manifest import Manifest
from robustrepro.datasets.prepare import prepare
from robustrepro.implementations import resolve
from robustrepro.spec.datasets import Dataset
from robustrepro.steps import LOGGER, Work

MIRROR_VARIABLE = "ROBUSTREPRO_MIRROR"
"""A folder of official files. Not part of the spec: the same data from elsewhere are the same data."""


def run(work: Work) -> None:
    """Make one data set in the folder of its manifest.

    Its spec has ``dataset`` (the resolved declaration) and ``declared_by`` (its class), ``allow_unverified``, and for a
    data set that is made from a model its ``seed`` and ``attack_model`` (``model``, ``seed``, ``network``). The inputs
    are, where there are such, ``source`` (the manifest of the data set that it is made from) and ``weights``.
    """
    declared: Dataset = resolve(work.spec["declared_by"]).model_validate(work.spec["dataset"], strict=False)
    mirror = os.environ.get(MIRROR_VARIABLE)
    manifest = prepare(
        declared,
        work.outputs[0].parent,
        mirror=Path(mirror) if mirror else None,
        allow_unverified=work.spec["allow_unverified"],
        original=work.inputs["source"][0].parent if "source" in work.inputs else None,
        attacked=_attacked(work) if "attack_model" in work.spec else None,
    )
    LOGGER.info("%s: %s, %s", manifest.name, _size(manifest), _state(manifest))


def _attacked(work: Work) -> AttackedModel:
    return AttackedModel(
        **work.spec["attack_model"],
        weights=work.inputs["weights"][0],
        attack_seed=work.spec["seed"],
        code=work.code,
    )


def _size(manifest: Manifest) -> str:
    training = f"{manifest.train.examples} training and " if manifest.train else ""
    return f"{training}{manifest.test.examples} test examples"


def _state(manifest: Manifest) -> str:
    if manifest.gaps is not None:
        unreadable = f", {len(manifest.gaps.unreadable)} unreadable" if manifest.gaps.unreadable else ""
        return f"NOT COMPLETE: {len(manifest.gaps.missing_classes)} classes without an image{unreadable}"
    return "checksums verified" if manifest.verified else "NOT VERIFIED: other bytes than the official ones"
