"""The V-matrix objective: √(Lᵢ Lⱼ) over pairs, weighted by how close inputs i and j are within the batch."""

from __future__ import annotations

import torch.nn.functional as F  # noqa: N812 (PyTorch's own abbreviation)
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.implementations import made, options_of
from robustrepro.losses import example_loss
from robustrepro.objectives.base import Risk, Step, guarded_roots
from robustrepro.spec.objectives import Kernel


def squared_distances(points: Tensor) -> Tensor:
    """Return ‖xᵢ − xⱼ‖² of all pairs, shape (N, N), for points of shape (N, features).

    Computed as ‖xᵢ‖² + ‖xⱼ‖² − 2⟨xᵢ, xⱼ⟩. Rounding could leave a little below 0 or on the diagonal, where its root
    would be large: both are 0.
    """
    squares = points.square().sum(1)
    distances = (squares[:, None] + squares - 2 * points @ points.T).clamp_min(0)
    return distances.fill_diagonal_(0)


def identity(points: Tensor) -> Tensor:
    """Return G = 1 for every pair, i = j included: the paper's "identity function (CEM)" is no identity matrix."""
    return points.new_ones(len(points), len(points))


def radial_basis(points: Tensor, gamma: float) -> Tensor:
    """Return G = exp(−γ ‖xᵢ − xⱼ‖²); γ > 0 in inverse squares of the inputs' unit."""
    return (-gamma * squared_distances(points)).exp()


def hyper_laplacian(points: Tensor, alpha: float, p: float) -> Tensor:
    """Return G = exp(−α ‖xᵢ − xⱼ‖ᵖ) for α > 0 and 0 < p < 1.

    The paper prints |xᵢ − xⱼ|ᵖ, with single bars, where the radial basis function has double ones. This could also be
    Σₖ |xᵢₖ − xⱼₖ|ᵖ, the hyper-Laplacian prior on single pixels. Here it is the Euclidean distance, as in that kernel.
    """
    return (-alpha * squared_distances(points).pow(p / 2)).exp()


def modified_cosine(points: Tensor) -> Tensor:
    """Return G = (1 + ⟨xᵢ, xⱼ⟩ / (‖xᵢ‖ ‖xⱼ‖)) / 2.

    A point at the origin has no direction: its G is 1/2 with every point, itself included.
    """
    directions = F.normalize(points, dim=1)
    return (1 + (directions @ directions.T).clamp(-1, 1)) / 2


def pair_weights(inputs: Tensor, kernel: Kernel, *, hollow: bool) -> Tensor:
    """Weights of all pairs of a batch: V ∘ M divided by its sum, with V = GᵀG.

    The batch stands for the distribution: vᵢⱼ = Σₖ G(xₖ, xᵢ) G(xₖ, xⱼ), k over the batch. The paper states no
    normalisation. A power of N could make it CEM in the limit γ → 0 of the radial basis function (N⁻³) or ERM in the
    limit γ → ∞ (N⁻¹), but not both, as the paper has it; division by the sum does.

    Parameters
    ----------
    inputs
        Shape (N, ...), as the network is fed them; flattened. No gradient flows into them. The weights are computed
        in float64: a kernel of images far apart is 0 in float32, and so are small distances between large vectors.
    kernel
        The kernel's declaration: which G, and its parameters.
    hollow
        Whether M is 1 − I, which leaves the diagonal out, or 1 everywhere.

    Returns
    -------
    Float64 tensor of shape (N, N), symmetric up to rounding, without negative entries; its sum is 1.

    Raises
    ------
    ValueError
        If there are fewer than two examples and ``hollow`` leaves nothing of them.
    UserError
        If all weights are 0: the kernel sees every example of the batch as infinitely far from every other.

    References
    ----------
    Sun et al., "Hollow Risk Minimization for Robustness", Equation 21 (V) and Section 8.5 (kernels, limits).
    """
    count = len(inputs)
    if hollow and count < 2:
        raise ValueError(f"the hollow V-matrix needs at least two examples, not {count}")
    kernel_matrix: Tensor = made(kernel, inputs.detach().flatten(1).double())
    weights = kernel_matrix.T @ kernel_matrix
    if hollow:
        weights.fill_diagonal_(0)
    total = weights.sum()
    if hollow and total == 0:  # the full matrix has a positive diagonal
        parameters = ", ".join(f"{name}={value:g}" for name, value in options_of(kernel).items())
        raise UserError(
            f"objective v_matrix, kernel {kernel.name}({parameters}): every pair of two different examples of a "
            f"batch of {count} has weight 0, which leaves nothing of the hollow matrix; choose a wider kernel"
        )
    return weights / total


def weighted_risk(roots: Tensor, weights: Tensor) -> Tensor:
    """V-matrix risk: Σ wᵢⱼ sᵢ sⱼ over all pairs.

    Parameters
    ----------
    roots
        Roots of the per-example losses sᵢ = √Lᵢ, shape (N,).
    weights
        Weights of the pairs, shape (N, N), from :func:`pair_weights`.

    Returns
    -------
    Scalar tensor in the roots' data type.

    References
    ----------
    Sun et al., "Hollow Risk Minimization for Robustness", Equations 7 and 19.
    """
    return roots @ weights.to(roots.dtype) @ roots


class VMatrixRisk:
    """The V-matrix objective over the losses of a batch.

    With the identity kernel it is CEM, and hollow, HRM. With the radial basis function it tends to these as γ → 0, and
    to ERM as γ → ∞ unless hollow.

    Parameters
    ----------
    kernel
        The declaration of G: which function, and its parameters.
    hollow
        Whether the diagonal, where i = j, is left out.
    guard
        δ in sᵢ = √(Lᵢ + δ), in units of the loss (nats), as in HRM.
    loss
        The name of the loss Lᵢ of an example (:func:`robustrepro.losses.example_loss`).
    """

    def __init__(self, kernel: Kernel, hollow: bool, guard: float, loss: str = "cross_entropy") -> None:
        self.kernel = kernel
        self.hollow = hollow
        self.guard = guard
        self._loss = example_loss(loss)

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the V-matrix risk of a batch, of at least two examples if hollow."""
        logits = model(step.inputs)
        roots = guarded_roots(self._loss(logits, step.labels), self.guard)
        return Risk(weighted_risk(roots, pair_weights(step.inputs, self.kernel, hollow=self.hollow)), logits)

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return sᵢ = √(Lᵢ + δ), shape (N,): in one image, the risk's gradient is a positive multiple of its own.

        The multiple is 2 Σⱼ wᵢⱼ sⱼ, the weights being symmetric and constants, also in the images that they are made
        of. It is 0 only where the kernel leaves an example of a hollow matrix without any neighbour.
        """
        return guarded_roots(self._loss(logits, labels), self.guard)
