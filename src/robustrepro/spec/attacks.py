"""Attacks as declared in ``paper.yaml``: one class per family, chosen by ``name``.

`ATTACKS` is the registry: a family of the package has a line at the end of this file, and one of a user's puts itself
there, as in ``ATTACKS["heavy_ball"] = HeavyBall``. Where else an attack may stand follows from its base classes: a
`BallAttack` in an audit, in a measure of transfer and in data sets made from a model; a `GradientAttack` in a curve; a
`GradientAttack` or a `PerceptualAttack` in a training.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, Self, get_args, get_type_hints

from pydantic import Field, TypeAdapter, create_model, model_validator

from robustrepro.errors import UserError
from robustrepro.spec.base import Declaration, Implemented, Name, Number
from robustrepro.spec.registry import OneOf, Registry

Norm = Literal["linf", "l2", "l1"]
AttackLoss = Literal["cross_entropy", "clipped_cross_entropy", "training", "margin", "log_odds"]
Precision = Literal["float32", "float64"]
Search = Literal["bfloat16", "tf32"]
Form = Literal["faithful", "corrected"]
"""Of a perceptual attack: as the published code has it, or without what only weakens it there; each says what that is.
"""

Radius = Annotated[Number, Field(ge=0)]
Length = Annotated[Number, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Inputs(NamedTuple):
    """What an attack is to change, and of what model.

    Attributes
    ----------
    shape
        That of an example.
    classes
        How many the model tells apart.
    in_range
        Whether pixels are in [0, 1].
    in_float64
        Whether the model can compute in float64, too.
    """

    shape: tuple[int, ...]
    classes: int
    in_range: bool = True
    in_float64: bool = True


class Attack(Implemented):
    """What every attack has; ``words`` is how texts for people name it."""

    words: ClassVar[str]

    name: str

    def unfit(self, inputs: Inputs) -> str | None:
        """Return why this attack cannot run on such inputs; None where it can."""
        if getattr(self, "precision", "float32") == "float64" and not inputs.in_float64:
            return f"{self.name} in float64 needs a model that computes in it; this one does not"
        return None

    def reads_models(self) -> list[str]:
        """Return the other models whose weights it needs, beside those of the model that it attacks."""
        return []


class Clean(Attack):
    """No perturbation: the clean accuracy."""

    implementation: ClassVar[str] = "robustrepro.attacks.measure:measure"
    words: ClassVar[str] = "no attack"

    name: Literal["clean"] = "clean"


class BallAttack(Attack):
    """What every attack inside an ε-ball shares; ``epsilon`` is in units of the pixel range [0, 1]."""

    epsilon: Radius
    norm: Norm = "linf"


class AscentAttack(BallAttack):
    """An attack that the active set runs: its implementation returns a `robustrepro.attacks.ascent.Ascent`.

    ``precision`` is that of the model under attack.
    """

    precision: Precision = "float32"


class GradientAttack(AscentAttack):
    """An attack that follows the gradient.

    ``loss`` is what it ascends: cross-entropy, the same of clipped probabilities, the objective that the model was
    trained with, the margin max_{i≠y} Z_i − Z_y, or the log-odds log Σ_{i≠y} exp Z_i − Z_y. With ``search`` the
    iterates go through the model in a lower precision, and a success counts only where the float32 model makes the
    same mistake at that very point.
    """

    loss: AttackLoss = "cross_entropy"
    search: Search | None = None

    @model_validator(mode="after")
    def _search_is_below_the_precision(self) -> Self:
        if self.search is not None and self.precision != "float32":
            raise ValueError(f"search is {self.search}, a lower form of float32, but precision is {self.precision}")
        return self


class Fgsm(GradientAttack):
    """One step of length ε (Goodfellow et al. 2015), in the norm's direction of steepest ascent."""

    implementation: ClassVar[str] = "robustrepro.attacks.fgsm:ascent_of"
    words: ClassVar[str] = "FGSM"

    name: Literal["fgsm"]


class Bim(GradientAttack):
    """Steps of ``step_size`` from the image itself (Kurakin et al. 2017, the basic iterative method)."""

    implementation: ClassVar[str] = "robustrepro.attacks.bim:ascent_of"
    words: ClassVar[str] = "BIM"

    name: Literal["bim"]
    steps: Count
    step_size: Length


class MiFgsm(GradientAttack):
    """BIM along a sum of the gradients so far, each of them ``decay`` times as heavy as the next (Dong et al. 2018)."""

    implementation: ClassVar[str] = "robustrepro.attacks.mi_fgsm:ascent_of"
    words: ClassVar[str] = "MI-FGSM"

    name: Literal["mi_fgsm"]
    steps: Count
    step_size: Length
    decay: Annotated[Number, Field(ge=0)] = 1.0


