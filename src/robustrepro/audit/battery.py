"""The audit's attacks on one model in one ball: those that decide, the alarms, and what is added when one goes off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from robustrepro.attacks.craft import craft
from robustrepro.attacks.curve import measure_curve
from robustrepro.attacks.measure import measure
from robustrepro.attacks.subject import on_device, predictions
from robustrepro.attacks.threat_models import Box
from robustrepro.audit.alarms import Alarm, alarms, zero_gradient_share
from robustrepro.audit.copies import differentiable_copies
from robustrepro.precision import true_float32
from robustrepro.spec.attacks import AscentAttack, BallAttack, GradientAttack, Pgd
from robustrepro.spec.audit import AuditBall

IMAGES = 4
"""The dimensions of a batch of images: (N, channels, height, width)."""


@dataclass
class BallOutcome:
    """What became of every image in one ball: predictions by attack, and the alarms.

    Attributes
    ----------
    predictions
        By attack: the prediction for each image under it, int64, shape (N,). An attack of the library `pyautoattack`
        is not run on the images that another attack has broken already; these count as broken by it, too.
    smaller
        The same under one attack at smaller ε, by ε.
    alarms
        Every alarm, whether it went off or not.
    """

    predictions: dict[str, Tensor] = field(default_factory=dict)
    smaller: dict[float, Tensor] = field(default_factory=dict)
    alarms: list[Alarm] = field(default_factory=list)

    def resisted(self, labels: Tensor) -> Tensor:
        """Return which images no attack has broken so far, bool, shape (N,)."""
        return torch.stack([prediction == labels for prediction in self.predictions.values()]).all(0)


class Battery:
    """The attacks of an audit on one model and one set of images.

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
    """

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor, *, seed: int, box: Box) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.seed, self.box = seed, box
        self.indices = torch.arange(len(labels))
        self.device = next((weight.device for weight in model.parameters()), images.device)
        self.clean = predictions(model, images, self.device)
        self._of_images = images.ndim == IMAGES

    @true_float32()
    def run(self, ball: AuditBall) -> BallOutcome:
        """Run every attack of the ball, and more when an alarm goes off."""
        outcome = BallOutcome()
        for name, attack in _library_last(ball.attacks):
            outcome.predictions[name] = self._attacked(attack, outcome)
        outcome.alarms = self._alarms(ball, outcome)
        if any(alarm.goes_off for alarm in outcome.alarms):
            self._escalate(ball.escalation, outcome)
        curve = measure_curve(
            self.model, self.images, self.labels, self.indices, ball.smaller, seed=self.seed, box=self.box
        )
        for epsilon in ball.smaller.epsilons:
            outcome.smaller[epsilon] = curve.prediction[curve.epsilon == epsilon]
        return outcome

    def _attacked(self, attack: BallAttack, outcome: BallOutcome) -> Tensor:
        """Return the predictions under an attack."""
        remaining = self.indices
        prediction = self.clean.clone()
        if not isinstance(attack, AscentAttack):
            resisted = outcome.resisted(self.labels)
            for other in outcome.predictions.values():
                prediction = torch.where((prediction == self.labels) & (other != self.labels), other, prediction)
            remaining = resisted.nonzero().flatten()
        if len(remaining):
            images, labels = self.images[remaining], self.labels[remaining]
            attacked = measure(self.model, images, labels, remaining, attack, seed=self.seed, box=self.box)
            prediction[remaining] = attacked.prediction
        return prediction

    def _alarms(self, ball: AuditBall, outcome: BallOutcome) -> list[Alarm]:
        correct = (self.clean == self.labels).nonzero().flatten()
        if not len(correct):
            return []
        images = on_device(self.images[correct], self.device)
        return alarms(
            {name: self._accuracy(outcome.predictions[name]) for name in ("fgsm", "pgd")},
            zero_gradients=zero_gradient_share(self.model, images, self.labels[correct].to(self.device)),
            noise=self._accuracy(self._attacked(ball.noise, outcome)),
            # Points of the plane have no range, so no ε within which all of them can be made the same.
            far=self._accuracy(self._attacked(self._pgd_across_the_box(ball), outcome)) if self._of_images else 0.0,
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

    def _escalate(self, attacks: Mapping[str, BallAttack], outcome: BallOutcome) -> None:
        """Add stronger attacks on the model, and the examples of its differentiable copies."""
        correct = (self.clean == self.labels).nonzero().flatten()[:256]
        images = on_device(self.images[correct], self.device)
        copies = differentiable_copies(self.model, images, self.labels[correct].to(self.device))
        for name, attack in _library_last(attacks):
            if isinstance(attack, GradientAttack):
                once = attack.model_copy(update={"restarts": 1} if "restarts" in type(attack).model_fields else {})
                for kind, copied in copies.items():
                    points = craft(copied, self.images, self.labels, self.indices, once, seed=self.seed, box=self.box)
                    prediction = predictions(self.model, points, self.device)
                    # A misclassified image does not become robust by an example that happens to be classified right.
                    outcome.predictions[f"{name}, {kind} copy"] = torch.where(
                        self.clean == self.labels, prediction, self.clean
                    )
            outcome.predictions[name] = self._attacked(attack, outcome)

    def _accuracy(self, prediction: Tensor) -> float:
        return float((prediction == self.labels).double().mean())


def _library_last(attacks: Mapping[str, BallAttack]) -> list[tuple[str, BallAttack]]:
    """Return the attacks in order, those of the library last: they are slow, and need only what the others left."""
    return sorted(attacks.items(), key=lambda item: not isinstance(item[1], AscentAttack))
