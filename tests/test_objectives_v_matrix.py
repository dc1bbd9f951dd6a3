"""The V-matrix objective against the triple loop that defines it, and the objectives that it tends to."""

from __future__ import annotations

import math
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from objective_cases import step_of
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.implementations import made
from robustrepro.losses import cross_entropy
from robustrepro.objectives.base import Objective, guarded_roots
from robustrepro.objectives.cem import CrossErrorRisk
from robustrepro.objectives.erm import EmpiricalRisk
from robustrepro.objectives.hrm import HollowRisk
from robustrepro.objectives.v_matrix import VMatrixRisk, modified_cosine, pair_weights, squared_distances, weighted_risk
from robustrepro.spec.objectives import Kernel
from robustrepro.spec.training import TrainingSpec

GUARD = 1e-8
IDENTITY: dict[str, Any] = {"name": "identity"}
EVERY_KERNEL: list[dict[str, Any]] = [
    IDENTITY,
    {"name": "rbf", "gamma": 0.3},
    {"name": "hyper_laplacian", "alpha": 0.7, "p": 0.5},
    {"name": "modified_cosine"},
]
every_kernel = pytest.mark.parametrize("kernel", EVERY_KERNEL, ids=[kernel["name"] for kernel in EVERY_KERNEL])
hollow_or_not = pytest.mark.parametrize("hollow", [False, True], ids=["full", "hollow"])


KERNELS = [get_args(kernel.model_fields["name"].annotation)[0] for kernel in get_args(get_args(Kernel)[0])]


def declared(kernel: dict[str, Any]) -> Kernel:
    found: Kernel = TypeAdapter(Kernel).validate_python(kernel)
    return found


def loss_and_point(coordinates: int) -> st.SearchStrategy[tuple[float, list[int]]]:
    # Coordinates are multiples of 1/4, so that distances between points are exact, of equal ones, too.
    return st.tuples(
        st.floats(0, 20, allow_subnormal=False),
        st.lists(st.integers(-8, 8), min_size=coordinates, max_size=coordinates),
    )


batches = (
    st.lists(loss_and_point(3), min_size=3, max_size=5)
    .map(lambda rows: tuple(torch.tensor(column, dtype=torch.float64) for column in zip(*rows, strict=True)))
    .map(lambda columns: (columns[0], columns[1] / 4))
)


def kernel_of_a_pair(kernel: dict[str, Any], one: list[float], other: list[float]) -> float:
    """Return G of two points as Section 8.5 prints it."""
    match kernel["name"]:
        case "identity":
            return 1.0
        case "rbf":
            return math.exp(-kernel["gamma"] * math.dist(one, other) ** 2)
        case "hyper_laplacian":
            return math.exp(-kernel["alpha"] * math.dist(one, other) ** kernel["p"])
    lengths = math.hypot(*one) * math.hypot(*other)
    inner = sum(x * y for x, y in zip(one, other, strict=True))
    return 0.5 * (1 + (inner / lengths if lengths else 0.0))


def risk_of_the_triple_loop(losses: Tensor, points: Tensor, kernel: dict[str, Any], *, hollow: bool) -> Tensor:
    """Return Σ v(xᵢ, xⱼ) √(Lᵢ + δ) √(Lⱼ + δ) / Σ v(xᵢ, xⱼ), term by term, with the sum of Equation 21 for v."""
    rows: list[list[float]] = points.tolist()
    total, risk = 0.0, losses.new_zeros(())
    for i, one in enumerate(rows):
        for j, other in enumerate(rows):
            if hollow and i == j:
                continue
            v = sum(kernel_of_a_pair(kernel, x, one) * kernel_of_a_pair(kernel, x, other) for x in rows)
            total += v
            risk = risk + v * (losses[i] + GUARD).sqrt() * (losses[j] + GUARD).sqrt()
    return risk / total


def gradient(value: Tensor, inputs: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(value, inputs)
    return found


def a_model_and_a_batch() -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(5)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).double()
    for parameter in model.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    return model, torch.rand(6, 3, 2, 2, generator=generator, dtype=torch.float64), torch.arange(6) % 4


@every_kernel
@hollow_or_not
@settings(max_examples=40)
@given(batch=batches)
def test_the_risk_and_its_gradient_are_those_of_the_triple_loop(
    kernel: dict[str, Any], hollow: bool, batch: tuple[Tensor, Tensor]
) -> None:
    losses, points = batch
    losses.requires_grad_()
    ours = weighted_risk(guarded_roots(losses, GUARD), pair_weights(points, declared(kernel), hollow=hollow))
    theirs = risk_of_the_triple_loop(losses, points, kernel, hollow=hollow)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(gradient(ours, losses), gradient(theirs, losses), rtol=1e-9, atol=1e-12)


