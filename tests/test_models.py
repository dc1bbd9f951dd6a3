"""Architectures and checkpoints."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from torch import nn

from robustrepro.errors import UserError
from robustrepro.models.build import build_network, load_network
from robustrepro.spec.config import merged
from robustrepro.spec.networks import Network


def network(architecture: dict[str, Any] | str) -> Network:
    return Network.model_validate({"architecture": architecture})


MLP = network({"name": "mlp", "hidden": [16, 16, 16, 16]})
LENET = network("lenet5")
CONVNET = network({"name": "convnet", "channels": [48, 96, 192]})
POOLED = network({"name": "pooled_convnet", "channels": [32, 64], "kernel": 5, "pools": [3, 2], "hidden": [200]})
STRIDED = network({"name": "strided_convnet", "channels": [16, 32], "kernel": 5, "stride": 2, "hidden": [100]})
BLOCKS = network({"name": "block_convnet", "channels": [32, 96, 128], "hidden": [64]})
AVERAGED = network({"name": "averaged_convnet", "channels": [96, 96, 192, 192], "strides": [1, 2, 1, 2]})
VGG = network("vgg")
RESNET = network("resnet50")
CARLINI = network("carlini_wagner")
PREACT = network("preact_resnet18")
ALEXNET = network("cifar_alexnet")
VERIFIABLE = network({"name": "strided_convnet", "channels": [16, 32], "kernel": 4, "stride": 2, "hidden": [128]})
COLOUR = (3, 32, 32)


def weights_of(model: nn.Module) -> list[list[float]]:
    return [parameter.flatten().tolist() for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("declared", "shape", "classes", "parameters"),
    [
        (MLP, (2,), 2, 898),
        (LENET, (1, 28, 28), 10, 61_706),
        (LENET, (3, 32, 32), 10, 62_006),
        (CONVNET, (1, 28, 28), 10, 238_858),
        (CONVNET, (3, 32, 32), 10, 239_722),
        (POOLED, (1, 32, 32), 10, 105_506),
        (STRIDED, (1, 28, 28), 10, 171_158),
        (AVERAGED, (3, 32, 32), 10, 601_066),
        (VGG, (3, 32, 32), 10, 14_991_946),
        (CARLINI, (1, 28, 28), 10, 312_202),
        (PREACT, (3, 32, 32), 10, 11_171_274),
        (ALEXNET, (3, 32, 32), 10, 23_272_266),
        (VERIFIABLE, (3, 32, 32), 10, 272_570),
    ],
)
def test_networks_have_the_number_of_parameters_that_they_state(
    declared: Network, shape: tuple[int, ...], classes: int, parameters: int
) -> None:
    model = build_network(declared, shape, classes)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert model(torch.zeros(5, *shape)).shape == (5, classes)


@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_narrow_residual_network_has_the_gradients_of_strided_shortcuts(width: int) -> None:
    # Their own backward pass writes beyond its memory on some processors, in channels-last memory.
    declared = network({"name": "preact_resnet18", "width": width})
    images, gradients = torch.rand(8, *COLOUR), []
    for dtype, memory_format in ((torch.float32, torch.channels_last), (torch.float64, torch.contiguous_format)):
        model = build_network(declared, COLOUR, 10).train().to(dtype=dtype, memory_format=memory_format)
        if dtype == torch.float64:
            for block in model.blocks:
                block.shortcut.stride, block.stride = (block.stride, block.stride), 1
        model(images.to(dtype=dtype, memory_format=memory_format)).square().sum().backward()
        gradients.append(torch.cat([parameter.grad.double().flatten() for parameter in model.parameters()]))
    narrow, strided = gradients
    assert (narrow - strided).norm() <= 1e-2 * strided.norm()


def test_the_seed_alone_decides_the_weights() -> None:
    torch.manual_seed(1)
    first = weights_of(build_network(MLP, (2,), 2, seed=4))
    torch.manual_seed(2)
    assert weights_of(build_network(MLP, (2,), 2, seed=4)) == first
    assert weights_of(build_network(MLP, (2,), 2, seed=5)) != first


def test_building_leaves_the_global_random_state_alone() -> None:
    before = torch.get_rng_state()
    build_network(LENET, (1, 28, 28), 10, seed=3)
    assert torch.equal(torch.get_rng_state(), before)


def test_lenet_pads_small_images_so_that_both_sizes_meet_the_same_classifier() -> None:
    small, large = build_network(LENET, (1, 28, 28), 10), build_network(LENET, (1, 32, 32), 10)
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    padded = nn.functional.pad(images, (2, 2, 2, 2))
    torch.testing.assert_close(small(images), large(padded))


@pytest.mark.parametrize("channels", [1, 3])
def test_lenet_is_the_plain_network_with_six_and_sixteen_channels(channels: int) -> None:
    model = build_network(LENET, (channels, 28, 28), 10, seed=1)
    plain = nn.Sequential(
        nn.Conv2d(channels, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )
    for parameter, value in zip(plain.parameters(), model.parameters(), strict=True):
        parameter.data.copy_(value)
    images = torch.rand(7, channels, 28, 28, generator=torch.Generator().manual_seed(0)).requires_grad_()
    logits, expected = model(images), plain(images)
    torch.testing.assert_close(logits, expected)
    for layer, depth in ((0, 6), (3, 16)):
        assert model.get_submodule("features")[: layer + 1](images).shape[1] == depth
    found = torch.autograd.grad(logits.square().sum(), [images, *model.parameters()])
    torch.testing.assert_close(found, torch.autograd.grad(expected.square().sum(), [images, *plain.parameters()]))


def test_images_of_another_size_are_refused() -> None:
    with pytest.raises(UserError, match="lenet5: LeNet-5 takes images of 28x28 or 32x32, not 20x20"):
        build_network(LENET, (1, 20, 20), 10)


def test_the_pooled_network_is_the_plain_one_with_three_by_three_and_two_by_two_pooling() -> None:
    model = build_network(POOLED, (1, 32, 32), 10, seed=1)
    plain = nn.Sequential(
        nn.Conv2d(1, 32, 5),
        nn.ReLU(),
        nn.MaxPool2d(3),
        nn.Conv2d(32, 64, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(256, 200),
        nn.ReLU(),
        nn.Linear(200, 10),
    )
    for parameter, value in zip(plain.parameters(), model.parameters(), strict=True):
        parameter.data.copy_(value)
    images = torch.rand(7, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model(images), plain(images))


def test_a_pooled_network_that_leaves_nothing_of_an_image_is_refused() -> None:
    with pytest.raises(UserError, match=r"pooled_convnet: nothing is left of images of 14x14 after 2 convolution\(s\)"):
        build_network(POOLED, (1, 14, 14), 10)


def test_every_convolution_has_its_pooling() -> None:
    with pytest.raises(ValidationError, match="pools has 1 numbers, channels 2; expected as many"):
        network({"name": "pooled_convnet", "channels": [32, 64], "kernel": 5, "pools": [3], "hidden": [200]})


@pytest.mark.parametrize(("kernel", "side"), [(5, 7), (4, 7), (3, 7)])
def test_strides_of_two_halve_an_image_for_kernels_of_every_size(kernel: int, side: int) -> None:
    strided = {"name": "strided_convnet", "channels": [16, 32], "kernel": kernel, "stride": 2, "hidden": [100]}
    features = build_network(network(strided), (1, 28, 28), 10).get_submodule("features")
    assert features(torch.zeros(2, 1, 28, 28)).shape == (2, 32, side, side)


def test_a_strided_network_that_leaves_nothing_of_an_image_is_refused() -> None:
    long = network({"name": "strided_convnet", "channels": [2] * 3, "kernel": 4, "stride": 2, "hidden": []})
    with pytest.raises(UserError, match=r"strided_convnet: nothing is left of images of 4x4 after 3 convolution\(s\)"):
        build_network(long, (1, 4, 4), 10)


def test_the_logits_of_an_averaged_network_are_the_means_of_its_last_maps() -> None:
    model = build_network(AVERAGED, COLOUR, 10, seed=1)
    images = torch.rand(2, *COLOUR, generator=torch.Generator().manual_seed(0))
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    values = images
    for number, layer in enumerate(convolutions):
        values = nn.functional.conv2d(values, layer.weight, layer.bias, (1, 2, 1, 2, 1)[number], padding=1)
        values = values.relu() if number < 4 else values
    assert len(convolutions) == 5
    assert values.shape == (2, 10, 8, 8)
    torch.testing.assert_close(model(images), values.mean((2, 3)))


def test_every_convolution_but_the_last_has_its_stride() -> None:
    with pytest.raises(ValidationError, match="strides has 1 numbers, channels 2; expected as many"):
        network({"name": "averaged_convnet", "channels": [8, 8], "strides": [2]})


def test_the_features_that_are_compared_are_five_maps_behind_relus() -> None:
    model = build_network(ALEXNET, COLOUR, 10, seed=1).eval()
    maps = torch.rand(2, *COLOUR)
    seen = {}
    for name, layer in model.get_submodule("features").named_children():
        maps = layer(maps)
        seen[int(name)] = tuple(maps.shape[1:])
    rectified = [seen[number] for number in (1, 4, 7, 9, 11)]
    assert rectified == [(64, 16, 16), (192, 8, 8), (384, 4, 4), (256, 4, 4), (256, 4, 4)]
    assert all(isinstance(model.get_submodule(f"features.{number}"), nn.ReLU) for number in (1, 4, 7, 9, 11))
    assert maps.shape[1:] == (256, 2, 2)


def test_images_of_which_pooling_leaves_nothing_are_refused_by_alexnet() -> None:
    with pytest.raises(
        UserError, match="nothing is left of images of 14x14 after three poolings; expected 15x15 or more"
    ):
        build_network(ALEXNET, (3, 14, 14), 10)


def test_a_block_network_pools_between_its_two_convolutions_and_ends_in_a_value_per_filter() -> None:
    model = build_network(BLOCKS, COLOUR, 10, seed=1).eval()
    features = model.get_submodule("features")
    assert features(torch.rand(2, *COLOUR)).shape == (2, 128, 1, 1)
    names = [type(layer).__name__ for layer in features.children()]
    block = ["Conv2d", "MaxPool2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU"]
    assert names == ["Conv2d", "ReLU", *3 * block, "AdaptiveMaxPool2d"]
    linear = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == [(128, 64), (64, 10)]
    images = torch.rand(2, *COLOUR)
    torch.testing.assert_close(model(images), model.get_submodule("classifier")(features(images)) / 4)


def test_images_too_small_for_their_blocks_are_refused() -> None:
    with pytest.raises(UserError, match=r"nothing is left of images of 8x8 after 3 block\(s\)"):
        build_network(BLOCKS, (1, 8, 8), 10)


def test_vgg_has_thirteen_normalised_convolutions_with_dropout_between_those_of_a_group() -> None:
    model = build_network(VGG, COLOUR, 10, seed=1)
    layers = list(model.get_submodule("features").children())
    convolutions = [layer for layer in layers if isinstance(layer, nn.Conv2d)]
    groups = "".join(
        "P" if isinstance(layer, nn.MaxPool2d) else "C"
        for layer in layers
        if layer in convolutions or isinstance(layer, nn.MaxPool2d)
    )
    assert groups == "CCPCCPCCCPCCCPCCCP"
    assert [layer.out_channels for layer in convolutions] == [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    assert [layer.p for layer in layers if isinstance(layer, nn.Dropout)] == [0.3] + [0.4] * 7
    for place, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            assert isinstance(layers[place + 1], nn.BatchNorm2d)
            assert isinstance(layers[place + 2], nn.ReLU)
            assert layer.bias.eq(0).all()
            assert layer.weight.std().item() == pytest.approx((2 / (9 * layer.out_channels)) ** 0.5, rel=0.05)
    assert [layer.p for layer in model.get_submodule("classifier").children() if isinstance(layer, nn.Dropout)] == [
        0.5
    ] * 2


def test_a_narrow_vgg_rounds_sizes_up() -> None:
    narrow = network({"name": "vgg", "channels": [4, 4, 8, 8, 8]})
    assert build_network(narrow, (3, 20, 20), 10)(torch.zeros(2, 3, 20, 20)).shape == (2, 10)


def test_the_groups_of_a_vgg_have_as_many_convolutions_as_declared() -> None:
    declared = network({"name": "vgg", "channels": [2, 2, 4, 4, 6], "convolutions": [1, 2, 1, 1, 1]})
    convolutions = [
        layer for layer in build_network(declared, (3, 32, 32), 10).modules() if isinstance(layer, nn.Conv2d)
    ]
    assert [layer.out_channels for layer in convolutions] == [2, 2, 2, 4, 4, 6]


@pytest.mark.parametrize("declared", [CONVNET, POOLED, VGG, RESNET], ids=["convnet", "pooled", "vgg", "resnet50"])
def test_points_are_refused_where_images_are_expected(declared: Network) -> None:
    with pytest.raises(UserError, match=rf"{declared.architecture.name}: .* takes images .*, not \(2,\)"):
        build_network(declared, (2,), 2)


@pytest.mark.parametrize("size", [28, 32])
def test_each_convolution_of_the_convnet_halves_the_image(size: int) -> None:
    model = build_network(CONVNET, (1, size, size), 10)
    sizes = []
    values = torch.zeros(1, 1, size, size)
    for layer in model.get_submodule("features").children():
        values = layer(values)
        if isinstance(layer, nn.Conv2d):
            sizes.append(values.shape[-1])
    assert sizes == [size // 2, size // 4, 4]


def test_a_convolutional_network_without_channels_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        network({"name": "convnet", "channels": []})
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        network({"name": "convnet", "channels": [32, 0]})


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    """Return a ResNet-50 whose batch norms have seen a batch."""
    model = build_network(RESNET, COLOUR, 10, seed=1)
    with torch.no_grad():
        model(some_images(4))
    return model.eval()


def some_images(count: int) -> torch.Tensor:
    return torch.rand(count, *COLOUR, generator=torch.Generator().manual_seed(count))


def test_resnet_50_has_the_parameters_of_its_form_for_small_images(resnet: nn.Module) -> None:
    assert sum(parameter.numel() for parameter in resnet.parameters()) == 23_520_842


def test_the_stem_of_resnet_50_keeps_the_resolution(resnet: nn.Module) -> None:
    sizes: dict[str, torch.Size] = {}
    handles = [
        resnet.get_submodule(f"network.layer{number}").register_forward_hook(
            lambda _layer, _inputs, outputs, number=number: sizes.update({number: outputs.shape[1:]})
        )
        for number in (1, 4)
    ]
    logits = resnet(some_images(1))
    for handle in handles:
        handle.remove()
    assert sizes == {1: (256, 32, 32), 4: (2048, 4, 4)}
    assert logits.shape == (1, 10)


def test_the_stem_of_resnet_50_is_initialised_as_the_rest_of_it(resnet: nn.Module) -> None:
    for name, outputs_seen in (("conv1", 64 * 9), ("layer1.0.conv2", 64 * 9), ("layer4.0.conv2", 512 * 9)):
        weight = resnet.get_parameter(f"network.{name}.weight")
        assert weight.std().item() == pytest.approx((2 / outputs_seen) ** 0.5, rel=0.1)


def test_a_checkpoint_of_resnet_50_brings_back_weights_and_batch_norms(resnet: nn.Module, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in resnet.state_dict().items()}, path)
    loaded = load_network(path, RESNET, COLOUR, 10)
    assert not loaded.training
    assert loaded.get_buffer("network.bn1.num_batches_tracked").item() == 1
    assert loaded.get_buffer("network.bn1.num_batches_tracked").dtype == torch.int64
    assert torch.equal(loaded(some_images(2)), resnet(some_images(2)))


def test_resnet_50_in_evaluation_sees_every_image_by_itself_in_double_precision(resnet: nn.Module) -> None:
    model = copy.deepcopy(resnet).double()
    images = some_images(3).double()
    together = model(images)
    assert together.dtype == torch.float64
    torch.testing.assert_close(together[[1]], model(images[[1]]), rtol=1e-9, atol=1e-9)


def test_a_checkpoint_gives_the_same_logits_in_evaluation_mode(tmp_path: Path) -> None:
    model = build_network(LENET, (1, 28, 28), 10, seed=7)
    path = tmp_path / "weights.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, path)
    loaded = load_network(path, LENET, (1, 28, 28), 10)
    images = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert not loaded.training
    assert torch.equal(loaded(images), model(images))


@pytest.mark.parametrize("kept", [0, 4, 0.5], ids=["empty", "only a few bytes", "cut in the middle"])
def test_a_truncated_checkpoint_is_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(build_network(MLP, (2,), 2).state_dict(), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept) if isinstance(kept, float) else kept])
    with pytest.raises(UserError, match="unreadable or truncated") as caught:
        load_network(path, MLP, (2,), 2)
    assert str(path) in str(caught.value)
    assert f"Delete the folder {tmp_path}" in str(caught.value)


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such checkpoint") as caught:
        load_network(tmp_path / "weights.safetensors", MLP, (2,), 2)
    assert str(tmp_path / "weights.safetensors") in str(caught.value)


@pytest.mark.parametrize("other", [[16, 16], [17, 16, 16, 16]])
def test_a_checkpoint_of_another_architecture_is_named(tmp_path: Path, other: list[int]) -> None:
    path = tmp_path / "weights.safetensors"
    save_file(build_network(network({"name": "mlp", "hidden": other}), (2,), 2).state_dict(), path)
    with pytest.raises(UserError, match="does not fit the architecture mlp") as caught:
        load_network(path, MLP, (2,), 2)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("declared", "shape"), [(MLP, (2,)), (LENET, (1, 28, 28)), (CONVNET, COLOUR), (RESNET, COLOUR)], ids=str
)
def test_no_relu_overwrites_what_it_was_given(declared: Network, shape: tuple[int, ...]) -> None:
    # Regularisers, verifiers and hooks read pre-activations.
    model = build_network(declared, shape, 10).eval()
    before: list[torch.Tensor] = []
    after: list[torch.Tensor] = []
    layers = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    assert layers
    for layer in layers:
        layer.register_forward_pre_hook(lambda _layer, inputs: before.append(inputs[0].clone()))
        layer.register_forward_hook(lambda _layer, inputs, _outputs: after.append(inputs[0].clone()))
    model(torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)))
    assert any((tensor < 0).any() for tensor in before)
    assert all(torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_a_bare_name_is_short_for_an_architecture_without_options() -> None:
    assert network("lenet5") == network({"name": "lenet5"})
    with pytest.raises(ValidationError, match="hidden"):
        network("mlp")
    with pytest.raises(ValidationError, match="'lenet5', 'mlp'"):
        network("lenet")


@pytest.mark.parametrize("below", ["lenet5", {"name": "lenet5"}, {"name": "mlp", "hidden": [16, 16]}])
@pytest.mark.parametrize("above", ["resnet50", {"name": "convnet", "channels": [8]}])
def test_a_scale_replaces_an_architecture_whole_in_either_form(below: Any, above: Any) -> None:
    base = {"network": {"architecture": below}, "epochs": 3}
    replaced = merged(base, {"network": {"architecture": above}})
    assert Network.model_validate(replaced["network"]) == network(above)


def test_options_of_the_same_architecture_are_replaced_one_by_one() -> None:
    base = {"network": {"architecture": {"name": "mlp", "hidden": [16, 16]}}}
    replaced = merged(base, {"network": {"architecture": {"hidden": [8]}}})
    assert Network.model_validate(replaced["network"]) == network({"name": "mlp", "hidden": [8]})
