"""Numbers that may vary with the epoch: a learning rate, an objective's weight, the ε of an attack in training."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from robustrepro.spec.base import Declaration, Number

Epochs = Annotated[Number, Field(gt=0)]
Epoch = Annotated[Number, Field(ge=0)]


class _Transition(Declaration):
    """From ``initial`` to ``final`` within ``epochs`` from epoch ``begin`` on; constant before and after."""

    initial: Number
    final: Number
    epochs: Epochs
    begin: Epoch = 0.0


class Ramp(_Transition):
    """Along a straight line."""

    name: Literal["ramp"]


class Cosine(_Transition):
    """Along half a period of a cosine (Loshchilov & Hutter 2017, without restarts)."""

    name: Literal["cosine"]


class Steps(Declaration):
    """``initial``, multiplied by ``factor`` at each of the epochs ``at``, and constant between them."""

    name: Literal["steps"]
    initial: Number
    factor: Number
    at: Annotated[list[Epochs], Field(min_length=1)]

    @model_validator(mode="after")
    def _epochs_increase(self) -> Steps:
        if any(later <= earlier for earlier, later in zip(self.at, self.at[1:], strict=False)):
            raise ValueError(f"at is {self.at}; expected each epoch later than the one before")
        return self


class PiecewiseLinear(Declaration):
    """Straight lines between ``points``, each an epoch and a value; constant before the first and after the last."""

    name: Literal["piecewise_linear"]
    points: Annotated[list[Annotated[list[Number], Field(min_length=2, max_length=2)]], Field(min_length=2)]

    @model_validator(mode="after")
    def _epochs_increase(self) -> PiecewiseLinear:
        epochs = [epoch for epoch, _ in self.points]
        if epochs[0] < 0 or any(later <= earlier for earlier, later in pairwise(epochs)):
            raise ValueError(f"the points' epochs are {epochs}; expected 0 or above, each later than the one before")
        return self


def _kind(schedule: Any) -> str:
    """Return which member of the union a schedule is: a mapping, or else it is to be a number."""
    return "varying" if isinstance(schedule, dict | Declaration) else "number"


Varying = Annotated[Ramp | Steps | Cosine | PiecewiseLinear, Field(discriminator="name")]
Schedule = Annotated[Annotated[Number, Tag("number")] | Annotated[Varying, Tag("varying")], Discriminator(_kind)]
"""A plain number, or how it varies with the epoch: 0 when training starts, 1 after the first pass over the data."""


def lowest(schedule: Schedule) -> float:
    """Return the lowest value that a schedule ever has."""
    return min(_extremes(schedule))


def _extremes(schedule: Schedule) -> list[float]:
    """Return values of a schedule, its lowest and its highest one among them."""
    match schedule:
        case Ramp() | Cosine():
            return [schedule.initial, schedule.final]
        case Steps():
            return [schedule.initial * schedule.factor**number for number in range(len(schedule.at) + 1)]
        case PiecewiseLinear():
            return [value for _, value in schedule.points]
        case _:
            return [schedule]


def _never_negative(schedule: Schedule) -> Schedule:
    """Refuse a rate that is 0 or less, or a schedule with a value below 0 (a warm-up may begin at 0)."""
    values = _extremes(schedule)
    may_touch_0 = not isinstance(schedule, float | Steps)
    if min(values) < 0 or max(values) <= 0 or (min(values) == 0 and not may_touch_0):
        raise ValueError("expected a positive rate; a ramp or cosine may begin or end at 0")
    return schedule


Rate = Annotated[Schedule, AfterValidator(_never_negative)]
"""A schedule of positive numbers, such as a learning rate."""
