"""The value of a schedule at an epoch: a function of the epoch alone, so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from bisect import bisect_right

from robustrepro.spec.schedules import Cosine, Ramp, Steps


def value_at(schedule: float | Ramp | Steps | Cosine, epoch: float) -> float:
    """Return the value of a schedule.

    Parameters
    ----------
    schedule
        A number, which is constant, or the declaration of how it varies.
    epoch
        A real number: 0 at the start of training, k + fraction within an epoch.
    """
    match schedule:
        case Ramp():
            return _between(schedule, _share(schedule, epoch))
        case Cosine():
            return _between(schedule, (1 - math.cos(math.pi * _share(schedule, epoch))) / 2)
        case Steps():
            return schedule.initial * schedule.factor ** bisect_right(schedule.at, epoch)
        case _:
            return schedule


def _share(schedule: Ramp | Cosine, epoch: float) -> float:
    """Return how much of a transition is over, between 0 and 1."""
    return min(max((epoch - schedule.begin) / schedule.epochs, 0.0), 1.0)


def _between(schedule: Ramp | Cosine, share: float) -> float:
    """Return the value at a share of the way; both ends are met exactly."""
    return schedule.initial * (1 - share) + schedule.final * share
