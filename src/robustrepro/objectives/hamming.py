"""Hamming and stability regularisation: a network is to answer alike at opposite corners of a cube around an image."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, Literal

import torch
from torch import Tensor, nn

from robustrepro.losses import example_loss
from robustrepro.models.rectifiers import watching
from robustrepro.objectives.base import Risk, Step
from robustrepro.schedules import value_at
from robustrepro.spec.schedules import Schedule


class _Watched(torch.autograd.Function):
    """A layer's pre-activations as they are, and how far apart the patterns of each pair are.

    Both gradients meet here, so that a layer costs a few passes over its values instead of autograd's ten. The backward
    pass writes over what it was kept for: PyTorch refuses a second one.
    """

    @staticmethod
    def forward(ctx: Any, given: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
        relaxed = given.mul(2 * sharpness).sigmoid_()  # ½ (1 + tanh(α ẑ)), at a sixth of the cost of tanh
        plus, minus = relaxed.chunk(2)
        apart = plus - minus
        ctx.save_for_backward(relaxed, apart)
        ctx.slope = 2 * sharpness / apart[0].numel()
        return given.view_as(given), apart.abs().flatten(1).mean(1)

    @staticmethod
    def backward(ctx: Any, of_given: Tensor, of_distances: Tensor) -> tuple[Tensor, None]:
        relaxed, apart = ctx.saved_tensors
        pull = apart.sign_().mul_((of_distances * ctx.slope).view(-1, *[1] * (apart.dim() - 1)))
        slopes = relaxed.addcmul_(relaxed, relaxed, value=-1)  # in place: nothing else reads them
        count, total = len(apart), of_given.clone()
        total[:count].addcmul_(pull, slopes[:count])
        total[count:].addcmul_(pull, slopes[count:], value=-1)
        return total, None


def watched(given: Tensor, sharpness: float) -> tuple[Tensor, Tensor]:
    """Return a layer's pre-activations, and the mean over its units of H_α for each pair, shape (N,), from 0 to 1.

    H_α(ẑ⁺, ẑ⁻) = ½ |tanh(α ẑ⁺) − tanh(α ẑ⁻)| (Equation 11); with α to infinity their mean is the normalised Hamming
    distance of the activation patterns. It is differentiable but where ẑ⁺ = ẑ⁻; there its gradient is 0.

    Parameters
    ----------
    given
        Shape (2N, ...), the N ẑ⁺ before the N ẑ⁻. The layer goes on with what is returned in its place, through which
        both gradients flow back.
    sharpness
        α > 0.
    """
    same, distances = _Watched.apply(given, sharpness)
    return same, distances


def corners(step: Step, epsilon: float) -> Tensor:
    """Return random corners ρ of the cube of half-width ε around 0, one per image, in the shape of the inputs.

    Parameters
    ----------
    step
        Their signs are drawn from its generator, eight from a byte.
    epsilon
        ε > 0, in the unit of the inputs.
    """
    count = step.inputs.numel()
    drawn = torch.empty(-(-count // 8), dtype=torch.uint8).random_(generator=step.generator)
    bits = (drawn[:, None] >> torch.arange(8, dtype=torch.uint8)) & 1
    signs = bits.flatten()[:count].to(step.inputs.device).view(step.inputs.shape)
    return signs.to(step.inputs.dtype).mul_(2 * epsilon).sub_(epsilon)


class HammingRegularisedRisk:
    """Mean loss + γ_S (stability) + γ_H (Hamming), on pairs x ± ρ with ρ a random corner of the ε-cube (Equation 18).

    Stability is Σᵢ ‖f(xᵢ⁺) − f(xᵢ⁻)‖₂² (Equation 16). Hamming is made of how far apart the activation patterns of a
    pair are in each layer of ReLU, between 0 and 1 (:func:`watched`, Equation 17). What is read between the
    lines of both equations is a parameter. A term whose weight is 0 all along is not computed.

    The images are one batch and the pairs another, so that batch normalisation normalises images by images.

    Parameters
    ----------
    epsilon
        ε > 0, in units of the pixel range [0, 1].
    stability, hamming
        The weights γ_S ≥ 0 and γ_H ≥ 0.
    sharpness
        α of H_α.
    outputs
        Whether f is the ``logits`` (Equation 4) or their ``softmax`` (Appendix B).
    stability_over_batch
        Whether Equation 16 is the ``sum`` over the batch, as printed, or the ``mean``, as the loss and Equation 17 are.
    squared
        What of Equation 17 is squared, since |·|₂ of its one number is that number, but Equation 10 has a square: each
        ``layer``'s distance, the ``mean`` over the layers, or ``nothing``.
    clipped
        Whether x ± ρ are cut off at the ends of the pixel range [0, 1].
    loss
        The name of the loss V of an example (:func:`robustrepro.losses.example_loss`).

    References
    ----------
    "Efficient Regularization for Robust Deep ReLU Networks", Sections 5.2 and 5.4, Appendix A.
    """

    def __init__(
        self,
        epsilon: Schedule,
        stability: Schedule,
        hamming: Schedule,
        sharpness: float,
        outputs: Literal["logits", "softmax"],
        stability_over_batch: Literal["sum", "mean"],
        squared: Literal["layer", "mean", "nothing"],
        clipped: bool,
        loss: str = "cross_entropy",
    ) -> None:
        self.epsilon, self.stability, self.hamming = epsilon, stability, hamming
        self.sharpness = sharpness
        self.softmax = outputs == "softmax"
        self.summed = stability_over_batch == "sum"
        self.squared = squared
        self.clipped = clipped
        self.loss = example_loss(loss)

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the risk of a batch, with the loss and both regularisers, before their weights, as terms."""
        logits = model(step.inputs)
        value = self.loss(logits, step.labels).mean()
        terms = {"loss_on_images": value, **self.regularisers(model, step)}
        for name, weight in (("stability", self.stability), ("hamming", self.hamming)):
            if name in terms:
                value = value + value_at(weight, step.epoch) * terms[name]
        return Risk(value, logits, terms)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses V of the examples, shape (N,), without what regularises them: an attack is after these."""
        return self.loss(logits, labels)

    def pairs(self, step: Step) -> Tensor:
        """Return all x⁺ and, behind them, all x⁻, shape (2N, ...)."""
        moved = corners(step, value_at(self.epsilon, step.epoch))
        pairs = step.inputs.repeat(2, *[1] * (step.inputs.dim() - 1))
        pairs[: len(moved)].add_(moved)
        pairs[len(moved) :].sub_(moved)
        return pairs.clamp_(0, 1) if self.clipped else pairs

    def regularisers(self, model: nn.Module, step: Step) -> dict[str, Tensor]:
        """Return those of the terms ``stability`` and ``hamming`` that have a weight."""
        distances: list[Tensor] = []

        def watch(given: Tensor) -> Tensor:
            same, apart = watched(given, self.sharpness)
            distances.append(apart)
            return same

        with watching(model, watch) if self.hamming != 0 else nullcontext():
            outputs = self.outputs(model(self.pairs(step)))
        terms = {}
        if self.stability != 0:
            plus, minus = outputs.chunk(2)
            terms["stability"] = self.over_batch((plus - minus).square().sum(1))
        if self.hamming != 0:
            terms["hamming"] = self.over_layers(torch.stack(distances)).mean()
        return terms

    def outputs(self, logits: Tensor) -> Tensor:
        """Return f, in the paper's sense, of logits."""
        return logits.softmax(1) if self.softmax else logits

    def over_batch(self, changes: Tensor) -> Tensor:
        """Return Equation 16 of the pairs' squared changes, shape (N,)."""
        return changes.sum() if self.summed else changes.mean()

    def over_layers(self, distances: Tensor) -> Tensor:
        """Return Equation 17 for each pair, shape (...), of distances of shape (layers, ...)."""
        if self.squared == "layer":
            return distances.square().mean(0)
        return distances.mean(0).square() if self.squared == "mean" else distances.mean(0)
