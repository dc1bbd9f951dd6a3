"""Differentiable copies of a model: which layers let no gradient pass, and what a copy keeps of its model."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attack_cases import Scaled, random_case
from hidden_models import LINES, Detached, InALine, InNumpy, Quantisation, WithChild, images, network, sine
from torch import Tensor, nn

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.losses import classification_margin, margin
from robustrepro.audits.copies import averaged_copy, differentiable_copies, opaque_layers
from robustrepro.audits.functions import Replaced, Replacement, suspects_of
from robustrepro.spec.attacks import Norm

NAMES = ["rescaled", "straight-through", "left-out", "smoothed"]


def copies_of(model: nn.Module) -> dict[str, nn.Module]:
    return differentiable_copies(model, images(), labels_of(model))


def labels_of(model: nn.Module) -> Tensor:
    with torch.no_grad():
        return model(images()).argmax(1)


def gradient_of(model: nn.Module, labels: Tensor) -> Tensor:
    return input_gradient(model, images(), labels, margin)[1]


@pytest.mark.parametrize("hidden", LINES)
def test_whatever_hides_a_gradient_in_a_line_of_forward_a_copy_has_one(hidden: str) -> None:
    model = InALine(LINES[hidden])
    labels, copies = labels_of(model), copies_of(model)
    assert list(copies) == NAMES
    honest = gradient_of(model.network, labels).flatten(1)
    for name in ("straight-through", "left-out"):
        found = gradient_of(copies[name], labels).flatten(1)
        assert found.any(1).double().mean() > 0.9
        assert torch.cosine_similarity(found, honest).median() > 0.2
    with torch.no_grad():
        assert torch.equal(copies["straight-through"](images()).argmax(1), labels)


@pytest.mark.parametrize(
    "layer", [Quantisation(), Detached(), InNumpy(), WithChild()], ids=lambda each: type(each).__name__
)
def test_whatever_layer_hides_a_gradient_a_copy_has_one(layer: nn.Module) -> None:
    twice = nn.Sequential(layer, layer)
    for model in (network(layer), network(nn.Sequential(nn.Identity(), layer)), network(twice)):
        labels, copies = labels_of(model), copies_of(model)
        assert not gradient_of(model, labels).any()
        for name in ("straight-through", "left-out"):
            assert gradient_of(copies[name], labels).flatten(1).any(1).all()
        with torch.no_grad():
            assert torch.equal(copies["straight-through"](images()).argmax(1), labels)


def test_a_copy_that_leaves_a_function_out_has_the_values_from_before_it() -> None:
    model = InALine(LINES["rounded logits"])
    copied = Replaced(model, suspects_of(model, images()), Replacement.LEFT_OUT)
    torch.testing.assert_close(copied(images()), 4 * model.network(images()))


def test_a_smoothed_copy_has_the_slope_of_a_staircase_seen_from_afar() -> None:
    model = InALine(lambda _network, inputs: (100 * inputs.flatten(1)[:, :3]).round())
    copied = Replaced(model, suspects_of(model, images()), Replacement.SMOOTHED)
    inputs = images().requires_grad_(True)
    (gradient,) = torch.autograd.grad(copied(inputs).sum(), inputs)
    assert gradient.flatten(1)[:, :3].mean() == pytest.approx(100, rel=0.02)
    assert not gradient.flatten(1)[:, 3:].any()


def test_a_sine_of_a_tiny_wavelength_is_replaced_by_what_it_does_on_the_whole() -> None:
    model = InALine(sine)
    labels, copies = labels_of(model), copies_of(model)
    assert [suspect.name for suspect in suspects_of(model, images()).suspects] == ["sin"]
    assert list(copies) == NAMES
    honest = gradient_of(model.network, labels).flatten(1)
    assert torch.cosine_similarity(gradient_of(model, labels).flatten(1), honest).median() < 0.3
    for name in NAMES[1:]:
        assert torch.cosine_similarity(gradient_of(copies[name], labels).flatten(1), honest).median() > 0.6


@pytest.mark.parametrize(
    "hides",
    [
        lambda network, inputs: network(torch.linspace(0, 1, 17)[(inputs * 16).round().long().clamp(0, 16)]),
        lambda network, inputs: network(torch.linspace(0, 1, 17)[(inputs.detach() * 16).round().clamp(0, 16).long()]),
        lambda network, inputs: network((inputs * 16).round().clamp(0, 16) / 16),
        lambda network, inputs: network(inputs.clamp(0, 1)),
    ],
    ids=["rows of a table", "detached", "rounded", "clamped"],
)
def test_where_pixels_are_black_or_white_a_clamp_hides_no_gradient_of_a_copy(
    hides: Callable[[nn.Module, Tensor], Tensor],
) -> None:
    model, inputs = InALine(hides), ((images() - 0.5) * 2 + 0.5).clamp(0, 1)  # half of the pixels are at an end
    with torch.no_grad():
        labels = model(inputs).argmax(1)
    _, honest = input_gradient(model.network, inputs, labels, margin)
    for name in ("straight-through", "left-out"):
        _, found = input_gradient(differentiable_copies(model, inputs, labels)[name], inputs, labels, margin)
        assert torch.cosine_similarity(found.flatten(1), honest.flatten(1)).median() > 0.9


def test_a_sine_that_a_step_can_follow_is_left_alone() -> None:
    assert not suspects_of(InALine(lambda network, inputs: network(inputs + 0.1 * torch.sin(3 * inputs))), images())


def test_an_averaged_copy_has_the_gradient_that_a_neighbourhood_has_in_common() -> None:
    model = InALine(sine)
    labels = labels_of(model)
    honest = gradient_of(model.network, labels).flatten(1)
    averaged = averaged_copy(model, images(), labels, "linf", 0.1)
    found = gradient_of(averaged, labels).flatten(1)
    assert torch.cosine_similarity(found, honest).median() > 0.4
    # The same points each time, whatever else is in the batch.
    torch.testing.assert_close(averaged(images()[3:5]), averaged(images())[3:5])
    assert not torch.equal(averaged(images() + 1e-3), averaged(images()))


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
def test_an_averaged_copy_of_a_straight_line_is_the_line(norm: Norm) -> None:
    line = nn.Sequential(nn.Flatten(), nn.Linear(images()[0].numel(), 4)).eval()
    with torch.no_grad():
        logits = line(images())
        averaged = averaged_copy(line, images(), logits.argmax(1), norm, 0.5)(images())
    shares = averaged / logits
    torch.testing.assert_close(shares, shares.median().expand_as(shares), rtol=1e-3, atol=1e-3)


def test_an_honest_network_has_nothing_to_replace() -> None:
    assert opaque_layers(network(), images()) == []
    assert not suspects_of(network(), images())
    assert list(copies_of(network())) == ["rescaled"]


def test_only_what_leaves_pytorch_is_found_layer_by_layer() -> None:
    # The function inside the others is found by itself, wherever it is called.
    assert opaque_layers(network(Quantisation()), images()) == []
    assert opaque_layers(network(nn.Sequential(nn.Identity(), Opaque())), images()) == ["0.1"]


class Opaque(nn.Module):
    """A layer whose values leave PyTorch one by one."""

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.tensor([float(value) for value in inputs.detach().flatten()]).reshape(inputs.shape)


class ManyKinds(nn.Module):
    """A network of layers with two inputs, named ones, several outputs, and whole numbers for inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.pairs, self.words = nn.Bilinear(8, 8, 8), nn.Embedding(9, 8)
        self.memory, self.last = nn.GRU(8, 5, batch_first=True), nn.Linear(5, 3)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs[:, 0]
        mixed = self.pairs(rows, rows) + self.words((rows[:, :, 0] * 8).long())
        attended, _ = self.attention(query=mixed, key=mixed, value=mixed)
        states, _ = self.memory(input=attended)
        return self.last(states[:, -1])


