"""Adversarial training in a ball that grows to its full size in the first epochs."""

from __future__ import annotations

from torch import Tensor, nn

from robustrepro.losses import example_loss
from robustrepro.objectives.adversarial import AdversarialRisk
from robustrepro.objectives.base import Risk, Step
from robustrepro.spec.objectives import SteppedAdversary


class RampedAdversarialRisk:
    """Adversarial risk whose ε, and the length of the adversary's steps with it, grows from 0 along a straight line.

    A small network that meets a large ball at once may stay with one answer for all images, whose loss no adversary
    can raise. With PGD and no clean images it is min-max training otherwise.

    Parameters
    ----------
    adversary
        The attack, with the ε and the step size of the full ball.
    ramp
        After how many epochs the ball is full.
    clean_weight, clipped, loss
        As of :class:`robustrepro.objectives.adversarial.AdversarialRisk`.

    References
    ----------
    Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks", 2018, Equation 2.1, without the ramp.
    """

    def __init__(
        self,
        adversary: SteppedAdversary,
        ramp: float,
        clean_weight: float = 0.0,
        clipped: bool = True,
        loss: str = "cross_entropy",
    ) -> None:
        self._adversary = adversary
        self._ramp = ramp
        self._options = {"clean_weight": clean_weight, "clipped": clipped, "loss": loss}
        self._loss = example_loss(loss)
        self._full = AdversarialRisk(adversary, clean_weight, clipped, loss)

    def __call__(self, model: nn.Module, step: Step) -> Risk:
        """Return the risk of a batch; the logits are those of the adversarial examples."""
        return self.within_ball_of(step.epoch)(model, step)

    def within_ball_of(self, epoch: float) -> AdversarialRisk:
        """Return the risk within the ball of an epoch, a real number."""
        if epoch >= self._ramp:
            return self._full
        share = epoch / self._ramp
        smaller = {"epsilon": share * self._adversary.epsilon, "step_size": share * self._adversary.step_size}
        return AdversarialRisk(self._adversary.model_copy(update=smaller), **self._options)  # type: ignore[arg-type]

    def example_losses(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the losses L, shape (N,): what the adversary ascends, unless it has a loss of its own."""
        return self._loss(logits, labels)
