"""The path of a training: the same training again, seen at every n-th update."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import TRAIN_POINTS
from measuring import MLP, described, measured
from objective_cases import step_of
from safetensors.torch import load_file, save_file

from robustrepro.datasets.tensors import load
from robustrepro.errors import UserError
from robustrepro.files import sha256_of
from robustrepro.measures.store import as_arrays, read_columns
from robustrepro.models.build import build_network
from robustrepro.objectives.hrm import HollowRisk
from robustrepro.seeds import derive_seed
from robustrepro.spec.networks import Network
from robustrepro.steps import Work
from robustrepro.training import step

TRAINING: dict[str, Any] = {
    "dataset": "two_moons",
    "network": MLP,
    "objective": {"name": "hrm", "guard": 1e-8},
    "optimizer": {"name": "adam", "learning_rate": 0.01},
    "epochs": 3,
    "batch_size": 16,
}
PARAMETERS = 2 * 4 + 4 + 4 * 2 + 2
UPDATES = 3 * (TRAIN_POINTS // 16)
SEED = 5
TYPES = {"update": np.int32, "parameter": np.int32, "value": np.float32, "gradient": np.float32}


def trained(folder: Path, data: Path, training: dict[str, Any], *, seed: int = SEED) -> Path:
    outputs = [
        folder / "weights.safetensors",
        folder / "checkpoints.safetensors",
        folder / "history.csv",
        folder / "card.json",
    ]
    job = {"model": "m", "seed": seed, "training": training}
    step.run(Work(job, "c0de", {"data": [data / "manifest.json"]}, outputs))
    return outputs[0]


def path_of(
    data: Path, weights: Path, *, every: int = 1, training: dict[str, Any] = TRAINING
) -> tuple[dict[str, np.ndarray[Any, Any]], dict[str, Any]]:
    declared = {"training_path": {"every": every}}
    subject = described(weights, seed=SEED, training=training)
    columns, origin = measured(weights.parent / "path/m/seed5.parquet", data, declared, [subject])
    return {name: np.array(values, dtype=TYPES[name]) for name, values in columns.items()}, origin


@pytest.fixture(scope="module")
def weights(moons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("trained"), moons, TRAINING)


def test_a_path_starts_at_the_initialisation_with_the_gradient_of_the_first_batch(moons: Path, weights: Path) -> None:
    column, origin = path_of(moons, weights)
    stored, _ = read_columns(weights.parent / "path/m/seed5.parquet")
    assert {name: values.dtype for name, values in as_arrays(stored).items()} == TYPES
    assert column["update"].tolist() == np.repeat(np.arange(UPDATES), PARAMETERS).tolist()
    assert column["parameter"].tolist() == list(range(PARAMETERS)) * UPDATES
    model, split = build_network(Network.model_validate(MLP), (2,), 2, seed=SEED), load(moons, "train")
    order = torch.Generator().manual_seed(derive_seed(SEED, "data order", 1))
    batch = torch.randperm(TRAIN_POINTS, generator=order)[:16]
    HollowRisk(1e-8)(model, step_of(split.inputs[batch], split.labels[batch])).value.backward()  # type: ignore[no-untyped-call]
    parameters = list(model.parameters())
    gradient = torch.cat([each.grad.reshape(-1) for each in parameters if each.grad is not None])
    assert column["value"][:PARAMETERS].tolist() == torch.nn.utils.parameters_to_vector(parameters).tolist()
    assert column["gradient"][:PARAMETERS].tolist() == gradient.tolist()
    assert origin["kind"] == "training_path"
    assert origin["spec"]["measure"] == {"kind": "training_path", "every": 1}
    assert origin["spec"]["subjects"] == [{"model": "m", "seed": SEED, "training": TRAINING}]
    assert origin["models"] == [{"model": "m", "seed": SEED, "weights_sha256": sha256_of(weights)}]
    assert origin["data_manifest_sha256"] == split.manifest_sha256


def test_every_update_of_a_path_is_one_step_of_adam_and_the_last_ends_at_the_checkpoint(
    moons: Path, weights: Path
) -> None:
    column, _ = path_of(moons, weights)
    values, gradients = (torch.tensor(column[name].reshape(UPDATES, PARAMETERS)) for name in ("value", "gradient"))
    point = values[0].clone().requires_grad_()
    optimizer = torch.optim.Adam([point], lr=0.01)
    for update in range(UPDATES):
        torch.testing.assert_close(point.detach(), values[update])
        point.grad = gradients[update]
        optimizer.step()
    stored = load_file(weights)
    end = torch.cat(
        [stored[name].reshape(-1) for name, _ in build_network(Network.model_validate(MLP), (2,), 2).named_parameters()]
    )
    torch.testing.assert_close(point.detach(), end)


def test_only_every_nth_update_is_recorded(moons: Path, weights: Path) -> None:
    whole, _ = path_of(moons, weights)
    some, _ = path_of(moons, weights, every=4)
    assert sorted(set(some["update"].tolist())) == [0, 4]
    kept = whole["update"] % 4 == 0
    for name, values in whole.items():
        assert some[name].tolist() == values[kept].tolist()


@pytest.mark.parametrize("difference", [1e-3, float("nan")])
def test_the_path_of_another_model_than_the_checkpoint_is_refused(
    moons: Path, weights: Path, tmp_path: Path, difference: float
) -> None:
    stored = load_file(weights)
    name = next(iter(stored))
    stored[name].view(-1)[0] += difference
    other = tmp_path / "other" / "weights.safetensors"
    other.parent.mkdir()
    save_file(stored, other)
    with pytest.raises(UserError, match=f"model m, seed 5: trained anew, it does not end at {other}: {name} differ"):
        path_of(moons, other)
    assert not (other.parent / "path").exists()


def test_a_checkpoint_of_another_seed_is_refused(moons: Path, tmp_path: Path) -> None:
    other = trained(tmp_path, moons, TRAINING, seed=SEED + 1)
    with pytest.raises(UserError, match="does not end at"):
        path_of(moons, other)


def test_a_training_with_augmented_images_is_repeated_to_the_same_bits(digits: Path, tmp_path: Path) -> None:
    training = {
        **TRAINING,
        "network": {"architecture": "lenet5"},
        "augmentation": {"name": "crop_and_flip", "padding": 2},
        "epochs": 1,
    }
    column, _ = path_of(digits, trained(tmp_path, digits, training), training=training)
    assert len(set(column["update"].tolist())) == 3  # 40 images in batches of 16