@every_kernel
@hollow_or_not
@settings(max_examples=40)
@given(batch=batches)
def test_the_risk_is_a_mean_over_pairs(kernel: dict[str, Any], hollow: bool, batch: tuple[Tensor, Tensor]) -> None:
    losses, points = batch
    weights = pair_weights(points, declared(kernel), hollow=hollow)
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1, rel=1e-12)
    assert (weights.diagonal() == 0).all() == hollow
    value = weighted_risk(losses.sqrt(), weights).item()
    assert losses.min().item() * (1 - 1e-9) <= value <= losses.max().item() * (1 + 1e-9)


@every_kernel
@hollow_or_not
def test_the_order_of_the_batch_does_not_matter(kernel: dict[str, Any], hollow: bool) -> None:
    model, inputs, labels = a_model_and_a_batch()
    objective = VMatrixRisk(declared(kernel), hollow, GUARD)
    order = torch.tensor([4, 0, 5, 2, 1, 3])
    torch.testing.assert_close(
        objective(model, step_of(inputs[order], labels[order])).value, objective(model, step_of(inputs, labels)).value
    )


RBF_NEAR_0, RBF_NEAR_INFINITY = {"name": "rbf", "gamma": 1e-12}, {"name": "rbf", "gamma": 1e12}


@pytest.mark.parametrize(
    ("kernel", "hollow", "limit"),
    [
        (IDENTITY, False, CrossErrorRisk(GUARD)),
        (IDENTITY, True, HollowRisk(GUARD)),
        (RBF_NEAR_0, False, CrossErrorRisk(GUARD)),
        (RBF_NEAR_0, True, HollowRisk(GUARD)),
        (RBF_NEAR_INFINITY, False, EmpiricalRisk()),
    ],
    ids=["identity-cem", "hollow-identity-hrm", "gamma-0-cem", "hollow-gamma-0-hrm", "gamma-infinite-erm"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_kernels_lead_to_cem_hrm_and_erm_and_their_gradients(
    kernel: dict[str, Any], hollow: bool, limit: Objective, dtype: torch.dtype
) -> None:
    model, inputs, labels = a_model_and_a_batch()
    model, inputs = model.to(dtype), inputs.to(dtype)
    ours, theirs = (
        VMatrixRisk(declared(kernel), hollow, GUARD)(model, step_of(inputs, labels)),
        limit(model, step_of(inputs, labels)),
    )
    tolerance = 1e-5 if dtype == torch.float32 else 1e-7  # the guard alone is 1e-8 of ERM
    torch.testing.assert_close(ours.value, theirs.value, rtol=tolerance, atol=tolerance)
    for parameter in model.parameters():
        torch.testing.assert_close(
            torch.autograd.grad(ours.value, parameter, retain_graph=True),
            torch.autograd.grad(theirs.value, parameter, retain_graph=True),
            rtol=tolerance,
            atol=tolerance,
        )


def test_a_hollow_kernel_that_leaves_no_pair_is_named_with_its_parameters() -> None:
    model, inputs, labels = a_model_and_a_batch()
    objective = VMatrixRisk(declared(RBF_NEAR_INFINITY), hollow=True, guard=GUARD)
    with pytest.raises(UserError, match=r"kernel rbf\(gamma=1e\+12\): every pair .* of a batch of 6 has weight 0"):
        objective(model, step_of(inputs, labels))


def test_the_hollow_matrix_of_one_example_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two examples, not 1"):
        pair_weights(torch.zeros(1, 2), declared(IDENTITY), hollow=True)


def test_pairs_as_far_apart_as_images_are_keep_their_weights() -> None:
    # γ = 1 at the squared distance of two MNIST images, 101: G = 1e-44, no normal number in float32.
    points = torch.zeros(3, 2)
    points[1, 0], points[2, 1] = math.sqrt(101), math.sqrt(102)
    weights = pair_weights(points, declared({"name": "rbf", "gamma": 1.0}), hollow=True)
    assert weights[0, 1] / weights[0, 2] == pytest.approx(math.e, rel=1e-4)


def test_distances_of_images_are_exact_where_they_are_small() -> None:
    images = torch.rand(3, 3072, generator=torch.Generator().manual_seed(0)).double()
    images[1] = images[0]
    images[2] = images[0]
    images[2, 7] += 1e-3
    distances = squared_distances(images)
    assert distances.diagonal().tolist() == [0, 0, 0]
    assert distances.min() >= 0
    assert distances[0, 1].item() == pytest.approx(0, abs=1e-11)
    assert distances[0, 2].item() == pytest.approx(1e-6, rel=1e-4)


def test_images_that_differ_by_less_than_rounding_are_at_no_negative_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(3072, generator=generator, dtype=torch.float64)
    images = image + 1e-12 * torch.randn(20, 3072, generator=generator, dtype=torch.float64)
    assert squared_distances(images).min() >= 0
    hyper_laplacian = {"name": "hyper_laplacian", "alpha": 0.7, "p": 0.5}
    assert pair_weights(images, declared(hyper_laplacian), hollow=True).isfinite().all()


def test_cosines_of_images_on_one_line_stay_between_their_bounds() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randn(20, 1, generator=generator, dtype=torch.float64)
    values = modified_cosine(lengths * torch.rand(3072, generator=generator, dtype=torch.float64))
    assert values.min() >= 0
    assert values.max() <= 1


def test_a_black_image_has_the_same_cosine_with_every_image() -> None:
    images = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-2.0, 1.0]], dtype=torch.float64)
    assert modified_cosine(images)[0].tolist() == [0.5, 0.5, 0.5]


