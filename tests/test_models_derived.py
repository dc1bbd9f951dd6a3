"""Models that are not trained here: derived from another one, or given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TEST_POINTS
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Tensor

from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.models import derive
from robustrepro.models.build import build_network, load_network
from robustrepro.models.changes.truncate_singular_values import Truncation
from robustrepro.spec.models import DerivedModel, GivenModel, TrainedModel, model_of
from robustrepro.spec.networks import Network
from robustrepro.steps import Work

NETWORK: dict[str, Any] = {"architecture": {"name": "mlp", "hidden": [10, 6]}}
NAMES = ("weights.safetensors", "card.json")
TRAINED: dict[str, Any] = {
    "dataset": "two_moons",
    "network": NETWORK,
    "objective": {"name": "erm"},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "epochs": 1,
    "batch_size": 8,
}
GIVEN: dict[str, Any] = {
    "given": {"file": "w.safetensors", "sha256": "0" * 64},
    "dataset": "digits",
    "network": NETWORK,
}


def truncation(percent: float, layer: str = "layers.3") -> dict[str, Any]:
    return {"from": "source", "change": {"name": "truncate_singular_values", "layer": layer, "percent": percent}}


matrices = st.tuples(st.integers(1, 8), st.integers(1, 8), st.integers(0, 1000)).map(
    lambda case: torch.randn(case[0], case[1], generator=torch.Generator().manual_seed(case[2]))
)


@given(weight=matrices, percents=st.tuples(st.floats(0, 100), st.floats(0, 100)).map(sorted))
def test_the_frobenius_norm_falls_as_more_singular_values_are_truncated(weight: Tensor, percents: list[float]) -> None:
    less, more = (Truncation(weight).at(percent).norm() for percent in percents)
    assert more <= less + 1e-6
    assert less <= weight.norm() + 1e-6


@given(weight=matrices)
def test_truncating_nothing_is_the_identity_bit_for_bit_and_truncating_all_leaves_zeros(weight: Tensor) -> None:
    assert torch.equal(Truncation(weight).at(0), weight)
    assert not Truncation(weight).at(100).any()


@given(weight=matrices, percent=st.floats(0, 100))
def test_a_truncated_matrix_keeps_the_largest_singular_values(weight: Tensor, percent: float) -> None:
    truncated = Truncation(weight).at(percent)
    values = torch.linalg.svdvals(weight.double())
    dropped = int(len(values) * percent / 100)
    expected = torch.cat([values[: len(values) - dropped], values.new_zeros(dropped)])
    torch.testing.assert_close(torch.linalg.svdvals(truncated.double()), expected, rtol=1e-5, atol=1e-6)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a checkpoint to derive from."""
    path = tmp_path / "source" / "weights.safetensors"
    path.parent.mkdir()
    save_file(build_network(Network.model_validate(NETWORK), (2,), 2, seed=4).state_dict(), path)
    return path


