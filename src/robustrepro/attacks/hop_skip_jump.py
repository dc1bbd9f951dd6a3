"""HopSkipJump, which sees labels alone, run through the library Foolbox."""

from __future__ import annotations

import torch
from foolbox.attacks.hop_skip_jump import HopSkipJumpAttack
from foolbox.criteria import Misclassification
from foolbox.models.pytorch import PyTorchModel
from torch import Tensor, nn

from robustrepro.attacks.active_set import Progress
from robustrepro.attacks.norms import NORMS
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.attacks.recorded import global_state_kept, record, standing_images
from robustrepro.attacks.subject import Subject
from robustrepro.attacks.threat_models import UNIT_BOX, ThreatModel
from robustrepro.errors import UserError
from robustrepro.precision import true_float32
from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import HopSkipJump


def hop_skip_jump(subject: Subject, spec: HopSkipJump, outcome: AttackOutcome, progress: Progress | None) -> None:
    """Attack the images that the model gets right, each from the nearest other image that it takes for another class.

    The library moves along the decision boundary, by gradients that it estimates from labels, and makes the distance
    small; an image counts as broken where that ends within ε. For the others the outcome stays that of the clean image.

    ``queries`` is exact over a batch, whose passes are shared out equally among its images.

    Parameters
    ----------
    subject
        The model and the test set; where the model gives every image one class, there is nothing to begin from, and no
        image is attacked.
    spec
        The attack.
    outcome
        The clean outcome, to be filled in.
    progress
        Called with how many more images have been decided.

    Raises
    ------
    UserError
        If pixels are not in [0, 1], to which the library clips, or logits are not finite.

    References
    ----------
    Chen, Jordan & Wainwright, "HopSkipJumpAttack: A Query-Efficient Decision-Based Attack", 2020.
    """
    assert spec.norm != "l1"  # which a spec says of itself
    if subject.box != UNIT_BOX:
        raise UserError(f"attack '{spec.name}' needs pixels in [0, 1], to which its library clips; found {subject.box}")
    standing = standing_images(outcome, progress)
    if not len(standing) or bool((outcome.clean_prediction == outcome.clean_prediction[0]).all()):
        if progress is not None:
            progress(len(standing))
        return
    counted = _Counted(subject.model)
    attack = HopSkipJumpAttack(steps=spec.steps, max_gradient_eval_steps=spec.samples, constraint=spec.norm)
    threat = ThreatModel(spec.norm, spec.epsilon, subject.box)
    for positions in torch.split(standing, subject.batch_size):
        images, labels = subject.images(positions).contiguous(), subject.labels[positions].to(subject.device)
        starts = subject.images(_nearest_of_another_class(subject, outcome, positions, spec)).contiguous()
        counted.rows = 0
        with true_float32(), torch.no_grad(), global_state_kept():
            torch.manual_seed(derive_seed(subject.seed, spec.name, int(subject.indices[positions[0]])))
            model = PyTorchModel(counted.eval(), bounds=(0, 1), device=subject.device)
            found = attack.run(model, images, Misclassification(labels), starting_points=starts).cpu()
        outcome.queries[positions] += round(counted.rows / len(positions))
        original = images.cpu()
        near = NORMS[spec.norm].length(found.double() - original.double()) <= spec.epsilon
        record(subject, outcome, positions[near], found[near], original[near], threat=threat, attack=spec.name)
        if progress is not None:
            progress(len(positions))


class _Counted(nn.Module):
    """The model, and how many rows have gone through it."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.rows = model, 0

    def forward(self, points: Tensor) -> Tensor:
        """Return the logits, and count."""
        self.rows += len(points)
        logits: Tensor = self.model(points)
        return logits.to(points.dtype)


def _nearest_of_another_class(subject: Subject, outcome: AttackOutcome, positions: Tensor, spec: HopSkipJump) -> Tensor:
    """Return, for each image, the position of the nearest one that the model gives another class than its label."""
    flat = subject.inputs.flatten(1)
    nearest = []
    for position in positions.tolist():
        others = (outcome.clean_prediction != outcome.label[position]).nonzero().flatten().to(flat.device)
        distances = NORMS[spec.norm].length((flat[others] - flat[position]).double())
        nearest.append(int(others[int(distances.argmin())]))
    return torch.tensor(nearest)
