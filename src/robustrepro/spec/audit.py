"""The audit as declared in ``workflow/audit.yaml``: which attacks a claimed robustness has to survive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from robustrepro.errors import unknown_name
from robustrepro.spec.attacks import Curve, CurveBim, CurveFgsm, CurvePgd, Norm, attack_adapter
from robustrepro.spec.base import Declaration, Key

ATTACKS = ("autoattack", "bim", "fgsm", "noise", "pgd")
"""What a model can be attacked with in the audit, by the names of their specs."""

OVERSHOOT = 2.5
"""All steps together reach as many times ε (Madry et al. 2018, Section 3): no point of the ball is out of reach."""

Template = dict[str, Any]
"""An attack without ``epsilon`` and ``norm``, which are the claim's, and without ``step_size``, which follows."""


class Smaller(Declaration):
    """Where a comparison is repeated when all its sides are at 0: at increasing shares of ε, under one attack."""

    shares: list[Annotated[float, Field(gt=0, lt=1)]] = Field(min_length=1)
    attack: Annotated[CurveFgsm | CurveBim | CurvePgd, Field(discriminator="name")]

    def curve(self, norm: Norm, epsilon: float) -> Template:
        """Return the attack at all shares of ε, as plain data."""
        attack = self.attack.model_copy(update={"norm": norm})
        curve = Curve(name="curve", epsilons=[epsilon * share for share in self.shares], attack=attack)
        resolved: Template = curve.model_dump(mode="json", exclude_none=True)
        return resolved


class Audit(Declaration):
    """What is run on every model of a comparison that a claim about robustness rests on.

    Attributes
    ----------
    examples
        How many test examples, the first ones.
    attacks
        Attacks at the claim's ε. The claim is decided on the worst case an image over all of them.
    transfer
        The attack with which every other model of the paper makes examples for this one.
    escalation
        Attacks that are added, on the model and by transfer from differentiable copies of it, when an alarm goes off.
    smaller
        Where a comparison is repeated when all its sides are at 0.
    noises
        Uniform noises an image, for the alarm "noise beats gradients".
    """

    examples: int = Field(ge=1)
    attacks: dict[Key, Template] = Field(min_length=1)
    transfer: Template
    escalation: dict[Key, Template] = Field(min_length=1)
    smaller: Smaller
    noises: int = Field(ge=1)

    @model_validator(mode="after")
    def _templates_are_what_they_are_for(self) -> Self:
        for part, templates in (("attacks", self.attacks), ("escalation", self.escalation)):
            for key, template in templates.items():
                if template.get("loss") == "training":
                    raise ValueError(f"{part}.{key}: expected a loss that every model has, found 'training'")
                _check_attack(f"{part}.{key}", template, ATTACKS)
        for key in ("fgsm", "pgd"):
            if self.attacks.get(key, {}).get("name") != key:
                raise ValueError(f"attacks.{key}: expected an attack of this name, which the alarms compare")
        for key, template in self.escalation.items():
            _check_attack(f"escalation.{key}", template, ("autoattack", "pgd"))
        _check_attack("transfer", self.transfer, ATTACKS)
        if self.smaller.shares != sorted(set(self.smaller.shares)):
            raise ValueError(f"smaller.shares: expected increasing shares, found {self.smaller.shares}")
        return self


def _check_attack(where: str, template: Template, names: Sequence[str]) -> None:
    """Refuse a template that is none of these attacks, with its place in the file."""
    if template.get("name") not in names:
        raise ValueError(str(unknown_name(f"attack in {where}", str(template.get("name")), names)))
    try:
        attack_at(template, "linf", 0.1)
    except ValidationError as error:
        raise ValueError(f"{where}: {error.errors()[0]['msg']}, found {template}") from None


def attack_at(template: Template, norm: Norm, epsilon: float) -> Template:
    """Return the attack of a template at one ε, as plain data with every option said.

    Steps are as long as ε asks for, unless the template says otherwise.

    Raises
    ------
    pydantic.ValidationError
        If the template is no attack.
    """
    attack = {**template, "norm": norm, "epsilon": epsilon}
    if template.get("name") in {"bim", "pgd"} and "step_size" not in template:
        attack["step_size"] = OVERSHOOT * epsilon / template.get("steps", 1)
    resolved: Template = attack_adapter.validate_python(attack).model_dump(mode="json", exclude_none=True)
    return resolved
