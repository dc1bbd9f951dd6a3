"""An audit of any classifier, which tells whether its robustness is real."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor, nn

from robustrepro.api.ball import attacks_in, changed_audit, require_ball
from robustrepro.api.classifier import PASSES, checked, inputs_of
from robustrepro.api.kept import Kept, fingerprint
from robustrepro.api.verdict import CHANCE, gradient_is_hidden, sentences
from robustrepro.attacks.craft import craft
from robustrepro.attacks.threat_models import UNIT_BOX
from robustrepro.audits.alarms import Alarm
from robustrepro.audits.battery import DISTILLED, BallOutcome, Battery
from robustrepro.audits.randomised import varying_share
from robustrepro.audits.worst_case import TRANSFER, one_class, words_of_ball
from robustrepro.implementations import resolve
from robustrepro.spec.attacks import AscentAttack, Norm
from robustrepro.spec.audit import Audit as DeclaredAudit
from robustrepro.spec.audit import AuditBall, attack_at
from robustrepro.spec.measurements import runs_of
from robustrepro.spec.sources import modules_from_outside
from robustrepro.tables.statistics import accuracy_interval

IMAGE_COLUMNS = ("index", "label", "clean_prediction", "right")
"""The columns of an audit's frame that are no attack's."""


@dataclass(frozen=True, eq=False)
class Audit:
    """What an audit has found; in a notebook it shows itself, and `to_html` writes it as a page.

    Accuracies are in percent, distances in units of the pixel range.

    Attributes
    ----------
    name
        The model's, as it was given.
    norm
        That of the ball: ``linf``, ``l2`` or ``l1``.
    epsilon
        The ball's radius ε.
    frame
        One row per image: ``index``, ``label``, ``clean_prediction``, one column per attack with the prediction under
        it, and ``right``, the share of passes in which the model is right at the worst point found: 0 or 1, or between
        for a model that answers by chance.
    attacks
        One row per attack, the most harmful first: ``attack``, its key; ``words``, what it is; ``stage``, when it runs
        (``always``; ``alarm``, where one goes off; ``still``, where one still does; ``others``, examples of other
        models); ``accuracy``, in percent under it; ``spared``, whether it ran only on images that none before it had
        broken, so that its row counts the others as broken, too; ``newly``, how many images it has broken that none
        before it had, in the order of `ran`; and ``alone``, how many no other attack has broken.
    alarms
        Every alarm, whether it went off or not.
    left_out
        By attack that cannot run on such images, the reason.
    images
        The images that were attacked: float32 on the CPU, shape (N, channels, height, width), or points, shape (N,
        features).
    adversarial
        The worst point found for each image, of the same shape and type.
    by_chance
        Whether the model answers by chance: then accuracies are expectations.
    seconds
        How long it took, by the clock.
    about
        What else the page says of it, such as the data set.
    """

    name: str
    norm: Norm
    epsilon: float
    frame: pd.DataFrame
    attacks: pd.DataFrame
    alarms: tuple[Alarm, ...]
    left_out: Mapping[str, str]
    images: Tensor
    adversarial: Tensor
    by_chance: bool
    seconds: float
    about: Mapping[str, str]

    @property
    def clean_accuracy(self) -> float:
        """Accuracy without attack, in percent."""
        return 100 * float((self.frame["clean_prediction"] == self.frame["label"]).mean())

    @property
    def worst_case(self) -> float:
        """The percentage of images that resist every attack; expected, for a model that answers by chance."""
        return 100 * float(self.frame["right"].mean())

    @property
    def interval(self) -> tuple[float, float]:
        """The exact 95% interval (Clopper & Pearson 1934) of `worst_case` over the images: low, high, in percent."""
        return accuracy_interval(self.worst_case, len(self.frame))

    @property
    def still_going_off(self) -> list[str]:
        """The names of alarms that still go off after everything that they have added: what resists may be hidden."""
        return [alarm.name for alarm in self.alarms if alarm.still_goes_off]

    @cached_property
    def one_class(self) -> tuple[int, float] | None:
        """The class that all images get, or nearly all, with their share; None for any other model."""
        return one_class(self.frame)

    @property
    def undecided(self) -> bool:
        """Whether the truth is only known to lie between 0 and `worst_case`."""
        return bool(self.still_going_off) and self.worst_case > 0

    @property
    def verdict(self) -> str:
        """What was found: what resists, whether the gradient was hidden, and what broke the images then."""
        return " ".join(sentences(self))

    @property
    def gradient_hidden(self) -> bool:
        """Whether an alarm went off and PGD leaves at least 10 points more than all attacks together."""
        return gradient_is_hidden(self)

    @property
    def ran(self) -> list[str]:
        """The attacks, columns of `frame`, in the order in which they ran."""
        return [column for column in self.frame if column not in IMAGE_COLUMNS]

    @cached_property
    def broken(self) -> pd.DataFrame:
        """One row per image that is right without attack and wrong under one, with the first such attack.

        Columns ``index``, ``label``, ``attack`` and ``prediction``, the class that it is taken for then. For a model
        that answers by chance, right and wrong are those of its mean answer.
        """
        frame = self.frame
        wrong = frame[self.ran].ne(frame["label"], axis=0)
        fell = (frame["clean_prediction"] == frame["label"]) & wrong.any(axis=1)
        broken = frame.loc[fell, ["index", "label"]].assign(attack=wrong[fell].idxmax(axis=1))
        predicted = [int(frame.at[row, attack]) for row, attack in broken["attack"].items()]
        return broken.assign(prediction=predicted).reset_index(drop=True)

    def __repr__(self) -> str:
        return f"{self.name}: {self.verdict}"

    def _repr_html_(self) -> str:
        from robustrepro.api.page import shown_in_notebook

        return shown_in_notebook(self)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the audit as a page that needs nothing beside it, and write it where a path is given.

        Parameters
        ----------
        path
            The file to write, in a folder that exists; what it held is replaced. None writes none.

        Returns
        -------
        The page, as HTML: verdict, attacks, alarms and, of images in grey or colour, the first that broke.
        """
        from robustrepro.api.page import page
        from robustrepro.files import write_text

        content = page(self)
        if path is not None:
            write_text(Path(path), content)
        return content


