"""The card of a model: where its weights came from, down to bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from robustrepro import provenance
from robustrepro.datasets.tensors import Split
from robustrepro.devices import device_name
from robustrepro.files import sha256_of, write_text
from robustrepro.steps import Work


@dataclass(frozen=True)
class Made:
    """What a step made: the model, from which data, and on which device.

    Attributes
    ----------
    model
        The network with its final weights.
    split
        A split of its data set, for the manifest.
    device
        Where it was computed.
    usage
        Measured since the step began.
    """

    model: nn.Module
    split: Split
    device: torch.device
    usage: provenance.Usage


def write_card(card: Path, work: Work, weights: Path, outcome: Made, details: Mapping[str, Any]) -> None:
    """Write a model's card: what every model's has, and ``details`` of how this one was made.

    Parameters
    ----------
    card, weights
        The file to write, and the checkpoint that it is about.
    work
        The step's work: model, seed, spec and code digest.
    outcome
        What the step made.
    details
        Further keys, such as the ``final`` accuracies.
    """
    account = {
        "model": work.spec["model"],
        "seed": work.spec["seed"],
        "spec": work.spec,
        "code": work.code,
        "weights_sha256": sha256_of(weights),
        "data_manifest_sha256": outcome.split.manifest_sha256,
        "data_verified": outcome.split.verified,
        "parameters": sum(parameter.numel() for parameter in outcome.model.parameters()),
        "device": device_name(outcome.device),
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        **details,
        **outcome.usage.measured(),
    }
    if outcome.device.type == "cuda":
        account["peak_gpu_memory_mb"] = round(torch.cuda.max_memory_allocated(outcome.device) / 2**20, 1)
    write_text(card, json.dumps(account, indent=2, sort_keys=True) + "\n")
