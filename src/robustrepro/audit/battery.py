"""The audit's attacks on one model in one ball: those that decide, the alarms, and what is added when one goes off."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from robustrepro.attacks.craft import craft
from robustrepro.attacks.curve import measure_curve
from robustrepro.attacks.measure import measure
from robustrepro.attacks.subject import on_device, predictions
from robustrepro.attacks.threat_models import Box
from robustrepro.audit.alarms import Alarm, alarms, zero_gradient_share
from robustrepro.audit.copies import differentiable_copies
from robustrepro.spec.attacks import Curve, attack_adapter, crafting_attack_adapter

Attack = Mapping[str, Any]
GREY = 0.5
"""How far a pixel of [0, 1] is from the middle at most."""


@dataclass
class BallOutcome:
    """What became of every image in one ball: predictions by attack, and what the alarms said.

    Attributes
    ----------
    predictions
        By attack: the prediction for each image under it, int64, shape (N,). An attack of the library `pyautoattack`
        is spared the images that another attack has broken already; these count as broken by it, too.
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
        Range of valid pixels.
    """

    def __init__(self, model: nn.Module, images: Tensor, labels: Tensor, *, seed: int, box: Box) -> None:
        self.model, self.images, self.labels = model, images, labels
        self.seed, self.box = seed, box
        self.indices = torch.arange(len(labels))
        self.device = next((weight.device for weight in model.parameters()), images.device)
        self.clean = predictions(model, images, self.device)

    def run(self, ball: Mapping[str, Any]) -> BallOutcome:
        """Run every attack of one ball, and more when an alarm goes off.

        Parameters
        ----------
        ball
            ``norm`` and ``epsilon``; ``attacks`` and ``escalation``'s ``attacks`` by name; under ``attack``, the
            ``noise`` to compare with and the curve at ``smaller`` ε.
        """
        outcome = BallOutcome()
        for name, attack in _library_last(ball["attacks"]):
            outcome.predictions[name] = self._attacked(attack, outcome)
        outcome.alarms = self._alarms(ball, outcome)
        if any(alarm.goes_off for alarm in outcome.alarms):
            self._escalate(ball["escalation"]["attacks"], outcome)
        curve = measure_curve(
            self.model,
            self.images,
            self.labels,
            self.indices,
            Curve.model_validate(ball["smaller"]["attack"]),
            seed=self.seed,
            box=self.box,
        )
        for epsilon in ball["smaller"]["attack"]["epsilons"]:
            outcome.smaller[epsilon] = curve.prediction[curve.epsilon == epsilon]
        return outcome

    def _attacked(self, attack: Attack, outcome: BallOutcome) -> Tensor:
        """Return the predictions under an attack."""
        left = self.indices
        prediction = self.clean.clone()
        if attack["name"] == "autoattack":
            resisted = outcome.resisted(self.labels)
            for found in outcome.predictions.values():
                prediction = torch.where((prediction == self.labels) & (found != self.labels), found, prediction)
            left = resisted.nonzero().flatten()
        if len(left):
            spec = attack_adapter.validate_python(dict(attack))
            found = measure(
                self.model, self.images[left], self.labels[left], left, spec, seed=self.seed, box=self.box
            ).prediction
            prediction[left] = found
        return prediction

    def _alarms(self, ball: Mapping[str, Any], outcome: BallOutcome) -> list[Alarm]:
        correct = (self.clean == self.labels).nonzero().flatten()
        if not len(correct):
            return []
        pgd = ball["attacks"]["pgd"]
        # Where every pixel can be moved to the middle, all images become the same.
        reach = GREY if ball["norm"] == "linf" else GREY * math.sqrt(self.images[0].numel())
        far = {**pgd, "epsilon": reach, "step_size": pgd["step_size"] * reach / ball["epsilon"]}
        images = on_device(self.images[correct], self.device)
        return alarms(
            {name: self._accuracy(outcome.predictions[name]) for name in ("fgsm", "pgd")},
            zero_gradients=zero_gradient_share(self.model, images, self.labels[correct].to(self.device)),
            noise=self._accuracy(self._attacked(ball["noise"]["attack"], outcome)),
            far=self._accuracy(self._attacked(far, outcome)),
            largest_class=float(self.labels.bincount().max()) / len(self.labels),
        )

    def _escalate(self, attacks: Mapping[str, Attack], outcome: BallOutcome) -> None:
        """Add stronger attacks on the model, and the examples of its differentiable copies."""
        correct = (self.clean == self.labels).nonzero().flatten()[:256]
        images = on_device(self.images[correct], self.device)
        copies = differentiable_copies(self.model, images, self.labels[correct].to(self.device))
        for name, attack in _library_last(attacks):
            if attack["name"] != "autoattack":
                for kind, copied in copies.items():
                    spec = crafting_attack_adapter.validate_python({**attack, "restarts": 1})
                    made = craft(copied, self.images, self.labels, self.indices, spec, seed=self.seed, box=self.box)
                    found = predictions(self.model, made, self.device)
                    # A misclassified image does not become robust by an example that happens to be got right.
                    outcome.predictions[f"{name}, {kind} copy"] = torch.where(
                        self.clean == self.labels, found, self.clean
                    )
            outcome.predictions[name] = self._attacked(attack, outcome)

    def _accuracy(self, prediction: Tensor) -> float:
        return float((prediction == self.labels).double().mean())


def _library_last(attacks: Mapping[str, Attack]) -> list[tuple[str, Attack]]:
    """Return the attacks in order, those of the library last: they are slow, and need only what the others left."""
    return sorted(attacks.items(), key=lambda item: item[1]["name"] == "autoattack")
