"""What attacks that run in a library, or by queries alone, bring back: asked of the model again, and written down."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from robustrepro.attacks.active_set import Progress
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.norms import NORMS
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.attacks.subject import Subject, on_device, require_finite
from robustrepro.attacks.threat_models import ThreatModel


def standing_images(outcome: AttackOutcome, progress: Progress | None) -> Tensor:
    """Return the positions of the images that the model gets right, int64; the others count as decided."""
    standing = (outcome.clean_prediction == outcome.label).nonzero().flatten()
    if progress is not None:
        progress(len(outcome.label) - len(standing))
    return standing


def record(
    subject: Subject,
    outcome: AttackOutcome,
    positions: Tensor,
    points: Tensor,
    images: Tensor,
    *,
    threat: ThreatModel,
    attack: str,
    number: int = 0,
) -> Tensor:
    """Check and classify points, write down those that the model errs on, and return which these are, bool, shape (N,).

    Parameters
    ----------
    subject
        The model and the test set.
    outcome
        To be filled in.
    positions
        Of the images in the test set, int64, shape (N,).
    points, images
        What the attack returned and what it began from, shape (N, ...), on the CPU; there may be none.
    threat, attack
        Where it may go, and its name, for messages.
    number
        Of the attack in an ensemble, or of the restart.

    Raises
    ------
    UserError
        If logits are not finite.
    OutsideThreatModelError
        If a point is not in the threat model.
    """
    if not len(positions):
        return torch.zeros(0, dtype=torch.bool)
    threat.check(points, images, attack)
    with torch.no_grad():
        batches = torch.split(points, subject.batch_size)
        logits = torch.cat([subject.model(on_device(batch, subject.device)).to(batch.dtype).cpu() for batch in batches])
    require_finite(logits, f"under attack '{attack}'")
    outcome.queries[positions] += 1
    broken = logits.argmax(1) != outcome.label[positions]
    hit, difference = positions[broken], (points.double() - images.double())[broken]
    outcome.prediction[hit] = logits.argmax(1)[broken]
    outcome.margin[hit] = classification_margin(logits, outcome.label[positions])[broken]
    outcome.linf[hit], outcome.l2[hit] = NORMS["linf"].length(difference), NORMS["l2"].length(difference)
    outcome.restart[hit] = number
    if outcome.adversarial is not None:
        outcome.adversarial[hit] = points[broken]
    return broken


@contextmanager
def global_state_kept() -> Iterator[None]:
    """Restore, after the block, PyTorch's random state and the tracer, which libraries of attacks set."""
    tracer = sys.gettrace()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):
            yield
    finally:
        sys.settrace(tracer)
