"""How steep and how curved the functions of a model's answer are around each image."""

from __future__ import annotations

import copy

import torch

from robustrepro.derivatives import derivatives_of, is_piecewise_linear, logit_jacobians
from robustrepro.errors import UserError
from robustrepro.logit_functions import FUNCTIONS
from robustrepro.measures.step import Columns
from robustrepro.measures.store import stacked
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import InputGeometry
from robustrepro.steps import Progress

BATCH_SIZE = 20
"""Images at a time."""


def measure(trained: Trained, declared: InputGeometry, progress: Progress) -> Columns:
    """Return one row per image and function, computed in float64.

    Returns
    -------
    ``index``, ``label``, ``prediction``, ``function``, and its ``value`` g(x).

    Of the gradient ``gradient_l1``, Σ|∂g/∂xᵢ|, and ``gradient_zeros``, the share of pixels where |∂g/∂xᵢ| is below the
    declared threshold. Of the Hessian ``hessian_l1``, the sum of |∂²g/∂xᵢ∂xⱼ|, ``eigenvalues_l1``, Σ|λᵢ|, and
    ``eigenvalue_zeros``, the share of all its eigenvalues with |λᵢ| below the other threshold. Pixels are in units of
    the range [0, 1].

    Raises
    ------
    UserError
        If the network is not piecewise linear, so that there is no closed form.
    """
    examples = trained.examples(declared.split, declared.examples)
    network = copy.deepcopy(trained.network).double()
    progress.expect(len(examples.labels))
    rows = []
    for place in torch.split(torch.arange(len(examples.labels)), BATCH_SIZE):
        images = examples.inputs[place].to(trained.device, torch.float64)
        labels = examples.labels[place].to(trained.device)
        if not is_piecewise_linear(network, images):
            raise UserError(f"{trained.model}: its logits bend between kinks; expected linear layers and ReLUs alone")
        logits, jacobians = logit_jacobians(network, images)
        pixels = jacobians.shape[2]
        for function in declared.functions:
            found = derivatives_of(function, logits, jacobians, labels)
            gradient, eigenvalues = found.gradient.abs(), found.eigenvalues.abs()
            small = eigenvalues.lt(declared.zero_eigenvalue).sum(1) + pixels - eigenvalues.shape[1]
            columns = {
                "index": examples.index[place],
                "label": examples.labels[place],
                "prediction": logits.argmax(1),
                "value": FUNCTIONS[function](logits, labels),
                "gradient_l1": gradient.sum(1),
                "gradient_zeros": gradient.lt(declared.zero_gradient).double().mean(1),
                "hessian_l1": found.hessian_l1(),
                "eigenvalues_l1": eigenvalues.sum(1),
                "eigenvalue_zeros": small / pixels,
            }
            rows.append({"function": function, **{name: values.cpu().numpy() for name, values in columns.items()}})
        progress.advance(len(place))
    return stacked(rows)
