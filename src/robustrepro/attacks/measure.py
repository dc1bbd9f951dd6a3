"""Measure a model under a declared attack, image by image."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from robustrepro.attacks.active_set import ActiveSet, AttackOutcome, Progress, on_device, require_finite
from robustrepro.attacks.ascent import Ascent
from robustrepro.attacks.losses import PerExampleLoss, attack_loss, classification_margin
from robustrepro.attacks.threat_models import UNIT_BOX, Box
from robustrepro.spec.attacks import Clean, Fgsm, Pgd
from robustrepro.spec.registry import ATTACKS, resolve


def measure(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    spec: Clean | Fgsm | Pgd,
    *,
    seed: int,
    training_loss: PerExampleLoss | None = None,
    box: Box = UNIT_BOX,
    batch_size: int = 256,
    keep_adversarial: bool = False,
    progress: Progress | None = None,
) -> AttackOutcome:
    """Attack a whole test set and say what became of each image.

    The attack runs on a copy of the model, on the model's device; the model itself is left as it is, and so
    is the global random state. Each image's starts depend on the seed, its index and the restart only.
    Verdicts do not depend on ``batch_size``, except in float32 for an image whose margin is within rounding of
    zero (see `robustrepro.attacks.active_set`).

    Parameters
    ----------
    model
        Maps inputs to logits (N, classes), each row from its own input only; in evaluation mode.
    inputs
        Floats inside the box, shape (N, features) or (N, channels, height, width), on any device.
    labels
        int64, shape (N,).
    indices
        Each image's index in its data set, int64, shape (N,).
    spec
        The attack. With ``epsilon: 0`` nothing is attacked: the outcome is the clean one.
    seed
        The seed that the user sees.
    training_loss
        Per-example loss that ``loss: training`` stands for (see `robustrepro.attacks.losses.attack_loss`).
    box
        Range of valid pixels; None for inputs without one, such as toy data.
    batch_size
        Most images that go through the model at once; a matter of memory and speed.
    keep_adversarial
        Whether to return the adversarial inputs too.
    progress
        Called with how many more images have been decided.

    Raises
    ------
    ValueError
        If the model is in training mode, or inputs, labels and indices are not as described.
    UserError
        If the model returns logits that are not finite.
    OutsideThreatModelError
        If the attack leaves its ε-ball or the box.
    """
    _check_arguments(model, inputs, labels, indices, box, batch_size)
    precision = torch.float64 if isinstance(spec, Fgsm | Pgd) and spec.precision == "float64" else torch.float32
    device = next((weight.device for weight in model.parameters()), inputs.device)
    model = _working_copy(model, precision, channels_last=inputs.ndim == 4)
    inputs, labels, indices = inputs.detach().to(precision), labels.cpu(), indices.cpu()

    outcome = _clean_outcome(model, inputs, labels, indices, device, batch_size, keep_adversarial)
    if isinstance(spec, Clean) or spec.epsilon == 0:
        if progress is not None:
            progress(len(labels))
        return outcome
    ascent, loss = _ascent_of(spec, box), attack_loss(spec.loss, training_loss)
    attack = ActiveSet(model, ascent, loss, inputs, labels, outcome, seed=seed, device=device, batch_size=batch_size)
    if progress is not None:
        progress(len(labels) - len(attack.waiting))
    attack.run(progress)
    return outcome


def _ascent_of(spec: Fgsm | Pgd, box: Box) -> Ascent:
    """Return the declared attack as the active set runs it, from the attack's own file."""
    ascent_of: Callable[[Fgsm | Pgd, Box], Ascent] = resolve(ATTACKS, "attack", spec.name)
    return ascent_of(spec, box)


def _working_copy(model: nn.Module, precision: torch.dtype, *, channels_last: bool) -> nn.Module:
    """Return a copy with frozen weights, in the attack's precision and the faster memory format."""
    working = copy.deepcopy(model).to(precision).requires_grad_(False)
    return working.to(memory_format=torch.channels_last) if channels_last else working


def _clean_outcome(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    device: torch.device,
    batch_size: int,
    keep_adversarial: bool,
) -> AttackOutcome:
    """Classify every image, and return the outcome of an attack that does nothing."""
    with torch.no_grad():
        first = range(0, len(inputs), batch_size)
        logits = torch.cat([model(on_device(inputs[row : row + batch_size], device)).cpu() for row in first])
    require_finite(logits, "on clean images")
    if logits.ndim != 2 or len(logits) != len(labels) or logits.shape[1] < 2:
        found = f"shape {tuple(logits.shape)} for {len(labels)} images"
        raise ValueError(f"the model returned logits of {found}; expected (images, classes), two classes at least")
    if int(labels.max()) >= logits.shape[1] or int(labels.min()) < 0:
        found = f"{int(labels.min())} to {int(labels.max())}"
        raise ValueError(f"labels run from {found}; expected 0 to {logits.shape[1] - 1}, the model's classes")
    prediction, margin = logits.argmax(1), classification_margin(logits, labels)
    still = torch.zeros(len(labels), dtype=torch.float64)
    return AttackOutcome(
        index=indices,
        label=labels,
        clean_prediction=prediction,
        clean_margin=margin,
        prediction=prediction.clone(),
        margin=margin.clone(),
        linf=still,
        l2=still.clone(),
        queries=torch.ones_like(labels),
        restart=torch.full_like(labels, -1),
        adversarial=inputs.to("cpu", copy=True) if keep_adversarial else None,
    )


def _check_arguments(
    model: nn.Module, inputs: Tensor, labels: Tensor, indices: Tensor, box: Box, batch_size: int
) -> None:
    """Refuse what would be measured wrongly rather than fail."""
    training = next((name or "the model" for name, module in model.named_modules() if module.training), None)
    if training is not None:
        raise ValueError(f"{training} is in training mode; call model.eval() before an attack")
    if inputs.ndim not in (2, 4) or not inputs.is_floating_point():
        found = f"{inputs.dtype} of shape {tuple(inputs.shape)}"
        raise ValueError(f"inputs are {found}; expected floats, (N, features) or (N, channels, height, width)")
    for what, values in (("labels", labels), ("indices", indices)):
        if values.dtype != torch.int64 or values.shape != inputs.shape[:1]:
            found = f"{values.dtype} of shape {tuple(values.shape)}"
            raise ValueError(f"{what} are {found}; expected int64 of shape ({len(inputs)},), one an input")
    if len(inputs) == 0:
        raise ValueError("there are no inputs; expected at least one")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; expected at least 1")
    low, high = inputs.min().item(), inputs.max().item()
    allowed = box or (float("-inf"), float("inf"))
    if not (allowed[0] <= low and high <= allowed[1]) or not bool(inputs.isfinite().all()):
        expected = "finite values" if box is None else f"[{box[0]:g}, {box[1]:g}]"
        raise ValueError(f"inputs run from {low:g} to {high:g}; expected {expected}. Pass box=None for unbounded data")
