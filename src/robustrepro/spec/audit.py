"""The audit as declared in ``workflow/audit.yaml``: which attacks a claimed robustness has to survive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from robustrepro.errors import UserError, unknown_name
from robustrepro.spec.attacks import (
    ATTACKS,
    BallAttack,
    CraftingSpec,
    Curve,
    CurveAttackSpec,
    Inputs,
    Noise,
    Norm,
    Radius,
    crafting_attack_adapter,
)
from robustrepro.spec.base import Declaration, Key, Number
from robustrepro.spec.config import validated
from robustrepro.spec.messages import explain
from robustrepro.spec.strict_yaml import read_yaml

AUDIT_FILE = "workflow/audit.yaml"
"""Where a project declares its audit, from its folder; a wheel has the file beside this module."""

OVERSHOOT = 2.5
"""All steps together reach as many times ε (Madry et al. 2018, Section 3): no point of the ball is out of reach."""

Template = dict[str, Any]
"""An attack without ``epsilon`` and ``norm``, which are the claim's, and without ``step_size``, which follows."""


class Smaller(Declaration):
    """Where a comparison is repeated when all its sides are at 0: at increasing shares of ε, under one attack."""

    shares: list[Annotated[Number, Field(gt=0, lt=1)]] = Field(min_length=1)
    attack: CurveAttackSpec

    def curve(self, norm: Norm, epsilon: float) -> Curve:
        """Return the attack at all shares of ε."""
        attack = self.attack.model_copy(update={"norm": norm})
        return Curve(epsilons=[epsilon * share for share in self.shares], attack=attack)


class AuditBall(Declaration):
    """Every attack of the audit on one model in one ball, with all options set.

    Attributes
    ----------
    norm, epsilon
        The ball.
    attacks
        What the claim is decided on, by name.
    escalation
        What is added when an alarm goes off, by name.
    without_gradients
        What is added when an alarm still goes off, by name.
    noise
        The uniform noise that PGD is compared with, for an alarm; what it breaks is broken.
    smaller
        One attack at smaller ε, in case all sides of the comparison are at 0.
    """

    norm: Norm
    epsilon: Annotated[Radius, Field(gt=0)]
    attacks: dict[Key, CraftingSpec] = Field(min_length=1)
    escalation: dict[Key, CraftingSpec]
    without_gradients: dict[Key, CraftingSpec] = Field(default_factory=dict)
    noise: Noise
    smaller: Curve

    @model_validator(mode="after")
    def _the_attacks_that_the_alarms_compare_are_there(self) -> Self:
        for key in ("fgsm", "pgd"):
            if key not in self.attacks or self.attacks[key].name != key:
                raise ValueError(f"attacks.{key}: expected an attack of this name, which the alarms compare")
        return self


class Audit(Declaration):
    """What is run on every model of a comparison that a claim about robustness rests on.

    Attributes
    ----------
    examples
        How many test examples, the first ones.
    attacks
        Attacks at the claim's ε. The claim is decided on the per-image worst case over all of them.
    transfer
        The attack with which every other model of the paper makes examples for this one.
    escalation
        Attacks that are added, on the model and by transfer from differentiable copies of it, when an alarm goes off.
    without_gradients
        Attacks that see labels alone, which are added when an alarm still goes off, beside those of the escalation on a
        network that is distilled from the model's answers.
    smaller
        Where a comparison is repeated when all its sides are at 0.
    noises
        Uniform noises per image, for the alarm "noise beats gradients".
    """

    examples: int = Field(ge=1)
    attacks: dict[Key, Template] = Field(min_length=1)
    transfer: Template
    escalation: dict[Key, Template] = Field(min_length=1)
    without_gradients: dict[Key, Template] = Field(default_factory=dict)
    smaller: Smaller
    noises: int = Field(ge=1)

    @model_validator(mode="after")
    def _templates_are_what_they_are_for(self) -> Self:
        parts = {
            "attacks": self.attacks,
            "escalation": self.escalation,
            "without_gradients": self.without_gradients,
        }
        for part, templates in parts.items():
            for key, template in templates.items():
                if template.get("loss") == "training":
                    raise ValueError(f"{part}.{key}: expected a loss that every model has, found 'training'")
                _check_attack(f"{part}.{key}", template)
        for key in ("fgsm", "pgd"):
            if self.attacks.get(key, {}).get("name") != key:
                raise ValueError(f"attacks.{key}: expected an attack of this name, which the alarms compare")
        if self.smaller.attack.loss == "training":
            raise ValueError("smaller.attack: expected a loss that every model has, found 'training'")
        _check_attack("transfer", self.transfer)
        if self.smaller.shares != sorted(set(self.smaller.shares)):
            raise ValueError(f"smaller.shares: expected increasing shares, found {self.smaller.shares}")
        return self