@every_kernel
@hollow_or_not
def test_the_gradient_in_one_image_is_a_multiple_of_its_own_roots(kernel: dict[str, Any], hollow: bool) -> None:
    model, inputs, labels = a_model_and_a_batch()
    inputs.requires_grad_()
    objective = VMatrixRisk(declared(kernel), hollow, GUARD)
    own = gradient(objective.example_losses(model(inputs), labels).sum(), inputs)
    roots = guarded_roots(cross_entropy(model(inputs), labels), GUARD).detach()
    multiples = 2 * pair_weights(inputs, declared(kernel), hollow=hollow) @ roots
    assert multiples.min() > 0
    torch.testing.assert_close(
        gradient(objective(model, step_of(inputs, labels)).value, inputs), multiples[:, None, None, None] * own
    )


def declaration(kernel: dict[str, Any]) -> dict[str, Any]:
    return {
        "dataset": "mnist",
        "network": {"architecture": "lenet5"},
        "objective": {"name": "v_matrix", "kernel": kernel, "hollow": True},
        "optimizer": {"name": "adam", "learning_rate": 0.001},
        "epochs": 1,
        "batch_size": 128,
    }


@every_kernel
def test_a_declared_kernel_reaches_the_objective_with_its_parameters_and_nothing_else(kernel: dict[str, Any]) -> None:
    objective = TrainingSpec.model_validate(declaration(kernel)).objective
    expected = {"name": "v_matrix", "kernel": kernel, "hollow": True, "guard": GUARD, "loss": "cross_entropy"}
    assert objective.model_dump() == expected
    model, inputs, labels = a_model_and_a_batch()
    ours = made(objective)(model, step_of(inputs, labels))
    assert ours.value == VMatrixRisk(declared(kernel), hollow=True, guard=GUARD)(model, step_of(inputs, labels)).value
    assert torch.equal(ours.logits, model(inputs))


def test_every_kernel_is_tested_and_an_unknown_one_is_refused_with_the_known_ones() -> None:
    assert [kernel["name"] for kernel in EVERY_KERNEL] == KERNELS
    with pytest.raises(ValidationError) as caught:
        TrainingSpec.model_validate(declaration({"name": "gaussian"}))
    for name in KERNELS:
        assert f"'{name}'" in str(caught.value)


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        ({"name": "rbf"}, "gamma\n  Field required"),
        ({"name": "rbf", "gamma": 0.0}, "greater than 0"),
        ({"name": "rbf", "gamma": math.inf}, "finite number"),
        ({"name": "hyper_laplacian", "alpha": 1.0, "p": 1.0}, "less than 1"),
        ({"name": "hyper_laplacian", "alpha": 0.0, "p": 0.5}, "greater than 0"),
        ({"name": "identity", "gamma": 1.0}, "Extra inputs are not permitted"),
    ],
    ids=["no gamma", "gamma 0", "gamma infinite", "p 1", "alpha 0", "identity with gamma"],
)
def test_a_kernel_out_of_its_range_is_refused(kernel: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TrainingSpec.model_validate(declaration(kernel))
