"""One attack on any classifier, one row per image."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from robustrepro.api.ball import require_radius
from robustrepro.api.classifier import PASSES, checked, inputs_of
from robustrepro.attacks.measure import measure
from robustrepro.attacks.minimal_distance import MinimalDistanceOutcome, measure_distances
from robustrepro.attacks.outcome import AttackOutcome
from robustrepro.attacks.threat_models import UNIT_BOX
from robustrepro.audits.randomised import Expectation, right_share, varying_share
from robustrepro.errors import UserError, unknown_name
from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import (
    ATTACKS,
    Attack,
    BallAttack,
    Clean,
    MinimalDistanceAttack,
    PerceptualAttack,
    name_of,
    require_code,
    why_no_attack,
)
from robustrepro.spec.audit import OVERSHOOT
from robustrepro.spec.messages import explain
from robustrepro.spec.registry import is_built_in


def attack(
    model: nn.Module,
    x: Any,
    y: Any,
    name: str | Attack | type[Attack],
    *,
    seed: int = 0,
    batch_size: int = 256,
    keep_adversarial: bool = False,
    **options: Any,
) -> pd.DataFrame:
    """Attack a classifier and return what became of every image.

    >>> rr.attack(model, x, y, "pgd", epsilon=8 / 255, steps=20, restarts=10)  # doctest: +SKIP

    Parameters
    ----------
    model
        From images in [0, 1] to logits (N, classes): any module, in evaluation mode, on any device, in any precision.
    x
        Images in [0, 1], shape (N, channels, height, width), or points, shape (N, features); bytes stand for 255ths.
    y
        Classes, whole numbers from 0 on, shape (N,).
    name
        The attack: ``fgsm``, ``bim``, ``mi_fgsm``, ``pgd``, ``noise``, ``autoattack``, ``rays``, ``hop_skip_jump``,
        ``deepfool``, ``stadv`` and the others of `robustrepro.spec.attacks.ATTACKS`, where each has its source. Or a
        class of your own like those, ``HeavyBall``, with options as for a name, or a whole attack: ``HeavyBall(...)``.
    seed
        Of random starts, and of the chance by which a model answers.
    batch_size
        Most images that go through the model at once.
    keep_adversarial
        Whether to give the points that the attack ends with, as ``result.attrs["adversarial"]``, a tensor.
    **options
        The attack's own, as its class in `robustrepro.spec.attacks` has them: ``epsilon``, in units of the pixel range,
        and ``norm`` (``linf``, ``l2``, ``l1``), ``steps``, ``step_size`` (when not said, all steps together reach
        2.5 ε), ``restarts``, ``loss``. None beside a whole attack, which has them.

    Returns
    -------
    One row per image: ``index``, ``label``, ``clean_prediction``, ``prediction`` under attack, ``robust`` (right both
    times), the distances ``linf`` and ``l2`` in units of the pixel range, ``queries``; of an attack within ε
    ``clean_margin`` and ``margin``, the logit of the label minus the largest other one. A model that answers by chance
    is attacked in expectation, and has ``accuracy``, the share of passes in which it is right at the point.

    Raises
    ------
    UserError
        If the attack or an option is unknown, a class is no attack, it cannot run on such images, ε is above the
        largest distance between two of them, or model, images and labels do not fit.
    """
    classifier, images, labels = checked(model, x, y)
    declared = _declared(name, options)
    if getattr(declared, "loss", None) == "training":
        raise UserError("loss is 'training', which is for models of a paper; expected a loss that every model has")
    if declared.reads_models():
        raise UserError("features.model names a model of a paper; expected the attacked model's own layers alone")
    if isinstance(declared, BallAttack):
        require_radius(declared.norm, declared.epsilon, images)
    unfit = declared.unfit(inputs_of(classifier, images))
    if unfit is not None:
        raise UserError(unfit)
    by_chance = varying_share(classifier, images, seed) > 0
    attacked = Expectation(classifier, PASSES, seed).eval() if by_chance else classifier
    indices = torch.arange(len(labels))
    keep = keep_adversarial or by_chance
    common: dict[str, Any] = {"box": UNIT_BOX, "batch_size": batch_size, "keep_adversarial": keep}
    outcome: AttackOutcome | MinimalDistanceOutcome
    if isinstance(declared, MinimalDistanceAttack):
        outcome = measure_distances(attacked, images, labels, indices, declared, **common)
    else:
        assert isinstance(declared, Clean | BallAttack | PerceptualAttack)
        outcome = measure(attacked, images, labels, indices, declared, seed=seed, **common)
    columns = {key: value.numpy() for key, value in vars(outcome).items() if isinstance(value, Tensor)}
    points = columns.pop("adversarial", None)
    right = (columns["prediction"] == columns["label"]) & (columns["clean_prediction"] == columns["label"])
    frame = pd.DataFrame({**columns, "robust": outcome.robust.numpy() if isinstance(outcome, AttackOutcome) else right})
    if by_chance:
        assert outcome.adversarial is not None
        chance = derive_seed(seed, "counted")
        frame["accuracy"] = right_share(classifier, outcome.adversarial, labels, passes=PASSES, seed=chance).numpy()
    if keep_adversarial and points is not None:
        frame.attrs["adversarial"] = torch.from_numpy(points)
    return frame


def _declared(attack: str | Attack | type[Attack], options: dict[str, Any]) -> Attack:
    """Return the attack with its options, or say which it has."""
    if isinstance(attack, Attack):
        if options:
            raise UserError(
                f"the attack is declared already, so that {', '.join(options)} beside it would be lost: give its class "
                "with all options, or all options where it is declared"
            )
        _require_attack(type(attack))
        return attack
    if isinstance(attack, str):
        if attack not in ATTACKS:
            raise unknown_name("attack", attack, ATTACKS)
        kind: type[Attack] = ATTACKS[attack]
    else:
        kind = attack
    name = _require_attack(kind)
    fields = kind.model_fields
    unknown = next((option for option in options if option not in fields), None)
    if unknown is not None:
        raise unknown_name(f"option of '{name}'", unknown, set(fields) - {"name"})
    given = {"name": name, **options}
    steps, epsilon = given.get("steps"), given.get("epsilon")
    if "step_size" in fields and "step_size" not in given and isinstance(steps, int) and steps and epsilon:
        given["step_size"] = OVERSHOOT * epsilon / steps
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        raise UserError(explain(error, kind, f"attack '{name}'")) from None


def _require_attack(kind: Any) -> str:
    """Return the name of a class of attacks, or say why it is none."""
    is_attack = isinstance(kind, type) and issubclass(kind, Attack)
    name = (name_of(kind) if is_attack else None) or "its_name"
    why = why_no_attack(name, kind)
    if why is not None:
        raise UserError(f"no attack: {why}")
    if not is_built_in(kind):
        require_code(kind)
    return name
