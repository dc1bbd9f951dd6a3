"""First and second derivatives of a network's answer with respect to its images: exact, in closed form.

A network of convolutions, linear layers, ReLUs and pooling is piecewise linear: around almost every image its logits
are Z(x) = A x + b. Then a function g of the logits has the gradient Aᵀ ∇g and the Hessian Aᵀ (∇²g) A, whose rank is at
most the number of classes; all other eigenvalues are exactly 0, and no eigensolver has to find them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import grad, hessian, vmap

from robustrepro.logit_functions import FUNCTIONS

BLOCK = 256
"""Rows of a Hessian at a time: 6 MB of an image of CIFAR-10, in float64."""


@dataclass(frozen=True)
class Derivatives:
    """The derivatives of one function at some images.

    Attributes
    ----------
    gradient
        With respect to the pixels, shape (N, pixels).
    eigenvalues
        Those of the Hessian that need not be 0, shape (N, at most classes), ascending; the others are exactly 0.
    jacobians, bends
        A, shape (N, classes, pixels), and ∇²g, shape (N, classes, classes), of which the Hessian is made.
    """

    gradient: Tensor
    eigenvalues: Tensor
    jacobians: Tensor
    bends: Tensor

    @property
    def hessian(self) -> Tensor:
        """The Hessian, shape (N, pixels, pixels): of an image of CIFAR-10, 75 MB."""
        return self.jacobians.transpose(1, 2) @ self.bends @ self.jacobians

    def hessian_l1(self) -> Tensor:
        """Return the sum of the magnitudes of all entries of the Hessian, shape (N,), without keeping it.

        It is symmetric: what lies right of the diagonal counts twice.
        """
        totals = self.jacobians.new_zeros(len(self.jacobians))
        for image, (jacobian, bend) in enumerate(zip(self.jacobians, self.bends, strict=True)):
            if not bend.any():
                continue
            bent = bend @ jacobian
            for start in range(0, jacobian.shape[1], BLOCK):
                rows = (jacobian[:, start : start + BLOCK].T @ bent[:, start:]).abs_()
                totals[image] += 2 * rows.sum() - rows[:, : len(rows)].sum()
        return totals


def logit_jacobians(network: nn.Module, images: Tensor) -> tuple[Tensor, Tensor]:
    """Return logits, shape (N, classes), and A, their derivatives with respect to the pixels, (N, classes, pixels).

    Parameters
    ----------
    network
        In evaluation mode, so that an image's logits are its own.
    images
        Shape (N, ...).
    """
    leaf = images.detach().requires_grad_()
    logits = network(leaf)
    rows = [
        torch.autograd.grad(logits[:, number].sum(), leaf, retain_graph=True)[0].flatten(1)
        for number in range(logits.shape[1])
    ]
    return logits.detach(), torch.stack(rows, dim=1)


def is_piecewise_linear(network: nn.Module, images: Tensor) -> bool:
    """Tell whether a second derivative of the logits is exactly 0 at these images, in random directions of both."""
    generator = torch.Generator().manual_seed(0)
    leaf = images.detach().requires_grad_()
    logits = network(leaf)
    mixed = logits * torch.randn(logits.shape, generator=generator).to(logits)
    (gradient,) = torch.autograd.grad(mixed.sum(), leaf, create_graph=True)
    if not gradient.requires_grad:
        return True
    along = gradient * torch.randn(images.shape, generator=generator).to(images)
    (bend,) = torch.autograd.grad(along.sum(), leaf, allow_unused=True)
    return bend is None or bool(bend.eq(0).all())


def derivatives_of(function: str, logits: Tensor, jacobians: Tensor, labels: Tensor) -> Derivatives:
    """Return the derivatives of a function of the logits of a piecewise linear network, in closed form.

    The margin is itself piecewise linear, so that its Hessian is 0 at almost every image. That of the cross-entropy is
    Aᵀ (diag p − p pᵀ) A, p the softmax of the logits.

    Parameters
    ----------
    function
        ``margin``, ``confidence`` or ``cross_entropy``.
    logits, jacobians
        What `logit_jacobians` returns; float64, or eigenvalues near 0 are rounding alone.
    labels
        int64, shape (N,).
    """

    def of_one(logits_of_one: Tensor, label: Tensor) -> Tensor:
        return FUNCTIONS[function](logits_of_one[None], label[None])[0]

    slopes = vmap(grad(of_one))(logits, labels)
    bends = vmap(hessian(of_one))(logits, labels)
    # Aᵀ = Q R, so that the Hessian is Q (R ∇²g Rᵀ) Qᵀ and shares its eigenvalues with the small matrix in the middle.
    _, upper = torch.linalg.qr(jacobians.transpose(1, 2))
    middle = upper @ bends @ upper.transpose(1, 2)
    return Derivatives(
        gradient=torch.einsum("nc,ncp->np", slopes, jacobians),
        eigenvalues=torch.linalg.eigvalsh((middle + middle.transpose(1, 2)) / 2),
        jacobians=jacobians,
        bends=bends,
    )
