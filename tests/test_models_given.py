"""Given weights: torchvision's, found in the mirror by their official names, and models that a scale trains instead."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.error import URLError

import pytest
import torch
from conftest import Declarations

from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models.build import build_network, load_network
from robustrepro.models.given import give, given_weights
from robustrepro.spec.models import GivenWeights, model_of
from robustrepro.spec.networks import Network

SQUEEZE: dict[str, Any] = {
    "architecture": {"name": "torchvision", "variant": "squeezenet1_1"},
    "preprocessing": [{"name": "standardise", "mean": [0.5, 0.4, 0.3], "std": 0.2}],
}


def zoo_file(folder: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, torch.Tensor]) -> Path:
    """Put a file of weights into the mirror, under the name that its own checksum gives it in torchvision's zoo."""
    mirror = folder / "mirror"
    (mirror / "imagenet").mkdir(parents=True)
    unnamed = mirror / "imagenet" / "weights.pth"
    torch.save(content, unnamed)
    path = unnamed.with_name(f"squeezenet1_1-{sha256_of(unnamed)[:8]}.pth")
    unnamed.rename(path)
    weights = SimpleNamespace(url=f"https://example.org/models/{path.name}")
    monkeypatch.setattr("torchvision.models.get_weight", lambda _: weights)
    monkeypatch.setenv("ROBUSTREPRO_MIRROR", str(mirror))
    return path


def test_torchvisions_weights_go_behind_the_preprocessing_of_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Network.model_validate(SQUEEZE)
    bare = build_network(Network.model_validate({"architecture": SQUEEZE["architecture"]}), (3, 64, 64), 5, seed=4)
    path = zoo_file(tmp_path, monkeypatch, bare.state_dict())
    given = given_weights(GivenWeights(torchvision="SqueezeNet1_1_Weights.IMAGENET1K_V1"))
    model = build_network(network, (3, 64, 64), 5).eval()
    give(model, given, "torchvision", tmp_path / "weights.safetensors")
    again = load_network(tmp_path / "weights.safetensors", network, (3, 64, 64), 5)
    images = torch.rand(2, 3, 64, 64)
    standardised = (images - torch.tensor([0.5, 0.4, 0.3])[:, None, None]) / 0.2
    with torch.no_grad():
        assert torch.equal(again(images), bare.eval()(standardised))
    assert given.sha256 == sha256_of(path)
    assert given.source == "torchvision, SqueezeNet1_1_Weights.IMAGENET1K_V1"


def test_weights_of_another_network_are_told_apart_by_count_and_by_the_first_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = build_network(Network.model_validate({"architecture": SQUEEZE["architecture"]}), (3, 64, 64), 5)
    state = {name.replace("features.3", "theirs.3"): value for name, value in bare.state_dict().items()}
    zoo_file(tmp_path, monkeypatch, state | {"classifier.1.bias": torch.zeros(7)})
    given = given_weights(GivenWeights(torchvision="SqueezeNet1_1_Weights.IMAGENET1K_V1"))
    with pytest.raises(UserError) as caught:
        give(build_network(Network.model_validate(SQUEEZE), (3, 64, 64), 5), given, "squeezenet1_1", tmp_path / "w")
    message = str(caught.value)
    assert "does not fit the architecture squeezenet1_1: tensors 6 missing (features.3.squeeze.weight, " in message
    assert "; 6 left over (theirs.3.squeeze.weight, " in message
    assert message.endswith("; 1 of another shape (classifier.1.bias (7,) for (5,))")
    assert len(message) < 500


def test_weights_of_torchvision_that_are_others_than_their_name_says_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zoo_file(tmp_path, monkeypatch, {"a": torch.zeros(2)})
    path.write_bytes(path.read_bytes() + b"0")
    with pytest.raises(UserError, match=r"squeezenet1_1-.*\.pth: sha256 .* found, one that begins with"):
        given_weights(GivenWeights(torchvision="SqueezeNet1_1_Weights.IMAGENET1K_V1"))