def test_layers_of_every_kind_are_left_alone() -> None:
    model = ManyKinds().eval()
    assert "rescaled" in copies_of(model)
    assert opaque_layers(model, images()) == []


def test_looking_for_what_hides_leaves_the_model_as_it_is() -> None:
    model = network(InNumpy(), Quantisation())
    before, apply = model(images()), torch.autograd.Function.__dict__["apply"]
    from_numpy = torch.from_numpy
    copies_of(model)
    assert torch.equal(model(images()), before)
    assert not any(module._forward_hooks for module in model.modules())
    assert all(weight.grad is None and weight.requires_grad for weight in model.parameters())
    assert (torch.autograd.Function.__dict__["apply"], torch.from_numpy) == (apply, from_numpy)


def test_a_rescaled_copy_predicts_the_same_with_a_median_margin_of_one() -> None:
    model, inputs, labels = random_case(40)
    model = nn.Sequential(model, Scaled(1000)).eval()
    with torch.no_grad():
        labels = model(inputs).argmax(1)
        copies = differentiable_copies(model, inputs, labels)
        logits = copies["rescaled"](inputs)
    assert list(copies) == ["rescaled"]
    assert torch.equal(logits.argmax(1), labels)
    assert classification_margin(logits, labels).abs().median() == pytest.approx(1)
    assert not copies["rescaled"].training
