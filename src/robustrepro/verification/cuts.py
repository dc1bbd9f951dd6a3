"""Cuts: what holds for a ReLU over a box beyond its triangle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
VIOLATION = 1e-4
"""By how much of a ReLU's largest output a point has to break a cut for it to be made."""
FEASIBLE = 1e-6
"""To what HiGHS meets a constraint."""


class Cuts:
    """The upper bounds of ReLUs y = max(0, w·x + b) over a box of x that no sum of others implies.

    With u the corner of the box at which w·x is largest and l the opposite one, and with ℓ(I) = b + Σ_I wᵢlᵢ +
    Σ_¬I wᵢuᵢ, where ¬I are all others, each set I and each h outside it with ℓ(I) ≥ 0 > ℓ(I ∪ {h}) have one:

        y ≤ Σ_I wᵢ (xᵢ − lᵢ) + ℓ(I) (x_h − l_h) / (u_h − l_h).

    Which of them a point breaks most is found by sorting.

    Parameters
    ----------
    given
        w of each ReLU, over the columns of a program.
    offsets
        b of each.
    low, high
        The box, by column.
    outputs
        The column of each y.

    References
    ----------
    Tjandraatmadja, Anderson, Huchette, Ma, Patel & Vielma, "The Convex Relaxation Barrier, Revisited: Tightened
    Single-Neuron Relaxations for Neural Network Verification", 2020, Theorem 1 and Section 3.2.
    """

    def __init__(self, given: sparse.csr_array, offsets: Floats, low: Floats, high: Floats, outputs: Places) -> None:
        self._relus: list[_Relu] = []
        for relu, output in enumerate(outputs):
            entries = slice(*given.indptr[relu : relu + 2])
            own = _Relu.of(output, given.indices[entries], given.data[entries], offsets[relu], low, high)
            # By FEASIBLE at least, so that rounding makes no cut of a ReLU that the box settles.
            if own.highest >= 0 and own.highest - own.gains.sum() < -FEASIBLE:
                self._relus.append(own)

    def broken(self, values: Floats) -> tuple[sparse.csr_array, Floats]:
        """Return the cuts that values of all columns break, as A values ≤ r: of each ReLU the one they break most.

        Parameters
        ----------
        values
            Shape (columns,).

        Returns
        -------
        A, shape (cuts, columns), and r, shape (cuts,).
        """
        rows, sides = [], []
        for relu in self._relus:
            columns, slopes, side = relu.lowest(values)
            excess = values[relu.output] - slopes @ values[columns] - side
            if excess > max(VIOLATION * relu.largest, FEASIBLE):
                row = np.append(-slopes, 1.0), np.append(columns, relu.output)
                rows.append(sparse.csr_array((row[0], ([0] * len(row[1]), row[1])), (1, len(values))))
                sides.append(side)
        return sparse.csr_array(sparse.vstack(rows or [sparse.csr_array((0, len(values)))])), np.array(sides)


@dataclass(frozen=True)
class _Relu:
    """One y = max(0, w·x + b), over the columns at which w is not 0."""

    output: int
    largest: float
    columns: Places
    slopes: Floats
    least: Floats
    """l, by column."""
    widths: Floats
    """u − l."""
    highest: float
    """ℓ(∅)."""

    @classmethod
    def of(cls, output: int, columns: Places, slopes: Floats, offset: float, low: Floats, high: Floats) -> _Relu:
        counts = (slopes != 0) & (high[columns] > low[columns])
        # A column that can't move is a part of the offset.
        offset = float(offset + slopes[~counts] @ low[columns[~counts]])
        columns, slopes = columns[counts], slopes[counts]
        rising = slopes > 0
        least = np.where(rising, low[columns], high[columns])
        most = np.where(rising, high[columns], low[columns])
        return cls(
            int(output), float(high[output]), columns, slopes, least, most - least, offset + float(slopes @ most)
        )

    @property
    def gains(self) -> Floats:
        """Return by how much ℓ falls as an i joins I."""
        return self.slopes * self.widths

    def lowest(self, values: Floats) -> tuple[Places, Floats, float]:
        """Return the columns, coefficients and constant of the upper bound that is lowest at a point."""
        order = np.argsort((values[self.columns] - self.least) / self.widths)
        level = self.highest - np.append(0.0, np.cumsum(self.gains[order]))
        size = int(np.argmax(level[1:] < 0))  # of I; the next one is h
        chosen = order[: size + 1]
        slopes = np.append(self.slopes[chosen[:-1]], level[size] / self.widths[chosen[-1]])
        return self.columns[chosen], slopes, float(-slopes @ self.least[chosen])