def test_a_pickle_that_would_run_code_is_not_read_as_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zoo_file(tmp_path, monkeypatch, {"a": torch.zeros(2)})
    with path.open("wb") as stream:
        pickle.dump({"a": Path}, stream)
    other = path.with_name(f"squeezenet1_1-{sha256_of(path)[:8]}.pth")
    path.rename(other)
    weights = SimpleNamespace(url=f"https://example.org/{other.name}")
    monkeypatch.setattr("torchvision.models.get_weight", lambda _: weights)
    with pytest.raises(UserError, match="not a file of weights"):
        given_weights(GivenWeights(torchvision="SqueezeNet1_1_Weights.IMAGENET1K_V1"))


def test_weights_that_cannot_be_downloaded_say_where_to_put_them_and_what_is_not_measured_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise URLError("no network")

    monkeypatch.setenv("ROBUSTREPRO_MIRROR", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", refused)
    expected = rf"alexnet-.*\.pth could not be downloaded .*Put it at {tmp_path}/imagenet/alexnet-.* leave the model"
    with pytest.raises(UserError, match=expected):
        given_weights(GivenWeights(torchvision="AlexNet_Weights.IMAGENET1K_V1"))


def test_weights_that_torchvision_does_not_know_are_told_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"did you mean 'AlexNet_Weights.IMAGENET1K_V1'"):
        given_weights(GivenWeights(torchvision="AlexNet_Weights.IMAGENET1K_V3"))


@pytest.mark.parametrize(
    "given",
    [{}, {"file": "w"}, {"sha256": "0" * 64}, {"file": "w", "sha256": "0" * 64, "torchvision": "A.B"}],
)
def test_where_weights_come_from_is_said_once(given: dict[str, str]) -> None:
    with pytest.raises(UserError, match="expected either 'file' and its 'sha256', or 'torchvision'"):
        model_of({"given": given, "dataset": "digits", "network": SQUEEZE}, "models.m")


def test_other_weights_than_the_papers_are_one_difference(declarations: Declarations) -> None:
    declarations.paper["models"]["given"] = {
        "given": {"torchvision": "AlexNet_Weights.IMAGENET1K_V1"},
        "dataset": "mnist",
        "network": {"architecture": "lenet5"},
    }
    mine = {"torchvision": None, "file": "mine.safetensors", "sha256": "ab" * 32}
    declarations.config["overrides"] = {"models": {"given": {"given": mine}}}
    in_paper, at_scale, used = declarations.plan().declarations.model_layers("given")
    assert in_paper["given"] == at_scale["given"] == "torchvision's AlexNet_Weights.IMAGENET1K_V1"
    assert used["given"] == "mine.safetensors (sha256 abababab...)"


def test_a_scale_may_train_what_is_given_elsewhere(declarations: Declarations) -> None:
    network = {"architecture": "lenet5"}
    declarations.paper["models"]["given"] = {
        "given": {"file": "sub/w.safetensors", "sha256": "0" * 64},
        "dataset": "mnist",
        "network": network,
    }
    trained = {"objective": {"name": "erm"}, "optimizer": {"name": "adam", "learning_rate": 0.1}, "batch_size": 8}
    declarations.scales["quick"]["models"] = {"given": {"given": None, "epochs": 3, **trained}}
    plan = declarations.plan()
    assert plan.declarations.is_trained("given")
    assert plan.declarations.training("given")["epochs"] == 3


def test_a_network_of_torchvision_takes_photographs_alone() -> None:
    network = Network.model_validate({"architecture": SQUEEZE["architecture"]})
    with pytest.raises(UserError, match="squeezenet1_1 takes images in colour of 64x64 or more, not"):
        build_network(network, (1, 28, 28), 10)
    assert not any(
        getattr(module, "inplace", False)
        for module in build_network(network, (3, 64, 64), 5).modules()
        if isinstance(module, torch.nn.ReLU)
    )
