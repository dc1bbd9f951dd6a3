"""The audit as declared in ``workflow/audit.yaml``: which attacks a claimed robustness has to survive."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from robustrepro.spec.attacks import Curve, CurveBim, CurveFgsm, CurvePgd, Norm, attack_adapter, gradient_attack_adapter
from robustrepro.spec.base import Declaration, Key

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
    def _every_template_is_an_attack(self) -> Self:
        for template in (*self.attacks.values(), *self.escalation.values()):
            attack_at(template, "linf", 0.1)
        gradient_attack_adapter.validate_python(attack_at(self.transfer, "linf", 0.1))
        if missing := {"fgsm", "pgd"} - set(self.attacks):
            raise ValueError(f"attacks: expected also {', '.join(sorted(missing))}, which the alarms compare")
        return self


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
