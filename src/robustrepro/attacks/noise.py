"""Uniformly random points of the ball: what a model loses to chance, and no attack should fall short of."""

from __future__ import annotations

from robustrepro.attacks.ascent import Ascent
from robustrepro.attacks.losses import margin
from robustrepro.attacks.threat_models import Box, ThreatModel
from robustrepro.losses import PerExampleLoss
from robustrepro.spec.attacks import Noise


def ascent_of(spec: Noise, box: Box, _training_loss: PerExampleLoss | None) -> Ascent:
    """Return the declared attack as the active set runs it: random starts that take no step.

    A draw is a restart, so its point is the one that PGD's restart of the same number begins at.
    """
    threat = ThreatModel(spec.norm, spec.epsilon, box)
    return Ascent(spec.name, threat, steps=0, step_size=0.0, loss=margin, restarts=spec.draws, from_noise=True)
