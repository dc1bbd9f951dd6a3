"""A layer perturbed by more and more percent, and each such network on the trained one's adversarial examples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from robustrepro.errors import UserError
from robustrepro.measures.attack import attacked
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.models.changes.remove_rarely_active import Activity, activity_on, without_units
from robustrepro.models.changes.truncate_singular_values import Truncation
from robustrepro.models.fully_connected import from_layer_on, fully_connected, inputs_of
from robustrepro.spec.measurements import Method, WeightPerturbation
from robustrepro.steps import Progress

CHECKED = 16
"""On so many images the rest of the network is compared with the whole."""
TOLERANCE = 1e-3
"""How far their logits may be apart, relative to the largest of them."""


@dataclass(frozen=True, eq=False)
class Perturbable:
    """A fully connected layer, and what tells how it is perturbed; nothing is computed twice for another percentage.

    Attributes
    ----------
    weight, bias
        Shapes (outputs, inputs) and (outputs,).
    truncation
        Of the weight.
    activity
        Of its units; None where no method asks for it.
    """

    weight: Tensor
    bias: Tensor | None
    truncation: Truncation
    activity: Activity | None

    def perturbed(self, method: Method, percent: float) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias, as a model that is derived by this method has them."""
        weight = self.weight if method == "remove_rarely_active" else self.truncation.at(percent)
        if self.activity is None or method == "truncate_singular_values":
            return weight, self.bias
        return without_units(weight, self.bias, self.activity.rarely(percent), self.activity.side)


@torch.no_grad()
def measure(trained: Trained, declared: WeightPerturbation, progress: Progress) -> Columns:
    """Attack a model, and have its perturbed forms classify the images and their adversarial examples.

    What comes before the layer is computed once for all of them. Where the layer is as it was, predictions are those of
    the attack; elsewhere, an example that is misclassified by rounding alone, as DeepFool's may be, can be classified
    right for no other reason than that it is computed in another order.

    Returns
    -------
    One row per image, method and percentage: ``index``, ``label``, ``method``, ``percent``, ``clean_prediction``
    (the trained model's), ``prediction`` (for the adversarial example), ``unattacked`` (for the image), ``linf`` and
    ``l2`` (how far the image was moved, in pixel units; infinite where an attack without a bound failed, while one in a
    ball leaves the point where it ended).
    """
    examples = trained.examples(declared.split, declared.examples, declared.clipped)
    percents = range(0, declared.up_to + 1, declared.every)
    variants = [(method, percent) for method in declared.methods for percent in percents]
    progress.expect(len(examples.labels) + len(variants))
    outcome = attacked(trained, declared.attack, examples, progress, keep_adversarial=True)
    assert outcome.adversarial is not None
    adversarial = outcome.adversarial.to(examples.inputs.dtype)
    activity = None
    if set(declared.methods) != {"truncate_singular_values"}:
        images = trained.split(declared.activity).inputs
        activity = activity_on(trained.network, declared.layer, images, declared.side)
    linear = fully_connected(trained.network, declared.layer)
    layer = Perturbable(linear.weight, linear.bias, Truncation(linear.weight), activity)
    rest = _rest(trained.network, declared.layer, examples.inputs.to(trained.device))
    features = [
        torch.cat([*inputs_of(trained.network, declared.layer, images)]) for images in (examples.inputs, adversarial)
    ]
    answers: list[list[Tensor]] = [[], []]
    for method, percent in variants:
        weight, bias = layer.perturbed(method, percent)
        if torch.equal(weight, linear.weight) and (bias is None or torch.equal(bias, linear.bias)):
            found = [outcome.clean_prediction, outcome.prediction]
        else:
            outputs = (nn.functional.linear(inputs, weight, bias) for inputs in features)
            found = [rest(each).argmax(1).cpu() for each in outputs]
        for side, predictions in zip(answers, found, strict=True):
            side.append(predictions.to(torch.int16))
        progress.advance(1)
    count = len(examples.labels)
    return {
        "index": examples.index.repeat(len(variants)),
        "label": examples.labels.repeat(len(variants)),
        "method": np.repeat([method for method, _ in variants], count),
        "percent": np.repeat([percent for _, percent in variants], count),
        "prediction": torch.cat(answers[1]).long(),
        "unattacked": torch.cat(answers[0]).long(),
        "clean_prediction": outcome.clean_prediction.repeat(len(variants)),
        "linf": outcome.linf.repeat(len(variants)),
        "l2": outcome.l2.repeat(len(variants)),
    }


def _rest(network: nn.Module, layer: str, images: Tensor) -> Callable[[Tensor], Tensor]:
    """Return the network from a layer's outputs on, known to be that of the whole on some images.

    Raises
    ------
    UserError
        If it is not: the network uses more than this layer's outputs.
    """
    rest, some = from_layer_on(network, layer, images[:1]), images[:CHECKED]
    inputs: Iterator[Tensor] = inputs_of(network, layer, some)
    own, whole = rest(fully_connected(network, layer)(next(inputs))), network(some)
    if bool((own - whole).abs().max() > TOLERANCE * whole.abs().max()):
        raise UserError(
            f"layer '{layer}': the network's answers depend on more than this layer's outputs, so that what comes "
            "before cannot be shared; derive a model for each percentage"
        )
    return rest
