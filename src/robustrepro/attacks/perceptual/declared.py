"""Perceptual attacks as papers declare them: run on a whole test set, image by image, or on the batch of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from robustrepro.attacks.active_set import Progress
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.norms import NORMS
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.attacks.perceptual.perturbed import Perturbed
from robustrepro.attacks.subject import Subject, require_finite
from robustrepro.attacks.threat_models import UNIT_BOX, OutsideThreatModelError
from robustrepro.errors import UserError
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import PerceptualAttack

Declared = TypeVar("Declared", bound=PerceptualAttack)


@dataclass(frozen=True, eq=False)
class Batch:
    """What a perceptual attack is run on.

    Attributes
    ----------
    model
        Maps images to logits; used in the mode that it is in.
    images, labels
        Shape (N, channels, height, width), in [0, 1], and int64, shape (N,), on the model's device.
    seed, indices
        What fixes the random start of each image: a seed, and the image's index in its data set, int64, shape (N,).
    others
        The other networks that the declaration names, in evaluation mode, on the same device.
    """

    model: nn.Module
    images: Tensor
    labels: Tensor
    seed: int
    indices: Tensor
    others: Mapping[str, nn.Module]


class DeclaredAttack(Generic[Declared]):
    """A perceptual attack as `robustrepro.attacks.measure.measure` and adversarial training run it.

    Parameters
    ----------
    perturb
        Runs it, as declared, on one batch.
    """

    def __init__(self, perturb: Callable[[Declared, Batch], Perturbed]) -> None:
        self._perturb = perturb

    def __call__(self, subject: Subject, declared: Declared, outcome: AttackOutcome, progress: Progress | None) -> None:
        """Attack the images that the model gets right, once each, and fill in what the attack ends with.

        That is also entered where the model gets it right: in the faithful form the margin may then be larger than that
        of the image, and the size beyond the bound. Here ``restart`` is 0 where the model errs.

        ``queries`` counts every pass through the attacked model, also for its features, and the one of the verdict, but
        none through another network. It is exact over all attacked images together, and shared out equally among them.

        Parameters
        ----------
        subject
            The model and the test set, in float32.
        declared
            The attack.
        outcome
            The clean outcome, to be filled in; it has sizes.
        progress
            Called with how many more images have been decided.

        Raises
        ------
        UserError
            If the inputs are no images in [0, 1], the model returns logits that are not finite, or it has not the
            layers whose features are compared.
        OutsideThreatModelError
            If a returned image is not in [0, 1] or, in the corrected form, beyond the bound.
        """
        _require_images(subject, declared.name)
        standing = (outcome.clean_prediction == outcome.label).nonzero().flatten()
        if progress is not None:
            progress(len(outcome.label) - len(standing))
        if len(standing) == 0:
            return
        with true_float32(), _watched(subject.model, declared.name) as passed:
            for positions in torch.split(standing, subject.batch_size):
                images, labels = subject.images(positions), subject.labels[positions].to(subject.device)
                indices = subject.indices[positions]
                found = self._perturb(
                    declared, Batch(subject.model, images, labels, subject.seed, indices, subject.others)
                )
                _check(found, declared)
                _record(subject.model, outcome, positions, images, found)
                if progress is not None:
                    progress(len(positions))
        share, rest = divmod(sum(passed), len(standing))
        outcome.queries[standing] += share
        outcome.queries[standing[:rest]] += 1

    def examples(
        self,
        declared: Declared,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        seed: int,
        indices: Tensor,
        others: Mapping[str, nn.Module],
    ) -> Tensor:
        """Return what the attack makes of a batch, shape of the images; the parameters are those of `Batch`."""
        return self._perturb(declared, Batch(model, images, labels, seed, indices, others)).images.detach()


def _require_images(subject: Subject, attack: str) -> None:
    shape = tuple(subject.inputs.shape[1:])
    if len(shape) != 3:
        raise UserError(f"attack '{attack}' needs images; found shape {shape}")
    if subject.box != UNIT_BOX:
        raise UserError(f"attack '{attack}' needs images with pixels in [0, 1]; found the range {subject.box}")


@contextmanager
def _watched(model: nn.Module, attack: str) -> Iterator[list[int]]:
    """Refuse logits of a model that are not finite, in the block, and collect how many rows each pass had."""
    rows: list[int] = []

    def watch(_: nn.Module, __: object, logits: Tensor) -> None:
        require_finite(logits, f"under attack '{attack}'")
        rows.append(len(logits))

    handle = model.register_forward_hook(watch)
    try:
        yield rows
    finally:
        handle.remove()


def _check(found: Perturbed, declared: PerceptualAttack) -> None:
    """Refuse pixels outside [0, 1] and, in the corrected form, sizes beyond the bound, but for rounding."""
    rounding = 4 * torch.finfo(found.images.dtype).eps
    low, high = (float(end) for end in found.images.aminmax())
    # NaN is outside: every comparison with it is false.
    if not (low >= -rounding and high <= 1 + rounding):
        raise OutsideThreatModelError(
            f"attack '{declared.name}' returned pixels from {low:.6g} to {high:.6g}; expected [0, 1]"
        )
    largest = float(found.size.max())
    if declared.form == "corrected" and not largest <= declared.bound + rounding * max(1.0, declared.bound):
        raise OutsideThreatModelError(
            f"attack '{declared.name}' returned an image of size {largest:.6g}, outside the bound of {declared.bound:g}"
        )


def _record(model: nn.Module, outcome: AttackOutcome, positions: Tensor, images: Tensor, found: Perturbed) -> None:
    """Classify what an attack ends with, and enter it."""
    with torch.no_grad():
        logits = model(found.images).cpu()
    labels, difference = outcome.label[positions], found.images.double() - images.double()
    outcome.prediction[positions] = logits.argmax(1)
    outcome.margin[positions] = classification_margin(logits, labels)
    outcome.linf[positions] = NORMS["linf"].length(difference).cpu()
    outcome.l2[positions] = NORMS["l2"].length(difference).cpu()
    outcome.restart[positions[logits.argmax(1) != labels]] = 0
    assert outcome.size is not None
    outcome.size[positions] = found.size.double().cpu()
    if outcome.adversarial is not None:
        outcome.adversarial[positions] = found.images.cpu()
