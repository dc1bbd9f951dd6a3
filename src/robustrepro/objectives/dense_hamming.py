"""Hamming and stability regularisation between all perturbed images of a batch, not within pairs alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.models.rectifiers import pre_activations
from robustrepro.objectives.base import Step
from robustrepro.objectives.hamming import HammingRegularisedRisk
from robustrepro.schedules import value_at


class DenseHammingRisk(HammingRegularisedRisk):
    """The terms of `HammingRegularisedRisk` with a pair for every two of the 2N perturbed images (Equation 14).

    Each is weighted by the heat kernel exp(−‖xᵢ − xⱼ‖² / s) relative to that of a pair x ± ρ, so that with those pairs
    alone the terms are the sparse ones: Appendix B drops their weight, which is the same for all. The scale s, which
    the paper leaves unsaid, is their squared distance d (2ε)², d the number of pixels, as in Proposition B.1.

    Between two relaxed patterns, |·|₂² of Equation 13 is the mean over a layer's units of ¼ (tanh(α ẑᵢ) − tanh(α ẑⱼ))².
    Like H_α it becomes the Hamming distance with α to infinity, and one matrix product gives it for all pairs.

    References
    ----------
    "Efficient Regularization for Robust Deep ReLU Networks", Section 5.3 and Appendix B, Table 4.
    """

    def regularisers(self, model: nn.Module, step: Step) -> dict[str, Tensor]:
        """Return those of the terms ``stability`` and ``hamming`` that have a weight."""
        pairs, count = self.pairs(step), len(step.inputs)
        of_a_pair = pairs[0].numel() * (2 * value_at(self.epsilon, step.epoch)) ** 2
        weights = torch.exp(1 - squared_distances(pairs.flatten(1)) / of_a_pair).triu(diagonal=1)
        with pre_activations(model) as layers:
            outputs = self.outputs(model(pairs))
        terms = {}
        if self.stability != 0:
            changes = weights * squared_distances(outputs)
            terms["stability"] = changes.sum() if self.summed else changes.sum() / count
        if self.hamming != 0:
            patterns = [torch.sigmoid(2 * self.sharpness * layer).flatten(1) for layer in layers]
            distances = [squared_distances(pattern) / pattern.shape[1] for pattern in patterns]
            terms["hamming"] = (weights * self.over_layers(torch.stack(distances))).sum() / count
        return terms


def squared_distances(points: Tensor) -> Tensor:
    """Return ‖pᵢ − pⱼ‖² of points of shape (N, features), shape (N, N), by one matrix product; 0 on the diagonal."""
    lengths = points.square().sum(1)
    apart = lengths[:, None] + lengths - 2 * points @ points.T
    return apart.clamp(min=0).fill_diagonal_(0)
