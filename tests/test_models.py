"""Architectures and checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from robustrepro.errors import UserError
from robustrepro.models.build import build_model, load_model

MLP = {"name": "mlp", "hidden": [16, 16, 16, 16]}
LENET = {"name": "lenet5"}


def weights_of(model: nn.Module) -> list[list[float]]:
    return [parameter.flatten().tolist() for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("architecture", "shape", "classes", "parameters"),
    [(MLP, (2,), 2, 898), (LENET, (1, 28, 28), 10, 61_706), (LENET, (3, 32, 32), 10, 62_006)],
)
def test_networks_have_the_papers_number_of_parameters(
    architecture: dict[str, object], shape: tuple[int, ...], classes: int, parameters: int
) -> None:
    model = build_model(architecture, shape, classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert model(torch.zeros(5, *shape)).shape == (5, classes)


def test_the_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(1)
    first = weights_of(build_model(MLP, (2,), 2, seed=4))
    torch.manual_seed(2)
    assert weights_of(build_model(MLP, (2,), 2, seed=4)) == first
    assert weights_of(build_model(MLP, (2,), 2, seed=5)) != first


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    build_model(LENET, (1, 28, 28), 10, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_lenet_pads_small_images_so_that_both_sizes_meet_the_same_classifier() -> None:
    small, large = build_model(LENET, (1, 28, 28), 10), build_model(LENET, (1, 32, 32), 10)
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    torch.testing.assert_close(small(images), large(padded))


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(UserError, match="lenet5: LeNet-5 takes images of 28x28 or 32x32, not 20x20"):
        build_model(LENET, (1, 20, 20), 10)


def test_a_checkpoint_gives_the_same_logits_in_evaluation_mode(tmp_path: Path) -> None:
    model = build_model(LENET, (1, 28, 28), 10, seed=7)
    path = tmp_path / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    loaded = load_model(path, LENET, (1, 28, 28), 10)
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert not loaded.training
    assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize("kept", [0, 4, 0.5], ids=["empty", "only a few bytes", "cut in the middle"])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(build_model(MLP, (2,), 2).state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(UserError, match="unreadable or truncated") as caught:
        load_model(path, MLP, (2,), 2)
    assert str(path) in str(caught.value)
    assert f"Delete the folder {tmp_path}" in str(caught.value)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such checkpoint") as caught:
        load_model(tmp_path / "weights.safetensors", MLP, (2,), 2)
    assert str(tmp_path / "weights.safetensors") in str(caught.value)


@pytest.mark.parametrize("other", [{"name": "mlp", "hidden": [16, 16]}, {"name": "mlp", "hidden": [17, 16, 16, 16]}])
def test_a_checkpoint_of_another_architecture_is_named(tmp_path: Path, other: dict[str, object]) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(build_model(other, (2,), 2).state_dict(), path)
    with pytest.raises(UserError, match="does not fit the architecture mlp") as caught:
        load_model(path, MLP, (2,), 2)
    assert str(path) in str(caught.value)