def derived(folder: Path, moons: Path, **spec: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Run the step and return weights and card."""
    weights = spec.pop("weights", None)
    inputs = {"data": [moons / "manifest.json"]} | ({"weights": [weights]} if weights else {})
    if checkpoints := spec.pop("checkpoints", None):
        inputs["checkpoints"] = [checkpoints]
    job = {"model": "ours", "seed": 1, "dataset": "two_moons", "network": NETWORK, **spec}
    outputs = [folder / name for name in NAMES]
    derive.run(Work(job, "c0de", inputs, outputs))
    card = json.loads(outputs[1].read_text())
    assert card["spec"] == job
    assert (card["model"], card["seed"], card["code"], card["device"]) == ("ours", 1, "c0de", "cpu")
    assert card["weights_sha256"] == sha256_of(outputs[0])
    assert card["data_manifest_sha256"] == sha256_of(moons / "manifest.json")
    return load_file(outputs[0]), card


def test_a_derived_model_differs_from_its_source_in_the_layer_that_is_changed(
    moons: Path, tmp_path: Path, source: Path
) -> None:
    weights, card = derived(tmp_path / "derived", moons, weights=source, derived=truncation(50))
    before = load_file(source)
    assert [name for name in before if not torch.equal(before[name], weights[name])] == ["layers.3.weight"]
    assert torch.linalg.matrix_rank(weights["layers.3.weight"], rtol=1e-5) == 3
    assert (card["source"], card["source_weights_sha256"]) == ("source", sha256_of(source))
    split = load(moons, "test")
    model = load_network(tmp_path / "derived/weights.safetensors", Network.model_validate(NETWORK), (2,), 2)
    right = int((model(split.inputs).argmax(1) == split.labels).sum())
    assert card["final"] == {"test_accuracy": right / TEST_POINTS}


def test_a_model_derived_by_changing_nothing_has_the_same_bytes(moons: Path, tmp_path: Path, source: Path) -> None:
    _, card = derived(tmp_path / "derived", moons, weights=source, derived=truncation(0))
    assert card["weights_sha256"] == card["source_weights_sha256"]


@pytest.mark.parametrize("role", ["weights", "checkpoints"])
def test_a_derived_model_remembers_the_machine_that_trained_its_source(
    moons: Path, tmp_path: Path, role: str, request: pytest.FixtureRequest
) -> None:
    used: Path = request.getfixturevalue({"weights": "source", "checkpoints": "checkpoints"}[role])
    change = truncation(50) if role == "weights" else after_epoch(5)
    machine = {"device": "a GPU", "processor": "Another"}
    card = {f"{role}_sha256": sha256_of(used), **machine, "seed": 1}
    used.with_name("card.json").write_text(json.dumps(card))
    _, first = derived(tmp_path / "first", moons, **{role: used}, derived=change)
    assert first["source_made_on"] == machine
    # And so does what is derived from that.
    _, second = derived(
        tmp_path / "second", moons, weights=tmp_path / "first/weights.safetensors", derived=truncation(10)
    )
    assert second["source_made_on"] == machine
    used.with_name("card.json").unlink()
    _, unknown = derived(tmp_path / "unknown", moons, **{role: used}, derived=change)
    assert unknown["source_made_on"] is None


def test_a_layer_that_is_not_fully_connected_is_named_with_those_that_are(
    moons: Path, tmp_path: Path, source: Path
) -> None:
    with pytest.raises(
        UserError, match=r"no fully connected layer 'layers.2' \(it has: layers.1, layers.3, layers.5\)"
    ):
        derived(tmp_path / "derived", moons, weights=source, derived=truncation(50, "layers.2"))
    assert not (tmp_path / "derived").exists()


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """Return the weights that networks of two seeds have in the place of those after epochs 2 and 5."""
    path, stored = tmp_path / "source" / "checkpoints.safetensors", {}
    path.parent.mkdir()
    for epoch in (2, 5):
        state = build_network(Network.model_validate(NETWORK), (2,), 2, seed=epoch).state_dict()
        stored |= {f"{epoch}/{name}": tensor for name, tensor in state.items()}
    save_file(stored, path)
    return path


def after_epoch(epoch: int) -> dict[str, Any]:
    return {"from": "source", "change": {"name": "checkpoint", "epoch": epoch}}


def test_a_model_may_be_what_another_one_was_after_an_epoch(moons: Path, tmp_path: Path, checkpoints: Path) -> None:
    weights, card = derived(tmp_path / "early", moons, checkpoints=checkpoints, derived=after_epoch(5))
    expected = build_network(Network.model_validate(NETWORK), (2,), 2, seed=5)
    assert weights.keys() == expected.state_dict().keys()
    assert all(torch.equal(weights[name], tensor) for name, tensor in expected.state_dict().items())
    assert (card["source"], card["source_weights_sha256"]) == ("source", sha256_of(checkpoints))
    split = load(moons, "test")
    right = int((expected.eval()(split.inputs).argmax(1) == split.labels).sum())
    assert card["final"] == {"test_accuracy": right / TEST_POINTS}


@pytest.mark.parametrize("mistake", ["no such epoch", "other network", "no file"])
def test_checkpoints_that_lack_the_epoch_are_refused_in_one_message(
    moons: Path, tmp_path: Path, checkpoints: Path, mistake: str
) -> None:
    epoch, network = 5, NETWORK
    match mistake:
        case "no such epoch":
            epoch, message = 3, f"{checkpoints}: no weights after epoch 3 were kept; those kept: 2, 5"
        case "other network":
            network = {"architecture": {"name": "mlp", "hidden": [3]}}
            message = f"{checkpoints}: the checkpoint after epoch 5 does not fit the declared network: "
        case _:
            checkpoints.unlink()
            message = f"{checkpoints}: unreadable or truncated"
    with pytest.raises(UserError, match=message) as caught:
        derived(tmp_path / "early", moons, checkpoints=checkpoints, derived=after_epoch(epoch), network=network)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "early").exists()


def test_given_weights_are_copied_byte_for_byte(
    moons: Path, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROBUSTREPRO_MIRROR", str(source.parent))
    file = {"file": source.name, "sha256": sha256_of(source)}
    weights, card = derived(tmp_path / "given", moons, given=file)
    assert card["weights_sha256"] == card["source_weights_sha256"] == file["sha256"]
    assert card["source"] == source.name
    assert 0 <= card["final"]["test_accuracy"] <= 1
    assert weights.keys() == load_file(source).keys()


@pytest.mark.parametrize("mistake", ["no mirror", "no file", "other bytes", "no checkpoint", "other network"])
def test_given_weights_that_are_not_those_declared_are_refused_in_one_message(
    moons: Path, tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    monkeypatch.setenv("ROBUSTREPRO_MIRROR", str(source.parent))
    sha256, network = sha256_of(source), NETWORK
    match mistake:
        case "no mirror":
            monkeypatch.delenv("ROBUSTREPRO_MIRROR")
            message = "data.mirror in config.yaml .* names none"
        case "no file":
            source.unlink()
            message = rf"{source}: cannot be read \(No such file or directory\).* data.mirror"
        case "other bytes":
            message = f"{source}: sha256 {sha256} found, {'0' * 64} declared"
            sha256 = "0" * 64
        case "no checkpoint":
            source.write_bytes(b"pickled")
            sha256, message = sha256_of(source), f"{source}: expected a safetensors file"
        case _:
            network = {"architecture": {"name": "mlp", "hidden": [3]}}
            message = f"{source}: the given file does not fit the architecture mlp: "
    with pytest.raises(UserError, match=message) as caught:
        derived(tmp_path / "given", moons, given={"file": source.name, "sha256": sha256}, network=network)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "given").exists()


@pytest.mark.parametrize(
    ("tree", "kind"),
    [(TRAINED, TrainedModel), ({"derived": truncation(5), "seeds": 2}, DerivedModel), (GIVEN, GivenModel)],
    ids=["trained", "derived", "given"],
)
def test_a_models_origin_is_told_by_its_keys(tree: dict[str, Any], kind: type) -> None:
    assert type(model_of(tree, "models.m")) is kind


def test_declarations_give_the_plain_data_that_their_steps_read() -> None:
    model = DerivedModel.model_validate({"derived": truncation(5)})
    assert model.derived.model_dump(mode="json", by_alias=True) == truncation(5)
    spec = TrainedModel.model_validate({**TRAINED, "seeds": 3}).training_spec()
    unsaid = {"test_accuracy": False, "checkpoints": []}
    objective = {"name": "erm", "loss": "cross_entropy"}
    assert spec == {**TRAINED, "network": {**NETWORK, "preprocessing": []}, "objective": objective, **unsaid}


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"derived": truncation(101)},
            r"derived\.change\.percent: found 101, which should be less than or equal to 99",
        ),
        ({"derived": truncation(5), "epochs": 3}, r"epochs: unknown key \(known: derived, seeds\)"),
        (
            {"derived": {"form": "a", "change": truncation(5)["change"]}},
            r"derived\.form: unknown key; did you mean 'from'",
        ),
        ({"derived": {"change": truncation(5)["change"]}}, r"derived\.from: this key is missing"),
        ({**GIVEN, "seeds": 2}, "seeds: unknown key"),
        ({**GIVEN, "given": {"file": "../w", "sha256": "0" * 64}}, r"given\.file: .* letters, digits"),
        ({**GIVEN, "given": {"file": "w", "sha256": "0"}}, r"given\.sha256: .* pattern"),
        ({**TRAINED, "network": {"architecture": "lenet"}}, "unknown name 'lenet'; did you mean 'lenet5'"),
        (
            {**TRAINED, "optimizer": {"name": "sgd", "learning_rate": 0.1, "nesterov": True}},
            "optimizer: nesterov is true, but momentum is 0",
        ),
        (
            {**TRAINED, "optimizer": {"name": "adam", "learning_rate": {"name": "ramps"}}},
            r"unknown name 'ramps'; .* 'ramp'\? \(known: cosine, piecewise_linear, ramp, steps\)",
        ),
        (
            {**TRAINED, "optimizer": {"name": "adam", "learning_rate": "fast"}},
            r"optimizer\.learning_rate: found 'fast', which should be a valid number",
        ),
    ],
)
def test_a_mistake_in_a_model_is_told_with_its_key(tree: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=f"^models.m: .*{message}"):
        model_of(tree, "models.m")