def audit(
    model: nn.Module,
    x: Any,
    y: Any,
    *,
    norm: Norm = "linf",
    epsilon: float,
    others: Mapping[str, nn.Module] | None = None,
    attacks: Mapping[str, Any] | None = None,
    seed: int = 0,
    name: str | None = None,
    progress: bool = True,
    keep: str | Path | None = None,
    about: Mapping[str, str] | None = None,
) -> Audit:
    """Attack a classifier with everything that the audit of papers has, and say what its robustness is worth.

    Every attack of ``workflow/audit.yaml`` runs in the ball, then the alarms. Where one goes off, there are stronger
    attacks, copies of the model that let a gradient pass, attacks that see labels alone, and a network distilled from
    the model's answers. A model that answers by chance is attacked in expectation.

    >>> found = rr.audit(model, x, y, norm="linf", epsilon=8 / 255)  # doctest: +SKIP

    Parameters
    ----------
    model
        From images in [0, 1] to logits (N, classes): any module, in evaluation mode, on any device, in any precision.
    x
        Images in [0, 1], shape (N, channels, height, width), or points, shape (N, features); bytes stand for 255ths.
    y
        Classes, whole numbers from 0 on, shape (N,).
    norm
        That of the ball: ``linf``, ``l2`` or ``l1``.
    epsilon
        The ball's radius, in units of the pixel range, such as 8/255; above 0, and at most 1 in ℓ∞, √D in ℓ2 and D in
        ℓ1, where images have D values.
    others
        Models whose adversarial examples are tried on this one, by name: the same network without its defence above
        all.
    attacks
        Changes to the audit, by the keys of ``workflow/audit.yaml``, laid on it key by key: ``{"noises": 5}``;
        ``{"attacks": {"pgd-1000": {"name": "pgd", "steps": 1000}}}`` adds an attack, ``{"attacks": {"pgd": {"steps":
        100}}}`` changes one, and ``{"attacks": {"autoattack": None}}`` removes one. The attacks under ``attacks``
        always run, those under ``escalation`` where an alarm goes off, and those under ``without_gradients`` where one
        still does. ε and norm are the ball's; the step size, when not said, is such that all steps together reach
        2.5 ε. An attack may also be a declared one in the ball, such as ``HeavyBall(...)``, of a class that is
        registered. ``fgsm`` and ``pgd``, which the alarms compare, have to stay.
    seed
        Of random starts, and of the chance by which a model answers.
    name
        What the page calls the model; its class when not said.
    progress
        Whether to show progress on standard error: a line per attack, and what the alarms say.
    keep
        A folder for what has been found: an audit that was interrupted goes on where it was.
    about
        What else the page is to say, by its heading, such as ``{"data set": "CIFAR-10"}``.

    Returns
    -------
    The verdict, every attack and alarm, and the worst point for each image.

    Raises
    ------
    UserError
        If model, images and labels do not fit, or norm, ε or the changed attacks are not valid.

    References
    ----------
    Athalye et al. 2018, "Obfuscated Gradients Give a False Sense of Security"; Carlini et al. 2019, "On Evaluating
    Adversarial Robustness"; Croce & Hein 2020, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks".
    """
    begun = time.monotonic()
    classifier, images, labels = checked(model, x, y)
    require_ball(norm, epsilon, images)
    declared = changed_audit(attacks, norm, float(epsilon))
    ball, left_out = attacks_in(declared, norm, epsilon, inputs_of(classifier, images))
    described = {"ball": ball.model_dump(mode="json", exclude_none=True), "seed": seed}
    code = [resolve(target) for target in runs_of(ball) if modules_from_outside([target])]
    digest = fingerprint(model, images, labels, described, code)
    watcher = Kept(None if keep is None else Path(keep), digest, shown=progress, slow=_run_last(ball))
    by_chance = varying_share(classifier, images, seed)
    battery = Battery(
        classifier, images, labels, seed=seed, box=UNIT_BOX, watcher=watcher, passes=PASSES if by_chance else None
    )
    outcome = battery.run(ball)
    for other, network in (others or {}).items():
        _transfer(battery, outcome, other, network, declared, ball)
    alarms = list(outcome.alarms)
    if by_chance:
        says = "share of images with two answers; attacked in expectation"
        alarms.append(Alarm(CHANCE, by_chance, 0.0, says, after=0.0))
    frame = pd.DataFrame(
        {
            "index": battery.indices.numpy(),
            "label": labels.numpy(),
            "clean_prediction": battery.clean.numpy(),
            **{attack: predicted.numpy() for attack, predicted in outcome.predictions.items()},
            "right": (battery.expected(seed) if by_chance else battery.right).numpy(),
        }
    )
    return Audit(
        name or type(model).__name__,
        norm,
        epsilon,
        frame,
        _by_attack(outcome, battery.clean, labels, ball),
        tuple(alarms),
        left_out,
        images,
        battery.found,
        by_chance > 0,
        time.monotonic() - begun,
        dict(about or {}),
    )


