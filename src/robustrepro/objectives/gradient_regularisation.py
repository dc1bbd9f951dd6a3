"""Gradient regularisation: the cross-entropy, and how steep a function of the logits is in the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from robustrepro.implementations import made
from robustrepro.logit_functions import FUNCTIONS
from robustrepro.losses import example_loss
from robustrepro.models.convolution import gradients_of
from robustrepro.objectives.base import Objective, Risk, Step

if TYPE_CHECKING:
    from robustrepro.spec.objectives import Adversarial

ORDERS: Mapping[str, float] = {"l1": 1, "l2": 2, "linf": torch.inf}


class _Differentiated(torch.autograd.Function):
    """A value whose gradients with respect to some weights have been computed already."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, gradients: Sequence[Tensor | None], *weights: Tensor) -> Tensor:  # noqa: ARG004
        ctx.gradients = gradients
        return value.clone()

    @staticmethod
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        return (None, None, *(None if gradient is None else outer * gradient for gradient in ctx.gradients))


class GradientRegularisedRisk:
    """Loss plus c times the mean norm of ∂L/∂x, L a function of the logits (Equation 11).

    The gradient of the norm with respect to the weights is a mixed second derivative, which a second backward pass
    gives (double backpropagation, Equation 12).

    Parameters
    ----------
    function
        L: the name of a function in :mod:`robustrepro.logit_functions`, such as ``margin`` (Equation 2).
    norm
        Of ∂L/∂x, one number per example: ``l1``, ``l2``, ``linf``, or ``squared_l2``, the square of the second.
    coefficient
        c > 0. Its unit is that of the loss by that of the norm, for images in [0, 1]; so c of one function or norm says
        nothing about another.
    loss
        The name of the loss of an example (:func:`robustrepro.losses.example_loss`).
    beside
        Adversarial training whose risk takes the place of the mean loss, if any; what is regularised are the clean
        images all the same.

    References
    ----------
    Yu et al., "Interpreting Adversarial Robustness: A View from Decision Surface in Input Space", 2018, Section 5.1,
    with the margin. Ross & Doshi-Velez, "Improving the Adversarial Robustness and Interpretability of Deep Neural
    Networks by Regularizing their Input Gradients", 2018, with the cross-entropy and the squared ℓ2 norm. Drucker &
    Le Cun, "Double Backpropagation Increasing Generalization Performance", 1991.
    """

    def __init__(
        self,
        function: str,
        norm: str,
        coefficient: float,
        loss: str = "cross_entropy",
        beside: Adversarial | None = None,
    ) -> None:
        self._function = FUNCTIONS[function]
        self._norm = norm
        self._coefficient = coefficient
        self._loss = example_loss(loss)
        self._beside: Objective | None = made(beside) if beside else None

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the risk of a batch, with the loss and the mean norm, before c, as terms."""
        images = step.inputs.detach().requires_grad_()
        logits = model(images)
        # Examples do not share a value, so that the gradient of the sum is every example's own.
        with gradients_of("images"):
            (slopes,) = torch.autograd.grad(self._function(logits, step.labels).sum(), images, create_graph=True)
        steepness = self._lengths(slopes.flatten(1)).mean()
        risk = self._beside(model, step) if self._beside else Risk(self._loss(logits, step.labels).mean(), logits)
        terms = {**risk.terms, "loss_without_norm": risk.value, "gradient_norm": steepness}
        value = risk.value + self._coefficient * steepness
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        # Of the weights alone: left to the caller, a second backward pass would go on into the images.
        with gradients_of("weights"):
            gradients = torch.autograd.grad(value, weights, allow_unused=True)
        return Risk(_Differentiated.apply(value.detach(), gradients, *weights), risk.logits, terms)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses of the examples, shape (N,), without what regularises them: an attack is after these."""
        return self._loss(logits, labels)

    def _lengths(self, slopes: Tensor) -> Tensor:
        """Return the norm of each example's gradient, shape (N,), from shape (N, pixels); its slope at 0 is 0."""
        if self._norm == "squared_l2":
            return slopes.square().sum(1)
        lengths: Tensor = torch.linalg.vector_norm(slopes, ORDERS[self._norm], dim=1)
        return lengths
