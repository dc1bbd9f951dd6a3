"""AutoAttack, run through the library `pyautoattack`, whose numerics are its authors'."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import pyautoattack  # type: ignore[import-untyped]
import torch
import torch.nn.functional as F  # noqa: N812 (its usual name)
from torch import Tensor, nn

from robustrepro.attacks.active_set import Progress
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.attacks.recorded import global_state_kept, record, standing_images
from robustrepro.attacks.subject import Subject, on_device
from robustrepro.attacks.threat_models import ThreatModel
from robustrepro.errors import UserError
from robustrepro.precision import true_float32
from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import AutoAttack

ROOM = 1.01
"""How many ε the library's range goes beyond the images' own, where nothing is clipped: rounding shall not matter."""
TILES = AutoAttack.LEAST_HEIGHT
"""How many tiles Square lays along the height."""
SQUARE = 3
"""The number of Square, which asks for scores and follows no gradient, in the ensemble of either version."""
LIBRARY_NORMS = {"linf": "Linf", "l2": "L2", "l1": "L1"}

# Without a handler of its own, logging would print the library's warnings; whoever sets logging up still gets them.
logging.getLogger("auto-attack").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class _Scale:
    """How the library sees an image: it moves pixels in [0, 1] alone, which stand for ``low`` + ``width`` · pixel.

    Where nothing is clipped, this is so wide that no point of a ball comes near its ends. Below and to the right it
    sees as many grey ``rows`` and ``columns``, which the model does not.
    """

    low: float
    width: float
    rows: int = 0
    columns: int = 0

    @classmethod
    def of(cls, subject: Subject, spec: AutoAttack) -> _Scale:
        """Return the scale of the subject's images for a ball: no pixel moves by more than ε, whatever the norm."""
        rows, columns = (0, 0) if spec.norm == "linf" else _room_for_tiles(*subject.inputs.shape[2:])
        if subject.box is not None:
            return cls(subject.box[0], subject.box[1] - subject.box[0], rows, columns)
        low, high = (float(end) for end in subject.inputs.aminmax())
        room = ROOM * spec.epsilon
        return cls(low - room, high - low + 2 * room, rows, columns)

    def seen(self, images: Tensor) -> Tensor:
        """Return images as the library sees them."""
        return (
            images
            if self.is_plain
            else F.pad((images - self.low) / self.width, (0, self.columns, 0, self.rows), value=0.5)
        )

    def meant(self, seen: Tensor) -> Tensor:
        """Return the images that it means."""
        if self.is_plain:
            return seen
        height, width = (side - more for side, more in zip(seen.shape[2:], (self.rows, self.columns), strict=True))
        return self.low + self.width * seen[:, :, :height, :width]

    @property
    def is_plain(self) -> bool:
        """Whether the library sees the images as they are."""
        return self == _Scale(0.0, 1.0)