def _run_last(ball: AuditBall) -> set[str]:
    """Return the attacks that run on what the others have left alone: slow ones, by thousands of queries."""
    return {
        key
        for attacks in (ball.attacks, ball.escalation, ball.without_gradients)
        for key, attack in attacks.items()
        if not isinstance(attack, AscentAttack)
    }


def _transfer(
    battery: Battery,
    outcome: BallOutcome,
    name: str,
    other: nn.Module,
    declared: DeclaredAudit,
    ball: AuditBall,
) -> None:
    """Try another model's adversarial examples."""
    source, images, labels = checked(other, battery.images, battery.labels)
    spec = attack_at(declared.transfer, ball.norm, ball.epsilon)

    def points() -> Tensor:
        return craft(source, images, labels, battery.indices, spec, seed=battery.seed, box=battery.box)

    outcome.predictions[f"{TRANSFER}{name}"] = battery.under(f"{TRANSFER}{name}", battery.indices, points)


def _by_attack(outcome: BallOutcome, clean: Tensor, labels: Tensor, ball: AuditBall) -> pd.DataFrame:
    """Return one row per attack, the most harmful first."""
    of_ball = [attack for attack in outcome.predictions if not attack.startswith(TRANSFER)]
    words = words_of_ball(of_ball, ball.model_dump(mode="json", exclude_none=True))
    resisted = {attack: predicted == labels for attack, predicted in outcome.predictions.items()}
    remaining, run_last = clean == labels, _run_last(ball)
    rows = []
    for attack, right in resisted.items():
        others = outcome.resisted(labels, without=attack) if len(resisted) > 1 else remaining & False
        rows.append(
            {
                "attack": attack,
                "words": words.get(attack, attack),
                "stage": _stage(attack, ball),
                "accuracy": 100 * float(right.double().mean()),
                "spared": attack in run_last,
                "newly": int((remaining & ~right).sum()),
                "alone": int((others & ~right).sum()),
            }
        )
        remaining = remaining & right
    return pd.DataFrame(rows).sort_values("accuracy", kind="stable", ignore_index=True)


def _stage(attack: str, ball: AuditBall) -> str:
    """Return when an attack runs, as `Audit.attacks` has it."""
    key, _, copied = attack.partition(", ")
    if attack.startswith(TRANSFER):
        return "others"
    if key in ball.without_gradients or copied.startswith(DISTILLED):
        return "still"
    return "alarm" if key in ball.escalation else "always"
