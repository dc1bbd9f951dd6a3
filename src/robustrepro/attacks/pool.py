"""The rows of an active set: those under attack, and those that have left it and are still to be written down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from robustrepro.attacks.ascent import Memory

PAIR, RESTART, STEP, QUERIES = range(4)
"""Columns of a pool's ledger."""


@dataclass
class Pool:
    """The rows under attack, B of them.

    Attributes
    ----------
    ledger
        int64 on the CPU, shape (B, 4): the pair that a row attacks, its restart, its step, and the passes that it took
        part in.
    label, lowest_margin
        On the device, shape (B,): the image's label, and the smallest margin seen in this restart.
    origin, point, lowest_point
        On the device, shape (B, ...): the image, the iterate, and the iterate of smallest margin.
    memory
        What the ascent remembers of each row's restart.
    """

    ledger: Tensor
    label: Tensor
    lowest_margin: Tensor
    origin: Tensor
    point: Tensor
    lowest_point: Tensor
    memory: Memory

    def __len__(self) -> int:
        return len(self.ledger)

    def select(self, rows: Tensor) -> Pool:
        """Return only some rows, given by their positions on the CPU."""
        here = rows.to(self.label.device)
        return Pool(
            self.ledger[rows],
            self.label[here],
            self.lowest_margin[here],
            self.origin[here],
            self.point[here],
            self.lowest_point[here],
            tuple(remembered[here] for remembered in self.memory),
        )

    def joined_with(self, other: Pool) -> Pool:
        """Return these rows followed by others."""
        if len(self) == 0:
            return other
        return Pool(
            torch.cat([self.ledger, other.ledger]),
            torch.cat([self.label, other.label]),
            torch.cat([self.lowest_margin, other.lowest_margin]),
            torch.cat([self.origin, other.origin]),
            torch.cat([self.point, other.point]),
            torch.cat([self.lowest_point, other.lowest_point]),
            tuple(torch.cat(both) for both in zip(self.memory, other.memory, strict=True)),
        )


@dataclass
class Departures:
    """Rows that have left the pool and are still to be written down, K of them.

    Attributes
    ----------
    ledger, broken, prediction
        On the CPU: what a pool's ledger holds, whether the row was broken, and the model's last prediction.
    margin, origin, point
        On the device: the smallest margin of the restart, the image, and the iterate of that margin.
    """

    ledger: Tensor
    broken: Tensor
    prediction: Tensor
    margin: Tensor
    origin: Tensor
    point: Tensor

    @staticmethod
    def joined(parts: Sequence[Departures]) -> Departures:
        """Return several as one."""
        return Departures(*(torch.cat([getattr(part, name) for part in parts]) for name in _DEPARTURE_FIELDS))


_DEPARTURE_FIELDS = tuple(field.name for field in fields(Departures))
