"""Preprocessing as part of the network: inputs stay in [0, 1]."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.models.build import build_network, load_network
from robustrepro.models.preprocessed import Preprocessed
from robustrepro.spec.networks import Network

COLOUR = (3, 32, 32)
CONVNET: dict[str, Any] = {"name": "convnet", "channels": [4]}


def network(*preprocessing: dict[str, Any], architecture: Any = CONVNET) -> Network:
    return Network.model_validate({"architecture": architecture, "preprocessing": list(preprocessing)})


def images(count: int, shape: tuple[int, ...] = COLOUR) -> Tensor:
    return torch.rand(count, *shape, generator=torch.Generator().manual_seed(count))


def behind(step: dict[str, Any], inputs: Tensor) -> Tensor:
    """Return what an architecture sees of inputs behind one step of preprocessing, in evaluation mode."""
    model = build_network(network(step, architecture={"name": "mlp", "hidden": [2]}), tuple(inputs.shape[1:]), 10)
    seen: Tensor = model.eval().get_submodule("preprocessing")(inputs)
    return seen


def test_a_network_without_preprocessing_is_its_architecture_alone() -> None:
    model = build_network(network(), COLOUR, 10)
    assert not isinstance(model, Preprocessed)
    assert list(model.state_dict()) == [
        "features.0.weight",
        "features.0.bias",
        "classifier.1.weight",
        "classifier.1.bias",
    ]


@pytest.mark.parametrize(
    ("mean", "std"), [(0.5, 0.25), ([0.1, 0.2, 0.3], 0.5), ([0.1, 0.2, 0.3], [0.5, "1/3", 2.0]), ("8/255", 1)]
)
@pytest.mark.parametrize("shape", [(3, 4, 5), (3,)], ids=["images", "points"])
def test_inputs_are_standardised_per_channel(mean: Any, std: Any, shape: tuple[int, ...]) -> None:
    inputs = images(2, shape)
    found = behind({"name": "standardise", "mean": mean, "std": std}, inputs)
    for channel in range(3):
        values = [8 / 255 if isinstance(value, str) and "8" in value else value for value in (mean, std)]
        one_mean, one_std = (value[channel] if isinstance(value, list) else value for value in values)
        one_std = 1 / 3 if one_std == "1/3" else one_std
        torch.testing.assert_close(found[:, channel], (inputs[:, channel] - one_mean) / one_std)


@pytest.mark.parametrize(("shape", "size"), [((1, 28, 28), 32), ((2, 5, 4), 7), ((1, 3, 3), 3)])
def test_padding_puts_the_image_in_the_middle_of_zeros(shape: tuple[int, ...], size: int) -> None:
    inputs = images(2, shape)
    found = behind({"name": "pad", "size": size}, inputs)
    assert found.shape == (2, shape[0], size, size)
    top, left = (size - shape[1]) // 2, (size - shape[2]) // 2
    assert torch.equal(found[:, :, top : top + shape[1], left : left + shape[2]], inputs)
    torch.testing.assert_close(found.sum(), inputs.sum())


def test_the_architecture_sees_the_shape_behind_the_padding() -> None:
    padded = build_network(network({"name": "pad", "size": 32}, architecture="lenet5"), (1, 20, 20), 10)
    assert padded(images(3, (1, 20, 20))).shape == (3, 10)


def test_yuv_is_that_of_bt_601() -> None:
    grey = torch.full((1, 3, 2, 2), 0.4)
    torch.testing.assert_close(
        behind({"name": "colour_space", "to": "yuv"}, grey)[0, :, 0, 0], torch.tensor([0.4, 0, 0])
    )
    red, green, blue = images(1, (3, 2, 2))[0]
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    found = behind({"name": "colour_space", "to": "yuv"}, torch.stack([red, green, blue])[None])[0]
    torch.testing.assert_close(found[0], y)
    # By definition U is 0.436 (B − Y) / (1 − 0.114) and V is 0.615 (R − Y) / (1 − 0.299); the factors are rounded.
    torch.testing.assert_close(found[1], 0.436 * (blue - y) / (1 - 0.114), rtol=0, atol=2e-5)
    torch.testing.assert_close(found[2], 0.615 * (red - y) / (1 - 0.299), rtol=0, atol=2e-5)


def test_local_contrast_is_that_of_the_double_loop_over_each_window() -> None:
    image, size, height, width = images(1, (2, 9, 6)).double(), 5, 9, 6
    weights = {offset: math.exp(-((offset / (0.25 * size)) ** 2) / 2) for offset in range(-2, 3)}
    total = sum(weights.values())

    def around(values: Tensor, row: int, column: int) -> tuple[float, float]:
        """Return the weighted sum of the window, and the weights that lie inside the image."""
        inside = [
            (weights[down] * weights[right] / total**2, values[row + down, column + right].item())
            for down in weights
            for right in weights
            if 0 <= row + down < height and 0 <= column + right < width
        ]
        return sum(weight * value for weight, value in inside), sum(weight for weight, _ in inside)

    expected, centred = image[0].clone(), image[0, 1].clone()
    places = [(row, column) for row in range(height) for column in range(width)]
    for row, column in places:
        mean, inside = around(image[0, 1], row, column)
        centred[row, column] -= mean / inside
    for row, column in places:
        square, inside = around(centred.square(), row, column)
        expected[1, row, column] = centred[row, column] / (math.sqrt(square) / inside)
    step = {"name": "local_contrast_normalisation", "channels": [1], "size": size}
    torch.testing.assert_close(behind(step, image.float())[0], expected.float(), rtol=1e-4, atol=1e-5)


def test_local_contrast_does_not_depend_on_brightness_or_contrast_and_is_nothing_where_an_image_is_flat() -> None:
    step = {"name": "local_contrast_normalisation", "channels": [0, 1, 2], "size": 7}
    found = behind(step, images(3))
    torch.testing.assert_close(behind(step, 0.3 * images(3) + 0.2), found, rtol=1e-3, atol=1e-3)
    flat = torch.full((1, *COLOUR), 0.5).requires_grad_()
    seen = behind(step, flat)
    assert seen.abs().max() < 0.5  # units in the last place of a pixel, against the least contrast
    (gradient,) = torch.autograd.grad(seen.square().sum(), flat)
    assert gradient.isfinite().all()


def test_the_input_is_normalised_by_its_batch_in_training_and_by_what_it_has_seen_in_evaluation() -> None:
    model = build_network(network({"name": "input_normalisation"}), COLOUR, 10)
    layer = model.get_submodule("preprocessing.0")
    batch = 0.2 * images(8) + 0.5
    normalised = layer(batch)
    torch.testing.assert_close(normalised.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-4)
    torch.testing.assert_close(normalised.var((0, 2, 3), correction=0), torch.ones(3), rtol=0, atol=5e-3)
    assert not list(layer.parameters())
    layer.eval()
    mean = 0.1 * batch.mean((0, 2, 3))  # PyTorch's momentum of 0.1, from 0
    torch.testing.assert_close(layer.get_buffer("normalisation.running_mean"), mean)
    torch.testing.assert_close(layer(batch)[[3]], layer(batch[[3]]))


def test_steps_are_taken_in_order() -> None:
    standardise, pad = {"name": "standardise", "mean": 0.5, "std": 1.0}, {"name": "pad", "size": 34}
    black_after = build_network(network(standardise, pad), COLOUR, 10).get_submodule("preprocessing")(images(1))
    black_before = build_network(network(pad, standardise), COLOUR, 10).get_submodule("preprocessing")(images(1))
    assert black_after[0, 0, 0, 0] == 0
    assert black_before[0, 0, 0, 0] == -0.5


def test_preprocessing_draws_no_weight_so_that_the_architecture_starts_the_same() -> None:
    plain = build_network(network(), COLOUR, 10, seed=3)
    standardised = build_network(network({"name": "standardise", "mean": 0.5, "std": 0.25}), COLOUR, 10, seed=3)
    expected = {f"architecture.{name}": value for name, value in plain.state_dict().items()}
    found = standardised.state_dict()
    assert found.keys() == expected.keys()  # constants of the declaration are in no checkpoint
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    torch.testing.assert_close(standardised(images(2)), plain((images(2) - 0.5) / 0.25))


def test_a_checkpoint_brings_back_what_the_normalisation_has_seen(tmp_path: Path) -> None:
    declared = network({"name": "input_normalisation"}, {"name": "colour_space", "to": "yuv"})
    model = build_network(declared, COLOUR, 10)
    model(images(8))
    path = tmp_path / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    assert "preprocessing.0.normalisation.running_mean" in load_file(path)
    loaded = load_network(path, declared, COLOUR, 10)
    assert torch.equal(loaded(images(2)), model.eval()(images(2)))


def test_a_preprocessed_network_is_attacked_in_double_precision_as_well() -> None:
    steps = [{"name": "standardise", "mean": 0.5, "std": 0.25}, {"name": "colour_space", "to": "yuv"}]
    model = build_network(network(*steps, {"name": "input_normalisation"}), COLOUR, 10).double().eval()
    inputs = images(2).double().requires_grad_()
    logits = model(inputs)
    assert logits.dtype == torch.float64
    (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(logits, torch.tensor([0, 1])), inputs)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize(
    ("step", "shape", "message"),
    [
        ({"name": "pad", "size": 16}, COLOUR, r"pad: images .* of at most 16x16 are padded, not \(3, 32, 32\)"),
        ({"name": "pad", "size": 16}, (2,), r"pad: images .* not \(2,\)"),
        (
            {"name": "local_contrast_normalisation", "channels": [1], "size": 7},
            (1, 28, 28),
            "local_contrast_normalisation: channel 1 is not one of the 1 of the images",
        ),
        ({"name": "colour_space", "to": "yuv"}, (1, 28, 28), r"colour_space: RGB images .* not \(1, 28, 28\)"),
        ({"name": "standardise", "mean": [0.1, 0.2], "std": 1.0}, COLOUR, "mean has 2 values; .* each of 3 channels"),
        ({"name": "standardise", "mean": 0.1, "std": [1.0, 1.0]}, COLOUR, "std has 2 values; .* each of 3 channels"),
    ],
)
def test_examples_that_a_step_cannot_take_are_refused(
    step: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    with pytest.raises(UserError, match=f"preprocessing {message}" if ":" in message else message):
        build_network(network(step), shape, 10)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ({"name": "standardise", "mean": 0.1, "std": 0}, "greater than 0"),
        ({"name": "standardise", "mean": [], "std": 1.0}, "at least 1 item"),
        ({"name": "standardise", "mean": "dark", "std": 1.0}, "valid number"),
        ({"name": "colour_space", "to": "hsv"}, "'yuv'"),
        ({"name": "local_contrast_normalisation", "channels": [0], "size": 6}, "expected an odd number"),
        ({"name": "local_contrast_normalisation", "channels": [], "size": 7}, "channels"),
        (
            {"name": "whiten"},
            "'standardise', 'pad', 'colour_space', 'local_contrast_normalisation', 'input_normalisation'",
        ),
    ],
)
def test_a_step_that_is_not_declared_in_full_is_refused(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        network(step)
