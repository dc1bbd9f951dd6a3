"""Differentiable copies of a model: which layers let no gradient pass, and what a copy keeps of its model."""

from __future__ import annotations

import pytest
import torch
from attack_cases import Scaled, random_case
from torch import Tensor, nn

from robustrepro.attacks.ascent import input_gradient
from robustrepro.attacks.losses import classification_margin
from robustrepro.audit.copies import StraightThrough, differentiable_copies, opaque_layers
from robustrepro.losses import cross_entropy


class Quantisation(nn.Module):
    """Pixels rounded to eight levels."""

    def forward(self, inputs: Tensor) -> Tensor:
        return (inputs * 7).round() / 7


class Detached(nn.Module):
    """Values handed on without their history."""

    def forward(self, inputs: Tensor) -> Tensor:
        return 2 * inputs.detach()


def network(*first: nn.Module) -> nn.Module:
    """Return a network with layers of many kinds behind the first ones, in evaluation mode."""
    torch.manual_seed(0)
    rest = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Flatten()]
    return nn.Sequential(*first, nn.Sequential(*rest), nn.Linear(144, 3)).eval()


def images(count: int = 6) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("opaque", [Quantisation(), Detached()], ids=["quantisation", "detached"])
def test_a_layer_that_lets_no_gradient_pass_is_found_wherever_it_is(opaque: nn.Module) -> None:
    assert opaque_layers(network(opaque), images()) == ["0"]
    within = network()
    within.get_submodule("0").append(nn.Sequential(nn.Identity(), opaque))
    assert opaque_layers(within, images()) == ["0.5.1"]


def test_a_layer_that_changes_the_shape_is_left_alone_though_no_gradient_passes() -> None:
    class Thinned(Quantisation):
        def forward(self, inputs: Tensor) -> Tensor:
            return super().forward(inputs)[:, :, ::2, ::2]

    model = nn.Sequential(Thinned(), nn.Flatten(), nn.Linear(16, 3)).eval()
    assert opaque_layers(model, images()) == []


def test_rectifiers_dropout_and_batch_norm_let_gradients_pass() -> None:
    assert opaque_layers(network(), images()) == []


def test_looking_for_such_layers_leaves_the_model_as_it_is() -> None:
    model = network(Quantisation())
    before = model(images())
    opaque_layers(model, images())
    assert torch.equal(model(images()), before)
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(weight.grad is None for weight in model.parameters())


def test_straight_through_keeps_the_value_and_takes_the_identitys_derivative() -> None:
    inputs = images().requires_grad_(True)
    output = StraightThrough(Quantisation())(inputs)
    torch.testing.assert_close(output, Quantisation()(inputs))
    weights = torch.rand_like(output)
    (gradient,) = torch.autograd.grad((weights * output).sum(), inputs)
    assert torch.equal(gradient, weights)


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


def test_the_copy_through_a_quantisation_has_a_gradient_where_the_model_has_none() -> None:
    model = network(Quantisation())
    with torch.no_grad():
        labels = model(images()).argmax(1)
        copy = differentiable_copies(model, images(), labels)["straight-through"]
        assert torch.equal(copy(images()).argmax(1), labels)
    _, none = input_gradient(model, images(), labels, cross_entropy)
    _, found = input_gradient(copy, images(), labels, cross_entropy)
    assert not none.any()
    assert found.flatten(1).any(1).all()
    assert isinstance(model[0], Quantisation)  # the model itself is not changed
