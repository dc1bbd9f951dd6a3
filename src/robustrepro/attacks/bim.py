"""The basic iterative method: FGSM in small steps, from the image itself."""

from __future__ import annotations

from robustrepro.attacks.ascent import Ascent
from robustrepro.attacks.losses import attack_loss
from robustrepro.attacks.threat_models import Box, ThreatModel
from robustrepro.losses import PerExampleLoss
from robustrepro.spec.attacks import Bim


def ascent_of(spec: Bim, box: Box, training_loss: PerExampleLoss | None) -> Ascent:
    """Return the declared attack as the active set runs it.

    References
    ----------
    Kurakin, Goodfellow & Bengio, "Adversarial Examples in the Physical World", 2017.
    """
    return Ascent(
        spec.name,
        ThreatModel(spec.norm, spec.epsilon, box),
        spec.steps,
        spec.step_size,
        attack_loss(spec.loss, training_loss),
        search=spec.search,
    )