def _room_for_tiles(height: int, width: int) -> tuple[int, int]:
    """Return the fewest rows and columns that images need more, so that the first tiles of Square lie inside them.

    On ℓ2 and ℓ1 the library begins with tiles of a fifth of the height, behind a margin. For some sizes, such as 14 and
    24, the last of them reach beyond the image, on which it fails.
    """

    def fit(rows: int, columns: int) -> bool:
        tile = (height + rows) // TILES
        if tile == 1:  # such tiles are left out where they would lie outside
            return True
        margin = (height + rows - TILES * tile) // 2
        return all(margin + side // tile * tile <= side for side in (height + rows, width + columns))

    sizes = ((rows, more - rows) for more in range(height + width) for rows in range(more + 1))
    return next((size for size in sizes if fit(*size)), (0, 0))


class _CountedModel(nn.Module):
    """The model as the library sees it, and how many rows have gone through it."""

    def __init__(self, subject: Subject, scale: _Scale) -> None:
        super().__init__()
        self.subject, self.scale = subject, scale
        self.rows = 0

    def forward(self, points: Tensor) -> Tensor:
        """Return the logits, and count."""
        self.rows += len(points)
        logits: Tensor = self.subject.model(on_device(self.scale.meant(points), self.subject.device))
        logits = logits.to(points.dtype)
        if points.requires_grad and not logits.requires_grad:
            # The library asks for a gradient whatever the model; one behind a `detach` has none, which is zero.
            logits = logits + 0 * points.flatten(1).sum(1, keepdim=True)
        return logits


def autoattack(subject: Subject, spec: AutoAttack, outcome: AttackOutcome, progress: Progress | None) -> None:
    """Attack the images that the model gets right, one attack of the ensemble after the other.

    The library clips to [0, 1]. Where nothing is to be clipped, or to another range, it sees the images rescaled.

    Only images that still resist go on to the next attack. Every point that the library returns must lie in the threat
    model, and an image counts as broken only if the model, asked again, errs on its point. Here ``restart`` is the
    number of the attack in the ensemble that broke the image. For an image that none broke the library returns the
    image itself, so margin and distances are the clean ones.

    ``queries`` is exact over each attack of the ensemble and its images together, but not for each image: the library
    takes images out of its batches without saying which, so its passes are shared out equally among the images that
    entered the attack. The few passes with which it inspects a model before each attack are counted too.

    Parameters
    ----------
    subject
        The model and the test set, in float32.
    spec
        The attack.
    outcome
        The clean outcome, to be filled in.
    progress
        Called with how many more images have been decided.

    Raises
    ------
    UserError
        If the model has too few classes, or the inputs are no images that AutoAttack can attack.
    OutsideThreatModelError
        If a returned point is not in the threat model.
    """
    standing = standing_images(outcome, progress)
    if len(standing) == 0:
        return
    classes = _classes(subject, spec)
    scale = _Scale.of(subject, spec)
    counted, threat = _CountedModel(subject, scale), ThreatModel(spec.norm, spec.epsilon, subject.box)
    ensemble = _ensemble(counted, subject, spec, classes)
    with true_float32(), global_state_kept():
        for number, attack in enumerate(tuple(ensemble.attacks_to_run)):
            ensemble.attacks_to_run = [attack]
            images, labels = subject.inputs[standing.to(subject.inputs.device)].cpu(), subject.labels[standing]
            counted.rows = 0
            seen = scale.seen(images)
            found, _ = ensemble.run_standard_evaluation(seen, labels, batch_size=subject.batch_size)
            # There and back again is a rounding error away from an image, and from the edge of its ball. Where that
            # alone changes what the model says, the library takes the image for broken already and leaves it there.
            returned = found if scale.is_plain else threat.project(scale.meant(found), images)
            moved = (returned != images).flatten(1).any(1)
            outcome.queries[standing] += round(counted.rows / len(standing))
            broken = torch.zeros_like(moved)
            found_there = (standing[moved], returned[moved], images[moved])
            name = f"{spec.name} ({attack})"
            broken[moved] = record(subject, outcome, *found_there, threat=threat, attack=name, number=number)
            standing = standing[~broken]
            if progress is not None:
                progress(int(broken.sum()))
            if len(standing) == 0:
                return
    if progress is not None:
        progress(len(standing))


def _classes(subject: Subject, spec: AutoAttack) -> int:
    """Return how many classes the model has, or say why the library cannot attack it."""
    shape = tuple(subject.inputs.shape[1:])
    if len(shape) != 3:
        raise UserError(f"attack '{spec.name}' needs images; found shape {shape}")
    if spec.norm != "linf" and shape[1] < spec.LEAST_HEIGHT:
        raise UserError(
            f"attack '{spec.name}' with norm {spec.norm} needs images of height {spec.LEAST_HEIGHT} at least; found "
            f"{shape}"
        )
    with torch.no_grad():
        classes = int(subject.model(subject.images(torch.tensor([0]))).shape[1])
    if classes < spec.FEWEST_CLASSES:
        needed = f"attack '{spec.name}' needs a model with at least {spec.FEWEST_CLASSES} classes"
        raise UserError(
            f"{needed}, for its targeted DLR loss; this one has {classes}. Use 'pgd' with restarts and the loss "
            "'margin' instead"
        )
    return classes


def _ensemble(counted: _CountedModel, subject: Subject, spec: AutoAttack, classes: int) -> pyautoattack.AutoAttack:
    """Return the library's ensemble, set up for the model at hand."""
    ensemble = pyautoattack.AutoAttack(
        counted,
        norm=LIBRARY_NORMS[spec.norm],
        eps=spec.epsilon / counted.scale.width,
        seed=derive_seed(subject.seed, "autoattack"),
        device=subject.device,
        version=spec.version,
    )
    ensemble.verbose = False
    ensemble.apgd.n_iter = ensemble.apgd_targeted.n_iter = ensemble.fab.n_iter = spec.steps
    # In an l1 ball APGD shares out the steps that it was made with.
    ensemble.apgd.n_iter_orig = ensemble.apgd_targeted.n_iter_orig = spec.steps
    ensemble.square.n_queries = spec.square_queries
    for targeted in (ensemble.fab, ensemble.apgd_targeted):
        targeted.n_target_classes = min(targeted.n_target_classes, classes - 1)
    return ensemble
