"""The value of a schedule at an epoch: a function of the epoch alone, so that resuming needs no scheduler state."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from robustrepro.spec.schedules import Cosine, PiecewiseLinear, Ramp, Schedule, Steps


def value_at(schedule: Schedule, epoch: float) -> float:
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
        case PiecewiseLinear():
            return _on_the_lines(schedule.points, epoch)
        case _:
            return schedule


def _share(schedule: Ramp | Cosine, epoch: float) -> float:
    """Return how much of a transition is over, between 0 and 1."""
    return min(max((epoch - schedule.begin) / schedule.epochs, 0.0), 1.0)


def _on_the_lines(points: Sequence[Sequence[float]], epoch: float) -> float:
    """Return the value at an epoch on the straight lines between points; each point is met exactly."""
    number = bisect_right(points, epoch, key=lambda point: point[0])
    if number in (0, len(points)):
        return points[max(number - 1, 0)][1]
    (begin, initial), (end, final) = points[number - 1], points[number]
    share = (epoch - begin) / (end - begin)
    return initial * (1 - share) + final * share


def _between(schedule: Ramp | Cosine, share: float) -> float:
    """Return the value at a share of the way; both ends are met exactly."""
    return schedule.initial * (1 - share) + schedule.final * share
