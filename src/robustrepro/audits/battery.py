"""The audit's attacks on one model in one ball: those that decide, the alarms, and what is added when one goes off."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor, nn

from robustrepro.attacks.autoattack import SQUARE
from robustrepro.attacks.craft import craft
from robustrepro.attacks.curve import measure_curve
from robustrepro.attacks.measure import measure
from robustrepro.attacks.subject import on_device, predictions
from robustrepro.attacks.threat_models import Box
from robustrepro.audits.added import UNIFORM_NOISE
from robustrepro.audits.alarms import (
    BEYOND_REASON,
    BLACK_BOX,
    NOISE,
    ONE_STEP,
    SHATTERED_GRADIENTS,
    WRONG_GRADIENTS,
    ZERO_GRADIENTS,
    Alarm,
    alarms,
    has_no_gradient,
    has_shattered_gradient,
    wrong_gradient_share,
)
from robustrepro.audits.copies import averaged_copy, differentiable_copies
from robustrepro.audits.distilled import distilled
from robustrepro.audits.randomised import Expectation, right_share
from robustrepro.precision import true_float32
from robustrepro.seeds import derive_seed
from robustrepro.spec.attacks import AscentAttack, AutoAttack, BallAttack, GradientAttack, HopSkipJump, Noise, Pgd, Rays
from robustrepro.spec.audit import AuditBall

IMAGES = 4
"""The dimensions of a batch of images: (N, channels, height, width)."""
UNGUIDED = (Noise, Rays, HopSkipJump, AutoAttack)
"""The attacks that follow no gradient, or of which a part, Square, follows none."""
MOST_PROBED = 256
"""How many images tell what of a model lets no gradient pass."""
RESCALED, AVERAGED, DISTILLED = "rescaled", "averaged", "distilled"
FAR = "far"
"""What the names of attacks begin with that may make all images the same."""


@dataclass
class BallOutcome:
    """What became of every image in one ball: predictions by attack, and the alarms.

    Attributes
    ----------
    predictions
        By attack: the prediction for each image under it, int64, shape (N,). An attack of the library `pyautoattack`
        is not run on the images that another attack has broken already; these count as broken by it, too.
    unguided
        By attack: which images it broke, if it did, without following a gradient, or were left to others, bool, shape
        (N,). Of attacks that only follow gradients there is nothing.
    smaller
        The same under one attack at smaller ε, by ε.
    alarms
        Every alarm, whether it went off or not.
    """

    predictions: dict[str, Tensor] = field(default_factory=dict)
    unguided: dict[str, Tensor] = field(default_factory=dict)
    smaller: dict[float, Tensor] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)

    def resisted(self, labels: Tensor, *, without: str | None = None) -> Tensor:
        """Return which images no attack has broken so far, bool, shape (N,); one attack may be left out."""
        counted = [prediction for name, prediction in self.predictions.items() if name != without]
        return torch.stack([prediction == labels for prediction in counted]).all(0)

    def unguided_share(self, labels: Tensor) -> float:
        """Return the share of images that were broken, but by nothing that follows gradients."""
        by_gradients = [
            (prediction != labels) & ~self.unguided.get(name, torch.tensor(False))
            for name, prediction in self.predictions.items()
        ]
        return float((~self.resisted(labels) & ~torch.stack(by_gradients).any(0)).double().mean())


class Watcher:
    """What is told of a battery while it runs, and asked for what an interrupted one has found; this one does neither.

    A subclass may show progress, or keep the points of every attack so that it need not be run again.
    """

    def begins(self, attack: str, images: int) -> None:
        """Hear that an attack begins, on so many images."""

    def decided(self, images: int) -> None:
        """Hear that so many more images have been decided."""

    def ends(self, attack: str, resisting: float) -> None:
        """Hear that an attack has ended, and which share of the images resists it and all before it."""

    def checked(self, alarms: Sequence[Alarm], added: Iterable[str]) -> None:
        """Hear what the alarms say, and which attacks are added where one goes off, or still does."""

    def points(self, attack: str) -> Tensor | None:  # noqa: ARG002 (for subclasses to ask)
        """Return the points that the attack has ended with before, if they were kept."""
        return None

    def keep(self, attack: str, points: Tensor) -> None:
        """Keep the points that an attack has ended with."""


class Battery:
    """The attacks of an audit on one model and one set of images.

    An image counts as broken by an attack where the model, as it is and in its own precision, errs on the point that
    the attack returns: what fools a copy in float64 alone breaks nothing.

    Parameters
    ----------
    model
        In evaluation mode.
    images, labels
        Shapes (N, ...) and (N,), on the CPU.
    seed
        The seed that the user sees, of the attacks' random starts.
    box
        Range of valid pixels; None where nothing is clipped.
    watcher
        What is told of its progress, and may have kept points of an earlier run.
    passes
        Over how many passes the answers of a model that answers by chance are taken: it is attacked in expectation.
        None for one that always answers alike.

    Attributes
    ----------
    found
        For each image the point where the model is right least often, the first of several; shape of the images.
    right
        In which share of passes it is right there, float64, shape (N,): 0 or 1 for a model that always answers alike.
    """

    def __init__(
        self,
        model: nn.Module,
        images: Tensor,
        labels: Tensor,
        *,
        seed: int,
        box: Box,
        watcher: Watcher | None = None,
        passes: int | None = None,
    ) -> None:
        self.model = model if passes is None else Expectation(model, passes, seed).eval()
        self.images, self.labels = images, labels
        self.seed, self.box = seed, box
        self._passes = passes
        self._chance = None if passes is None else partial(right_share, model, passes=passes)
        self.indices = torch.arange(len(labels))
        self.device = next((weight.device for weight in model.parameters()), images.device)
        self.clean = predictions(self.model, images, self.device)
        self._of_images = images.ndim == IMAGES
        self.watcher = watcher or Watcher()
        self._by_square: dict[str, Tensor] = {}
        self._far: dict[str, Tensor] = {}
        self.found, self.right = images.clone(), self._right("clean", images, self.indices, self.clean)

    @true_float32()
    def run(self, ball: AuditBall) -> BallOutcome:
        """Run every attack of the ball, and more when an alarm goes off."""
        outcome = BallOutcome()
        self._by_square, self._far = {}, {}
        for name, attack in _library_last(ball.attacks):
            outcome.predictions[name] = self._attacked(name, attack, outcome)
        correct = (self.clean == self.labels).nonzero().flatten()
        if len(correct):
            outcome.predictions[UNIFORM_NOISE] = self._attacked(UNIFORM_NOISE, ball.noise, outcome)
            outcome.alarms = self._alarms(ball, outcome, correct)
            self.watcher.checked(outcome.alarms, ball.escalation)
        if any(alarm.goes_off for alarm in outcome.alarms):
            self._escalate(ball, outcome, correct[:MOST_PROBED])
        curve = measure_curve(
            self.model, self.images, self.labels, self.indices, ball.smaller, seed=self.seed, box=self.box
        )
        for epsilon in ball.smaller.epsilons:
            outcome.smaller[epsilon] = curve.prediction[curve.epsilon == epsilon]
        return outcome

    def _attacked(self, name: str, attack: BallAttack, outcome: BallOutcome) -> Tensor:
        """Return the predictions under an attack, int64, shape (N,)."""
        remaining = self.indices
        prediction = self.clean.clone()
        if not isinstance(attack, AscentAttack):
            resisted = outcome.resisted(self.labels)
            for other in outcome.predictions.values():
                prediction = torch.where((prediction == self.labels) & (other != self.labels), other, prediction)
            remaining = resisted.nonzero().flatten()
        if len(remaining):
            prediction[remaining] = self.under(name, remaining, lambda: self._points_of(name, attack, remaining))
        if isinstance(attack, UNGUIDED):
            outcome.unguided[name] = self._unguided(name, attack, remaining)
        return prediction

    def _unguided(self, name: str, attack: BallAttack, positions: Tensor) -> Tensor:
        """Return which images an attack that ran on some broke, if it did, without a gradient, or was not run on."""
        which = torch.ones(len(self.labels), dtype=torch.bool)
        if isinstance(attack, AutoAttack) and len(positions):
            by_square = self._by_square[name] if name in self._by_square else self.watcher.points(f"{name} by Square")
            which[positions] = False if by_square is None else by_square
        return which

    def _points_of(self, name: str, attack: BallAttack, positions: Tensor) -> Tensor:
        """Return where an attack ends with some images, in its own precision."""
        if self._chance is not None and isinstance(attack, AscentAttack):
            # An average that has just become wrong is right half the time: on to the last iterate.
            images, labels = self.images[positions], self.labels[positions]
            return craft(self.model, images, labels, positions, attack, seed=self.seed, box=self.box)
        if self._passes is not None:
            attack = _within_budget(attack, self._passes)
        attacked = measure(
            self.model,
            self.images[positions],
            self.labels[positions],
            positions,
            attack,
            seed=self.seed,
            box=self.box,
            keep_adversarial=True,
            progress=self.watcher.decided,
        )
        assert attacked.adversarial is not None
        if isinstance(attack, AutoAttack):
            self._by_square[name] = attacked.restart == SQUARE
            self.watcher.keep(f"{name} by Square", self._by_square[name])
        return attacked.adversarial

    def under(self, name: str, positions: Tensor, attack: Callable[[], Tensor]) -> Tensor:
        """Return the model's predictions for some images under an attack; a misclassified one stays misclassified.

        Parameters
        ----------
        name
            The attack's.
        positions
            Of the images.
        attack
            Returns its points, shape (len(positions), ...).
        """
        self.watcher.begins(name, len(positions))
        points = self.watcher.points(name)
        if points is None:
            points = attack()
            self.watcher.keep(name, points)
        points = points.to(self.images.dtype)
        answers, clean = predictions(self.model, points, self.device), self.clean[positions]
        if not name.startswith(FAR):  # its ball is not the claim's
            right = self._right(name, points, positions, answers)
            lower = right < self.right[positions]
            self.found[positions[lower]], self.right[positions[lower]] = points[lower], right[lower]
        self.watcher.ends(name, float(self.right.mean()))
        return torch.where(clean == self.labels[positions], answers, clean)

    def _right(self, name: str, points: Tensor, positions: Tensor, answers: Tensor) -> Tensor:
        """Return in which share of passes the model is right at some images' points, given its answers to them."""
        labels = self.labels[positions]
        if self._chance is None:
            return (answers == labels).double()
        return self._chance(points, labels, seed=derive_seed(self.seed, name))

    def expected(self, seed: int) -> Tensor:
        """Return how often the model is right at the points found, over passes that no point was chosen by."""
        answers = predictions(self.model, self.found, self.device)
        return self._right(f"chosen {seed}", self.found, self.indices, answers)

    def _alarms(self, ball: AuditBall, outcome: BallOutcome, correct: Tensor) -> list[Alarm]:
        images, labels = on_device(self.images[correct], self.device), self.labels[correct].to(self.device)
        return alarms(
            {name: self._accuracy(outcome.predictions[name]) for name in ("fgsm", "pgd")},
            zero_gradients=float(has_no_gradient(self.model, images, labels).double().mean()),
            wrong_gradients=wrong_gradient_share(self.model, images, labels),
            shattered_gradients=float(
                has_shattered_gradient(self.model, images, labels, ball.norm, ball.epsilon).double().mean()
            ),
            black_box=outcome.unguided_share(self.labels),
            noise=self._accuracy(outcome.predictions[UNIFORM_NOISE]),
            # Points of the plane have no range, so no ε within which all of them can be made the same.
            far=self._accuracy(self._attacked(FAR, self._pgd_across_the_box(ball), outcome))
            if self._of_images
            else 0.0,
            largest_class=float(self.labels.bincount().max()) / len(self.labels),
        )

    def _pgd_across_the_box(self, ball: AuditBall) -> Pgd:
        """Return the ball's PGD at the ε where every pixel can be moved to the middle: all images become the same.

        The middle is that of the box or, without one, of the images.
        """
        pgd = ball.attacks["pgd"]
        assert isinstance(pgd, Pgd)
        features = self.images[0].numel()
        low, high = self.box or (float(end) for end in self.images.aminmax())
        grey = (high - low) / 2
        reach = {"linf": grey, "l2": grey * math.sqrt(features), "l1": grey * features}[ball.norm]
        return pgd.model_copy(update={"epsilon": reach, "step_size": pgd.step_size * reach / ball.epsilon})

    def _escalate(self, ball: AuditBall, outcome: BallOutcome, probed: Tensor) -> None:
        """Add stronger attacks and the examples of differentiable copies; where that is not enough, those by labels.

        Parameters
        ----------
        probed
            Positions of correctly classified images, from which the copies are made.
        """
        images, labels = on_device(self.images[probed], self.device), self.labels[probed].to(self.device)
        copies = differentiable_copies(self.model, images, labels)
        if any(alarm.name == SHATTERED_GRADIENTS and alarm.goes_off for alarm in outcome.alarms):
            copies[AVERAGED] = averaged_copy(self.model, images, labels, ball.norm, ball.epsilon)
        self._add_examples_of(copies, ball.escalation, outcome)
        for name, attack in _library_last(ball.escalation):
            outcome.predictions[name] = self._attacked(name, attack, outcome)
        outcome.alarms = self._alarms_after(ball, outcome, copies)
        self.watcher.checked(outcome.alarms, ball.without_gradients)
        if not ball.without_gradients or not any(alarm.still_goes_off for alarm in outcome.alarms):
            return
        network = distilled(self.model, self.images, epsilon=ball.epsilon, norm=ball.norm, box=self.box, seed=self.seed)
        if network is not None:
            copies[DISTILLED] = network
            self._add_examples_of({DISTILLED: network}, ball.escalation, outcome)
        for name, attack in ball.without_gradients.items():
            outcome.predictions[name] = self._attacked(name, attack, outcome)
        outcome.alarms = self._alarms_after(ball, outcome, copies)
        self.watcher.checked(outcome.alarms, ())

    def _add_examples_of(
        self, copies: Mapping[str, nn.Module], attacks: Mapping[str, BallAttack], outcome: BallOutcome
    ) -> None:
        """Try what gradient attacks make for copies of the model on the model itself."""
        for name, attack in attacks.items():
            if isinstance(attack, GradientAttack):
                for kind, copied in copies.items():
                    outcome.predictions[f"{name}, {kind} copy"] = self._of_copy(f"{name}, {kind} copy", copied, attack)

    def _of_copy(self, name: str, copied: nn.Module, attack: GradientAttack) -> Tensor:
        """Return the model's predictions at the points that an attack makes for a copy of it."""
        once = attack.model_copy(update={"restarts": 1} if "restarts" in type(attack).model_fields else {})

        def points() -> Tensor:
            return craft(copied, self.images, self.labels, self.indices, once, seed=self.seed, box=self.box)

        return self.under(name, self.indices, points)

    def _alarms_after(self, ball: AuditBall, outcome: BallOutcome, copies: Mapping[str, nn.Module]) -> list[Alarm]:
        """Return the alarms with what is left of them after everything that they have added."""
        resisting = outcome.resisted(self.labels)
        after = {
            ZERO_GRADIENTS: self._still_without_gradient(resisting, copies),
            # Nothing but a copy that replaces what is wrong speaks against wrong gradients.
            WRONG_GRADIENTS: 0.0 if copies.keys() - {RESCALED, AVERAGED, DISTILLED} else float("inf"),
            # Nothing speaks against them but that an image breaks: a copy follows what is common to many gradients.
            SHATTERED_GRADIENTS: self._still_shattered(ball, resisting),
            ONE_STEP: self._share(outcome.resisted(self.labels, without="fgsm")),
            NOISE: self._share(outcome.resisted(self.labels, without=UNIFORM_NOISE)),
            BEYOND_REASON: self._share(self._resists_far_examples(ball, copies)) if self._of_images else 0.0,
            BLACK_BOX: outcome.unguided_share(self.labels),
        }
        return [replace(alarm, after=min(after[alarm.name], alarm.value)) for alarm in outcome.alarms]

    def _still_without_gradient(self, resisting: Tensor, copies: Mapping[str, nn.Module]) -> float:
        """Return the share of all images that resist with a gradient neither on the model nor on a faithful copy."""
        faithful = [self.model, *(copied for kind, copied in copies.items() if kind != DISTILLED)]

        def without(images: Tensor, labels: Tensor) -> Tensor:
            return torch.stack([has_no_gradient(each, images, labels) for each in faithful]).all(0)

        return self._share_of(resisting, without)

    def _still_shattered(self, ball: AuditBall, resisting: Tensor) -> float:
        """Return the share of all images that resist and whose gradient points elsewhere nearby."""

        def shattered(images: Tensor, labels: Tensor) -> Tensor:
            return has_shattered_gradient(self.model, images, labels, ball.norm, ball.epsilon)

        return self._share_of(resisting, shattered)

    def _share_of(self, which: Tensor, hold: Callable[[Tensor, Tensor], Tensor]) -> float:
        """Return for which share of all images, of some of them, something holds."""
        chosen = which.nonzero().flatten()
        if not len(chosen):
            return 0.0
        images, labels = on_device(self.images[chosen], self.device), self.labels[chosen].to(self.device)
        return int(hold(images, labels).sum()) / len(self.labels)

    def _resists_far_examples(self, ball: AuditBall, copies: Mapping[str, nn.Module]) -> Tensor:
        """Return which images resist what PGD makes for every copy where all can be made the same, bool, shape (N,)."""
        far = self._pgd_across_the_box(ball)
        for kind, copied in copies.items():
            for loss in ("margin", "log_odds"):
                name = f"{FAR}, {loss}, {kind} copy"
                if name not in self._far:
                    self._far[name] = self._of_copy(name, copied, far.model_copy(update={"loss": loss}))
        return torch.stack([prediction == self.labels for prediction in self._far.values()]).all(0)

    def _accuracy(self, prediction: Tensor) -> float:
        return self._share(prediction == self.labels)

    @staticmethod
    def _share(which: Tensor) -> float:
        return float(which.double().mean())


def _within_budget(attack: BallAttack, passes: int) -> BallAttack:
    """Return an attack that asks a model by chance no more often than one that always answers alike."""
    asked = [option for option in ("square_queries", "queries") if option in type(attack).model_fields]
    return attack.model_copy(update={option: max(1, getattr(attack, option) // passes) for option in asked})


def _library_last(attacks: Mapping[str, BallAttack]) -> list[tuple[str, BallAttack]]:
    """Return the attacks in order, those of the library last: they are slow, and need only what the others left."""
    return sorted(attacks.items(), key=lambda item: not isinstance(item[1], AscentAttack))
