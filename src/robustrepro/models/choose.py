"""A model that a search chooses: the weights of the candidate that came out best on validation images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch import nn

from robustrepro import provenance
from robustrepro.datasets.tensors import Split
from robustrepro.errors import UserError
from robustrepro.files import atomic_path, sha256_of
from robustrepro.models.build import load_network
from robustrepro.spec.networks import Network
from robustrepro.steps import Work


def choose(work: Work, network: Network, test: Split, weights: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Copy the weights of the chosen candidate byte for byte; return the network and where it came from.

    Parameters
    ----------
    work
        ``spec`` has ``chosen``: the ``search``, and the model of each candidate under ``among``. ``inputs`` has
        ``search``, the outcome, and ``weights``, those of each of these models once, in order.
    network, test
        The network and a split of the data set that it is for.
    weights
        The file to write.
    """
    outcome = work.inputs["search"][0]
    candidate = json.loads(outcome.read_text(encoding="utf-8"))["chosen"]
    among = work.spec["chosen"]["among"]
    if candidate not in among:
        raise UserError(
            f"{outcome}: it chooses '{candidate}'; expected one of {', '.join(among)}. Delete it and run again"
        )
    files = dict(zip(dict.fromkeys(among.values()), work.inputs["weights"], strict=True))
    source = files[among[candidate]]
    model = load_network(source, network, tuple(test.inputs.shape[1:]), test.classes)
    with atomic_path(weights) as partial:
        partial.write_bytes(source.read_bytes())
    digest = sha256_of(source)
    return model, {
        "source": among[candidate],
        "source_weights_sha256": digest,
        "source_made_on": provenance.made_on(source, digest),
        "candidate_weights_sha256": [sha256_of(file) for file in work.inputs["weights"]],
        "search_sha256": sha256_of(outcome),
        "chosen": candidate,
    }
