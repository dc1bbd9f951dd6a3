"""One attack at many ε in one go: accuracy against ε, per image."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from robustrepro.attacks.active_set import ActiveSet, Progress
from robustrepro.attacks.ascent import declared_ascent
from robustrepro.attacks.outcome import CurveOutcome
from robustrepro.attacks.precision import PRECISIONS
from robustrepro.attacks.subject import subject_of
from robustrepro.attacks.threat_models import UNIT_BOX, Box
from robustrepro.losses import PerExampleLoss
from robustrepro.spec.attacks import Curve, GradientAttack


def attacks_of(curve: Curve) -> list[GradientAttack]:
    """Return the attack at each ε of a curve; steps are as long as its ``relative_step`` times ε."""
    return [_attack_at(curve, epsilon) for epsilon in curve.epsilons]


def _attack_at(curve: Curve, epsilon: float) -> GradientAttack:
    attack = curve.attack
    options = attack.model_dump()
    if "relative_step" in options:
        options["step_size"] = options.pop("relative_step") * epsilon
    return attack.in_a_ball(epsilon=epsilon, **options)


def measure_curve(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    indices: Tensor,
    spec: Curve,
    *,
    seed: int,
    training_loss: PerExampleLoss | None = None,
    box: Box = UNIT_BOX,
    batch_size: int = 256,
    progress: Progress | None = None,
) -> CurveOutcome:
    """Attack every image at every ε, each pair by itself, as a separate `measure` at that ε would.

    One pool holds all pairs of image and ε, so that its batches are full whatever the ε; all ε share the clean
    pass, and with it the first gradient of FGSM and BIM. An image broken at one ε is still attacked at the
    larger ones: a masked model may well be right again there, and a curve has to show it.

    Parameters
    ----------
    model, inputs, labels, indices, seed, training_loss, box, batch_size
        As for `robustrepro.attacks.measure.measure`.
    spec
        The attack and its ε.
    progress
        Called with how many more pairs of image and ε have been decided.

    Returns
    -------
    One row per pair, the ε of an image together.

    Raises
    ------
    ValueError, UserError, OutsideThreatModelError
        As `robustrepro.attacks.measure.measure`.
    """
    precision = PRECISIONS[spec.attack.precision]
    subject = subject_of(model, inputs, labels, indices, precision=precision, box=box, batch_size=batch_size, seed=seed)
    ascents = [declared_ascent(attack, box, training_loss) for attack in attacks_of(spec)]
    outcome = ActiveSet(subject, ascents).run(progress)
    return CurveOutcome(
        index=outcome.index,
        label=outcome.label,
        epsilon=torch.tensor(spec.epsilons, dtype=torch.float64).repeat(len(subject.labels)),
        clean_prediction=outcome.clean_prediction,
        prediction=outcome.prediction,
        margin=outcome.margin,
        queries=outcome.queries,
    )
