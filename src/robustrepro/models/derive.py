"""The step ``derive``: a model whose weights are changed from another one's, or given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import nn

from robustrepro import provenance
from robustrepro.datasets.tensors import Split, load
from robustrepro.devices import claimed_device
from robustrepro.files import atomic_path, sha256_of
from robustrepro.implementations import made
from robustrepro.models.build import build_network, load_network
from robustrepro.models.card import Made, write_card
from robustrepro.models.evaluation import accuracy_on
from robustrepro.models.given import give, given_weights
from robustrepro.spec.models import Derivation, GivenWeights
from robustrepro.spec.networks import Network
from robustrepro.steps import Work


def run(work: Work) -> None:
    """Make one model without training it, and write its weights and card.

    Parameters
    ----------
    work
        ``spec`` has ``model``, ``seed``, ``dataset``, ``network``, and either ``derived`` (a :class:`Derivation`) or
        ``given`` (a :class:`GivenWeights`). ``inputs`` has ``data``, the data set's manifest, and for a derived model
        ``weights`` or ``checkpoints`` of its source, whichever its change reads. ``outputs`` are weights and card,
        written in this order.

    Raises
    ------
    UserError
        If the weights are missing, are not those that are declared, or do not fit the network.
    """
    usage = provenance.Usage()
    weights, card = work.outputs
    test = load(work.inputs["data"][0].parent, "test")
    network = Network.model_validate(work.spec["network"])
    if "derived" in work.spec:
        model, details = _derive(work, network, test, weights)
    else:
        model, details = _copy_given(GivenWeights.model_validate(work.spec["given"]), network, test, weights)
    with claimed_device() as device:
        details["final"] = {"test_accuracy": accuracy_on(test, model.to(device), device)}
        write_card(card, work, weights, Made(model, test, device, usage), details)


def _derive(work: Work, network: Network, test: Split, weights: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Write the changed weights of another model; return the network and where it came from."""
    derivation = Derivation.model_validate(work.spec["derived"])
    source, form = work.inputs[derivation.change.reads][0], (network, tuple(test.inputs.shape[1:]), test.classes)
    if derivation.change.reads == "weights":
        model = load_network(source, *form)
        made(derivation.change, model, *([work.inputs["data"][0].parent] if derivation.change.reads_data else []))
    else:
        model = build_network(*form).eval()
        made(derivation.change, model, source)
    with atomic_path(weights) as partial:
        save_file({key: value.contiguous() for key, value in model.state_dict().items()}, partial)
    digest = sha256_of(source)
    return model, {
        "source": derivation.source,
        "source_weights_sha256": digest,
        "source_made_on": provenance.made_on(source, digest),
    }


def _copy_given(
    declared: GivenWeights, network: Network, test: Split, weights: Path
) -> tuple[nn.Module, dict[str, Any]]:
    """Write given weights, once they are known to be the declared ones and to fit the network."""
    given = given_weights(declared)
    model = build_network(network, tuple(test.inputs.shape[1:]), test.classes).eval()
    give(model, given, getattr(network.architecture, "variant", network.architecture.name), weights)
    return model, {"source": given.source, "source_weights_sha256": given.sha256}
