"""The gradients that the paper prints (Table 11, Section 4.1) against those of automatic differentiation."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from objective_cases import step_of
from torch import Tensor, nn

from robustrepro.losses import cross_entropy
from robustrepro.objectives.base import Objective
from robustrepro.objectives.cem import CrossErrorRisk
from robustrepro.objectives.erm import EmpiricalRisk
from robustrepro.objectives.hrm import HollowRisk

NO_GUARD = 1e-300
"""Lost in the rounding of the losses, which are far from 0 here: the objectives as printed, without a guard."""


def a_network_and_a_batch(examples: int) -> tuple[nn.Module, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(11)
    network = nn.Sequential(nn.Linear(2, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    for parameter in network.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
    inputs = torch.randn(examples, 2, generator=generator, dtype=torch.float64)
    return network, inputs, torch.arange(examples) % 3


def in_the_parameters(value: Tensor, network: nn.Module) -> Tensor:
    """Return the gradient of a scalar in all parameters, as one vector."""
    return torch.cat([part.flatten() for part in torch.autograd.grad(value, list(network.parameters()))])


def gradient_of_the_risk(objective: Objective, examples: int) -> Tensor:
    network, inputs, labels = a_network_and_a_batch(examples)
    return in_the_parameters(objective(network, step_of(inputs, labels)).value, network)


def losses_and_their_gradients(examples: int) -> tuple[list[float], list[Tensor]]:
    """Return Lᵢ and ∇Lᵢ of each example by itself."""
    network, inputs, labels = a_network_and_a_batch(examples)
    losses = [cross_entropy(network(inputs[[i]]), labels[[i]])[0] for i in range(examples)]
    assert min(losses) > 0.01
    assert max(losses) > 2 * min(losses)  # equal losses would hide a wrong ratio
    return [loss.item() for loss in losses], [in_the_parameters(loss, network) for loss in losses]


def printed_in_table_11(objective: str, examples: int) -> Tensor:
    losses, gradients = losses_and_their_gradients(examples)
    if objective == "erm":
        return torch.stack(gradients).sum(0) / examples
    terms = [
        (losses[j] / losses[i]) ** 0.5 * gradients[i] + (losses[i] / losses[j]) ** 0.5 * gradients[j]
        for i in range(examples)
        for j in range(examples)
        if objective == "cem" or i != j
    ]
    return torch.stack(terms).sum(0) / (examples**2 if objective == "cem" else examples * (examples - 1))


@pytest.mark.parametrize("examples", [2, 3, 7])
@pytest.mark.parametrize(
    ("name", "objective", "times_too_large"),
    [("erm", EmpiricalRisk(), 1), ("hrm", HollowRisk(NO_GUARD), 2), ("cem", CrossErrorRisk(NO_GUARD), 2)],
    ids=["erm", "hrm", "cem"],
)
def test_table_11_prints_the_gradient_of_erm_and_twice_those_of_hrm_and_cem(
    name: str, objective: Objective, times_too_large: int, examples: int
) -> None:
    found = gradient_of_the_risk(objective, examples)
    torch.testing.assert_close(printed_in_table_11(name, examples), times_too_large * found, rtol=1e-9, atol=1e-12)


def of_two_examples(own: float) -> Tensor:
    """Return (own + √(L₂/L₁)) ∇L₁ + (own + √(L₁/L₂)) ∇L₂, which is Section 4.1's ∇CEM at own = 1/2, ∇HRM at own = 0."""
    (loss_1, loss_2), (gradient_1, gradient_2) = losses_and_their_gradients(2)
    return (own + (loss_2 / loss_1) ** 0.5) * gradient_1 + (own + (loss_1 / loss_2) ** 0.5) * gradient_2


def test_section_4_1_prints_twice_the_gradient_of_hrm_for_two_examples() -> None:
    torch.testing.assert_close(of_two_examples(0), 2 * gradient_of_the_risk(HollowRisk(NO_GUARD), 2))


def test_section_4_1_prints_no_multiple_of_the_gradient_of_cem_for_two_examples() -> None:
    found = gradient_of_the_risk(CrossErrorRisk(NO_GUARD), 2)
    assert F.cosine_similarity(of_two_examples(0.5), found, dim=0) < 0.9999
    # It would be four times the gradient with 1 in place of 1/2.
    torch.testing.assert_close(of_two_examples(1), 4 * found)