class Pgd(GradientAttack):
    """Projected gradient ascent (Madry et al. 2018): ``steps`` of ``step_size``, ``restarts`` times."""

    implementation: ClassVar[str] = "robustrepro.attacks.pgd:ascent_of"
    words: ClassVar[str] = "PGD"

    name: Literal["pgd"]
    steps: Count
    step_size: Length
    restarts: Count = 1
    random_start: bool = True

    @model_validator(mode="after")
    def _restarts_differ(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts is {self.restarts}, but without random_start they would all be the same")
        return self


class Noise(AscentAttack):
    """The worst of ``draws`` uniformly random points of the ball; no gradient."""

    implementation: ClassVar[str] = "robustrepro.attacks.noise:ascent_of"
    words: ClassVar[str] = "uniform noise"

    name: Literal["noise"]
    draws: Count


class AutoAttack(BallAttack):
    """The ensemble of Croce & Hein (2020), in float32.

    ``standard`` is APGD on cross-entropy, targeted APGD, targeted FAB and Square; ``plus`` adds APGD on the DLR loss
    and untargeted FAB, and gives APGD and FAB five restarts. ``steps`` is the budget of APGD and FAB, and
    ``square_queries`` that of Square; the defaults are the authors'.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.autoattack:autoattack"
    words: ClassVar[str] = "AutoAttack"

    FEWEST_CLASSES: ClassVar[int] = 4
    """The targeted DLR loss divides by a difference that involves the fourth largest logit."""
    LEAST_HEIGHT: ClassVar[int] = 5
    """Square on ℓ2 and ℓ1 lays tiles of a fifth of the image's height."""

    name: Literal["autoattack"]
    version: Literal["standard", "plus"] = "standard"
    steps: Count = 100
    square_queries: Count = 5000

    def unfit(self, inputs: Inputs) -> str | None:
        """Return why this attack cannot run on such inputs; None where it can."""
        if len(inputs.shape) != 3:
            return f"autoattack needs images; found shape {inputs.shape}"
        if self.norm != "linf" and inputs.shape[1] < self.LEAST_HEIGHT:
            return (
                f"autoattack in {self.norm} needs images of height {self.LEAST_HEIGHT} at least; found shape "
                f"{inputs.shape}"
            )
        if inputs.classes < self.FEWEST_CLASSES:
            return (
                f"autoattack needs {self.FEWEST_CLASSES} classes at least, for its targeted DLR loss; found "
                f"{inputs.classes}"
            )
        return None


class Rays(BallAttack):
    """RayS (Chen & Gu 2020): turns over the signs of a direction, and sees the labels of at most ``queries`` points."""

    implementation: ClassVar[str] = "robustrepro.attacks.rays:rays"
    words: ClassVar[str] = "RayS"

    name: Literal["rays"]
    queries: Count = 10000

    def unfit(self, inputs: Inputs) -> str | None:
        """Return why this attack cannot run on such inputs; None where it can."""
        if self.norm != "linf":
            return f"rays moves every pixel by the same amount, in linf; found {self.norm}"
        return super().unfit(inputs)


class HopSkipJump(BallAttack):
    """HopSkipJump (Chen et al. 2020): ``steps`` along the boundary, each by labels of at most ``samples`` points."""

    implementation: ClassVar[str] = "robustrepro.attacks.hop_skip_jump:hop_skip_jump"
    words: ClassVar[str] = "HopSkipJump"

    name: Literal["hop_skip_jump"]
    steps: Count = 30
    samples: Annotated[int, Field(ge=100)] = 500

    def unfit(self, inputs: Inputs) -> str | None:
        """Return why this attack cannot run on such inputs; None where it can."""
        if self.norm == "l1":
            return "hop_skip_jump runs in linf and l2; found l1"
        if not inputs.in_range:
            return "hop_skip_jump needs pixels in [0, 1]; these inputs have no such range"
        return super().unfit(inputs)


class MinimalDistanceAttack(Attack):
    """What every attack shares that has no ε: per image, it looks for the nearest misclassified point in ``norm``."""

    norm: Norm = "l2"
    precision: Precision = "float32"


class DeepFool(MinimalDistanceAttack):
    """Steps to the nearest boundary of the linearised logits (Moosavi-Dezfooli et al. 2016).

    ``candidates`` is how many classes are considered, the most likely ones of the clean image, its own among them; the
    accumulated perturbation is lengthened by ``overshoot``. The defaults are those of Foolbox 3.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.deepfool:search"
    words: ClassVar[str] = "DeepFool"

    name: Literal["deepfool"]
    norm: Literal["linf", "l2"] = "l2"
    steps: Count = 50
    candidates: Annotated[int, Field(ge=2)] = 10
    overshoot: Radius = 0.02


class LegacyFgsm(MinimalDistanceAttack):
    """FGSM with a line search as in Foolbox 1.8: of ``steps`` lengths up to the whole range, the first that fools."""

    implementation: ClassVar[str] = "robustrepro.attacks.legacy.fgsm:search"
    words: ClassVar[str] = "FGSM (line search)"

    name: Literal["legacy_fgsm"]
    norm: Literal["linf"] = "linf"
    steps: Count = 1000


class LegacyDeepFool(MinimalDistanceAttack):
    """DeepFool as in Foolbox 1.8: every step is lengthened by 5% and clipped, and the next starts where it ends.

    ``candidates`` is how many classes are considered, the most likely ones of the clean image, its own among them.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.legacy.deepfool:search"
    words: ClassVar[str] = "DeepFool (clipped)"

    name: Literal["legacy_deepfool"]
    norm: Literal["l2"] = "l2"
    steps: Count = 100
    candidates: Annotated[int, Field(ge=2)] = 10


class LegacyCarliniWagner(MinimalDistanceAttack):
    """The ℓ2 attack of Carlini & Wagner (2017) as in Foolbox 1.8.

    ``binary_search_steps`` runs of at most ``max_iterations`` of Adam, each with another weight of the
    misclassification loss, from ``initial_weight`` on; ``confidence`` is the margin by which an iterate should be
    misclassified. With ``abort_early`` a run ends where its loss has stopped falling.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.legacy.carlini_wagner:search"
    words: ClassVar[str] = "C&W ℓ2"

    name: Literal["legacy_carlini_wagner"]
    norm: Literal["l2"] = "l2"
    binary_search_steps: Count = 5
    max_iterations: Count = 1000
    confidence: Radius = 0.0
    learning_rate: Length = 5e-3
    initial_weight: Length = 1e-2
    abort_early: bool = True


class PerceptualAttack(Attack):
    """What every attack shares whose ``bound`` is in a metric of its own: images that it makes have pixels in [0, 1].

    ``form`` is ``faithful``, as the published code has it, or ``corrected``, without what only weakens it there.
    """

    MEASURES: ClassVar[tuple[Form, ...]] = get_args(Form)
    """The forms in which it can measure a model."""
    TRAINS: ClassVar[bool] = True
    """Whether a training can run it in every update."""

    bound: Length
    steps: Count
    form: Form = "faithful"

    def unfit(self, inputs: Inputs) -> str | None:
        """Return why this attack cannot run on such inputs; None where it can."""
        if len(inputs.shape) != 3:
            return f"{self.name} needs images; found shape {inputs.shape}"
        if not inputs.in_range:
            return f"{self.name} needs images with pixels in [0, 1]; these have no such range"
        return None


class ColourAttack(PerceptualAttack):
    """A perceptual attack on images with the channels red, green and blue."""

    def unfit(self, inputs: Inputs) -> str | None:
        """Return why this attack cannot run on such inputs; None where it can."""
        if len(inputs.shape) == 3 and inputs.shape[0] != 3:
            return f"{self.name} needs images in colour, of shape (3, height, width); found shape {inputs.shape}"
        return super().unfit(inputs)


class StAdv(PerceptualAttack):
    """Pixels taken from beside their places (Xiao et al. 2018), by Adam.

    ``bound`` is how far, in x and in y, where the image has sides of length 2: 0.05 are 0.8 of 32 pixels.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.perceptual.stadv:declared"
    words: ClassVar[str] = "StAdv"

    name: Literal["stadv"]
    bound: Length = 0.05
    steps: Count = 100


class ReColorAdv(ColourAttack):
    """Every colour replaced by another, wherever it occurs (Laidlaw & Feizi 2019), by Adam.

    ``bound`` is how far a colour may move in each coordinate of L*u*v*, each scaled to about [0, 1].
    """

    implementation: ClassVar[str] = "robustrepro.attacks.perceptual.recoloradv:declared"
    words: ClassVar[str] = "ReColorAdv"

    name: Literal["recoloradv"]
    bound: Length = 0.06
    steps: Count = 100


class Jpeg(ColourAttack):
    """The coefficients of an image's JPEG shifted (Kang et al. 2019), each by at most half of ``bound`` times its step.

    The step is that of quality 50.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.perceptual.jpeg:declared"
    words: ClassVar[str] = "JPEG-ℓ∞"

    BLOCK: ClassVar[int] = 16
    """The side, in pixels, of what one block of chroma covers."""

    name: Literal["jpeg"]
    bound: Length = 0.25
    steps: Count = 20

    def unfit(self, inputs: Inputs) -> str | None:
        """Return why this attack cannot run on such inputs; None where it can."""
        why = super().unfit(inputs)
        if why is None and any(side % self.BLOCK for side in inputs.shape[1:]):
            return f"{self.name} needs images whose sides are divisible by {self.BLOCK}; found shape {inputs.shape}"
        return why


class Features(Declaration):
    """In whose eyes images are compared: the outputs of ``layers``, feature maps, of a network.

    ``layers`` are names of modules, such as ``features.1``; with preprocessing in front, ``architecture.features.1``.
    ``model`` is another model of the papers, of which the first seed is taken whichever model and seed is attacked;
    when not said, the attacked model's own features are compared.
    """

    model: Name | None = None
    layers: Annotated[list[str], Field(min_length=1)]

    @model_validator(mode="after")
    def _layers_differ(self) -> Self:
        if len(set(self.layers)) < len(self.layers):
            raise ValueError(f"layers: expected each once, found {', '.join(self.layers)}")
        return self


class OfFeatures(PerceptualAttack):
    """A perceptual attack whose bound is a distance of ``features`` (Laidlaw et al. 2021)."""

    bound: Length = 0.5
    features: Features

    def reads_models(self) -> list[str]:
        """Return the model whose features are compared, unless they are the attacked one's own."""
        return [self.features.model] if self.features.model else []


class LagrangianPerceptual(OfFeatures):
    """The Lagrangian perceptual attack, LPA: in five rounds of ``steps``, distance has a growing price.

    It is for measurements; in a training Fast-LPA takes its place.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.perceptual.lagrangian:declared"
    words: ClassVar[str] = "LPA"

    TRAINS: ClassVar[bool] = False

    name: Literal["lagrangian_perceptual"]
    steps: Count = 40


class FastLagrangianPerceptual(OfFeatures):
    """Fast-LPA, the attack of perceptual adversarial training: one round of ``steps``.

    In its faithful form nothing keeps it within its bound, so that it trains models, but measures none.
    """

    implementation: ClassVar[str] = "robustrepro.attacks.perceptual.lagrangian:declared_fast"
    words: ClassVar[str] = "Fast-LPA"

    MEASURES: ClassVar[tuple[Form, ...]] = ("corrected",)

    name: Literal["fast_lagrangian_perceptual"]
    steps: Count = 10


FixedBudgetAttack = Clean | BallAttack | PerceptualAttack
RUNNABLE = (BallAttack, MinimalDistanceAttack, PerceptualAttack, Clean)
"""What there is code to run for: every attack is of one of these classes."""


def name_of(kind: type[Attack]) -> str | None:
    """Return the one name that a class of attacks declares; None where it declares none."""
    names = get_args(kind.model_fields["name"].annotation)
    return names[0] if len(names) == 1 and isinstance(names[0], str) else None


def why_no_attack(name: str, kind: Any) -> str | None:
    """Return why something cannot be the attack of a name; None where it can."""
    if not (isinstance(kind, type) and issubclass(kind, RUNNABLE)):
        found = kind.__name__ if isinstance(kind, type) else repr(kind)
        return f"expected a subclass of GradientAttack, BallAttack or another base of attacks, found {found}"
    if name_of(kind) != name:
        return f'{kind.__name__} needs name: Literal["{name}"], found {name_of(kind) or "no such one"}'
    target = getattr(kind, "implementation", None)
    if not (isinstance(target, str) and all(target.partition(":"))):
        return f'{kind.__name__} needs an implementation: ClassVar[str] = "module:function", found {target!r}'
    if not isinstance(getattr(kind, "words", None), str):
        return f"{kind.__name__} needs words: ClassVar[str], its name in texts for people"
    return None


def require_code(kind: type[Attack]) -> None:
    """Refuse an attack whose implementation is not there; a module that is not imported yet need only exist.

    Raises
    ------
    UserError
        If so; the message names the attack and what it says.
    """
    module, _, attribute = kind.implementation.partition(":")
    try:
        is_there = hasattr(sys.modules[module], attribute) if module in sys.modules else find_spec(module) is not None
    except (ImportError, ValueError):  # of a package that is not there
        is_there = False
    if not is_there:
        raise UserError(
            f"the attack '{name_of(kind)}' has the implementation '{kind.implementation}', but there is no such one"
        )


ATTACKS = Registry("attack", why_no_attack)
"""Every attack by its name."""

ATTACKS.update(
    {
        "clean": Clean,
        "fgsm": Fgsm,
        "bim": Bim,
        "mi_fgsm": MiFgsm,
        "pgd": Pgd,
        "noise": Noise,
        "autoattack": AutoAttack,
        "rays": Rays,
        "hop_skip_jump": HopSkipJump,
        "deepfool": DeepFool,
        "legacy_fgsm": LegacyFgsm,
        "legacy_deepfool": LegacyDeepFool,
        "legacy_carlini_wagner": LegacyCarliniWagner,
        "stadv": StAdv,
        "recoloradv": ReColorAdv,
        "jpeg": Jpeg,
        "lagrangian_perceptual": LagrangianPerceptual,
        "fast_lagrangian_perceptual": FastLagrangianPerceptual,
    }
)


class CurveAttack(Implemented):
    """A gradient attack without its ε; every length is a multiple of it, that of a step ``relative_step``.

    There is a subclass for every gradient attack, made by `on_a_curve`.

    Attributes
    ----------
    in_a_ball
        The attack in a ball.
    """

    in_a_ball: ClassVar[type[GradientAttack]]

    name: str
    norm: Norm = "linf"
    loss: AttackLoss = "cross_entropy"
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _is_such_an_attack_in_a_ball(self) -> Self:
        lengths = {"epsilon": 1.0, "step_size": getattr(self, "relative_step", None)}
        known = {key: value for key, value in lengths.items() if value is not None}
        self.in_a_ball.model_validate({**self.model_dump(exclude={"relative_step"}), **known})
        return self


@cache
def on_a_curve(kind: type[GradientAttack]) -> type[CurveAttack]:
    """Return the declaration of an attack at every ε of a curve: ``relative_step`` instead of its ``step_size``."""
    types = get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {
        "relative_step" if name == "step_size" else name: (types[name], ... if field.is_required() else field.default)
        for name, field in kind.model_fields.items()
        if name != "epsilon"
    }
    made = create_model(f"Curve{kind.__name__}", __base__=CurveAttack, __doc__=kind.__doc__, **fields)
    made.implementation, made.in_a_ball = kind.implementation, kind
    return made


if TYPE_CHECKING:
    AttackSpec = FixedBudgetAttack | MinimalDistanceAttack
    GradientSpec = GradientAttack
    GradientOrCleanSpec = GradientAttack | Clean
    CraftingSpec = BallAttack
    TrainingAttackSpec = GradientAttack | PerceptualAttack
    CurveAttackSpec = CurveAttack
else:

    def _registered(fits: Callable[[type], bool]) -> Any:
        return Annotated[Attack, OneOf(lambda: filter(fits, ATTACKS.values()), fits)]

    def _is(*families: type) -> Callable[[type], bool]:
        return lambda kind: issubclass(kind, families)

    AttackSpec = _registered(_is(Attack))
    GradientSpec = _registered(_is(GradientAttack))
    GradientOrCleanSpec = _registered(_is(GradientAttack, Clean))
    CraftingSpec = _registered(_is(BallAttack))
    TrainingAttackSpec = _registered(lambda kind: issubclass(kind, GradientAttack) or getattr(kind, "TRAINS", False))
    CurveAttackSpec = Annotated[
        CurveAttack,
        OneOf(
            lambda: map(on_a_curve, filter(_is(GradientAttack), ATTACKS.values())),
            _is(CurveAttack),
        ),
    ]

attack_adapter: TypeAdapter[Attack] = TypeAdapter(AttackSpec)
crafting_attack_adapter: TypeAdapter[BallAttack] = TypeAdapter(CraftingSpec)


class Curve(Implemented):
    """One gradient attack at many ε, in increasing order; ε = 0, the clean accuracy, is in every row anyway."""

    implementation: ClassVar[str] = "robustrepro.attacks.curve:measure_curve"

    name: Literal["curve"] = "curve"
    epsilons: Annotated[list[Length], Field(min_length=1)]
    attack: CurveAttackSpec

    @model_validator(mode="after")
    def _epsilons_increase(self) -> Curve:
        if any(larger <= smaller for smaller, larger in zip(self.epsilons, self.epsilons[1:], strict=False)):
            raise ValueError(f"epsilons are {self.epsilons}; expected each larger than the one before")
        return self
