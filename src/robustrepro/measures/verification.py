"""Which images no adversary in an ℓ∞ ball can have misclassified: exactly."""

from __future__ import annotations

import numpy as np
import torch

from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.measures.attack import attacked
from robustrepro.measures.step import Columns
from robustrepro.measures.trained import Trained
from robustrepro.spec.measurements import Verification
from robustrepro.steps import Progress
from robustrepro.verification.verify import Decision, Verifier


def measure(trained: Trained, declared: Verification, progress: Progress) -> Columns:
    """Return one row per image.

    A witness is a point of the ball, in the range of valid pixels, that the network misclassifies in float64.

    Returns
    -------
    ``index``, ``label``, ``clean_prediction``, and the ``verdict``: ``verified``, ``falsified`` (there is a witness) or
    ``unresolved``. ``stage`` is what decided (`robustrepro.verification.verify.STAGES`). ``margin`` is the logit of the
    label minus the largest other one at the witness, or the lower bound over the ball that verified the image; NaN
    where it is unresolved.

    Of the ReLUs over the ball: ``unstable`` may be either active or inactive, ``inactive`` are so throughout, and
    ``last_unstable`` and ``last_inactive`` are those of the last layer; −1 where bounds were not needed. ``seconds`` is
    the time that bounds and programs took.

    Raises
    ------
    UserError
        If the network has a layer that cannot be verified; the message names it. If HiGHS is not there, or fails.
    """
    examples = trained.examples(declared.split, declared.examples)
    shape = tuple(examples.inputs.shape[1:])
    verifier = Verifier.of(trained.network, shape, declared.attack.epsilon, examples.box, declared.seconds)
    progress.expect(2 * len(examples.labels))
    outcome = attacked(trained, declared.attack, examples, progress, keep_adversarial=True)
    assert isinstance(outcome, AttackOutcome)
    assert outcome.adversarial is not None
    decisions = []
    for decision in verifier.decide(examples.inputs, examples.labels, outcome.adversarial):
        decisions.append(decision)
        progress.advance(1)
    return {
        "index": examples.index,
        "label": examples.labels,
        "clean_prediction": outcome.clean_prediction,
        **_columns(decisions),
    }


def _columns(decisions: list[Decision]) -> Columns:
    return {
        "verdict": np.array([each.verdict for each in decisions]),
        "stage": np.array([each.stage for each in decisions]),
        "margin": torch.tensor([each.margin for each in decisions], dtype=torch.float64),
        "unstable": torch.tensor([sum(each.unstable) if each.unstable else -1 for each in decisions]),
        "inactive": torch.tensor([sum(each.inactive) if each.unstable else -1 for each in decisions]),
        "last_unstable": torch.tensor([each.unstable[-1] if each.unstable else -1 for each in decisions]),
        "last_inactive": torch.tensor([each.inactive[-1] if each.unstable else -1 for each in decisions]),
        "seconds": torch.tensor([each.seconds for each in decisions], dtype=torch.float64),
    }