def with_templates(changes: Mapping[str, Any], norm: Norm, epsilon: float) -> dict[str, Any]:
    """Return changes of an audit in which every attack that is declared already, in the ball, is its template.

    Parameters
    ----------
    changes
        Keys of an audit, as a caller of the API writes them.
    norm, epsilon
        The ball that is audited.

    Raises
    ------
    UserError
        If such an attack is in another ball, or its class is not registered.
    """

    def template(where: str, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: template(f"{where}.{key}", each) for key, each in value.items()}
        if not isinstance(value, BallAttack):
            return value
        if ATTACKS.get(value.name) is not type(value):
            kind = type(value).__name__
            raise UserError(f"{where}: {kind} is not registered; say ATTACKS['{value.name}'] = {kind} before")
        if (value.norm, value.epsilon) != (norm, epsilon):
            raise UserError(
                f"{where}: is declared in the {value.norm} ball of {value.epsilon:g}; expected that of the audit, "
                f"{norm} and {epsilon:g}"
            )
        return value.model_dump(exclude={"norm", "epsilon"})

    return {key: template(key, value) for key, value in changes.items()}


def built_in_audit() -> Audit:
    """Return the audit that this package comes with, whatever the working directory is.

    In an installed wheel its file lies beside this module; in a checkout it is the project's ``workflow/audit.yaml``.

    Raises
    ------
    UserError
        If the file is missing or declares no audit.
    """
    packaged = Path(__file__).with_name(Path(AUDIT_FILE).name)
    file = packaged if packaged.exists() else Path(__file__).parents[3] / AUDIT_FILE
    return validated(Audit, read_yaml(file), str(file))


def audit_attacks() -> dict[str, type[BallAttack]]:
    """Return what the audit can attack a model with, by name: everything that makes adversarial examples in a ball."""
    return {name: attack for name, attack in ATTACKS.items() if issubclass(attack, BallAttack)}


def _check_attack(where: str, template: Template) -> None:
    """Refuse a template that is no attack of an audit, with its place in the file."""
    if template.get("name") not in audit_attacks():
        raise ValueError(str(unknown_name(f"attack in {where}", str(template.get("name")), audit_attacks())))
    try:
        attack_at(template, "linf", 0.1)
    except ValidationError as error:
        raise ValueError(explain(error, CraftingSpec, where)) from None


def attack_at(template: Template, norm: Norm, epsilon: float) -> BallAttack:
    """Return the attack of a template in one ball.

    Steps are as long as ε asks for, unless the template has a step size.

    Raises
    ------
    pydantic.ValidationError
        If the template is no attack, or not one in this norm.
    """
    attack = {**template, "norm": norm, "epsilon": epsilon}
    declaration = ATTACKS.get(str(template.get("name")))
    if declaration and {"steps", "step_size"} <= declaration.model_fields.keys() and "step_size" not in template:
        steps = template.get("steps")
        # Steps that are no such number are for validation to refuse.
        attack["step_size"] = OVERSHOOT * epsilon / (steps if isinstance(steps, int) and steps > 0 else 1)
    return crafting_attack_adapter.validate_python(attack)


def ball_of(audit: Audit, norm: Norm, epsilon: float, inputs: Inputs) -> AuditBall:
    """Return every attack of the audit in one ball; those that cannot run on such inputs are left out.

    Parameters
    ----------
    audit
        The audit as declared, after the scale's changes and the user's.
    norm, epsilon
        The ball in which a claim's cell was attacked, ε > 0.
    inputs
        What is attacked there.
    """

    def in_the_ball(templates: Mapping[str, Template]) -> dict[str, Any]:
        attacks = {key: attack_at(template, norm, epsilon) for key, template in templates.items()}
        return {key: attack for key, attack in attacks.items() if attack.unfit(inputs) is None}

    return AuditBall(
        norm=norm,
        epsilon=epsilon,
        attacks=in_the_ball(audit.attacks),
        escalation=in_the_ball(audit.escalation),
        without_gradients=in_the_ball(audit.without_gradients),
        noise=Noise(name="noise", draws=audit.noises, norm=norm, epsilon=epsilon),
        smaller=audit.smaller.curve(norm, epsilon),
    )
