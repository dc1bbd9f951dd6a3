"""The mixed-integer program of a network over a box (HiGHS): its least margin."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.nn import functional

from robustrepro.errors import UserError
from robustrepro.verification.bounds import Boxes, Ranges
from robustrepro.verification.cuts import Cuts, Floats, Places
from robustrepro.verification.layers import Chain

TOLERANCE = 1e-5
"""A margin counts as positive from here on: ten times what HiGHS may miss a constraint by."""


def highs() -> Any:
    """Return the module of HiGHS.

    Raises
    ------
    UserError
        If it is not there.
    """
    try:
        import highspy
    except ImportError as error:
        raise UserError(f"HiGHS is not there ({error}); `make setup` installs it, or `pip install highspy`") from error
    return highspy


@dataclass(frozen=True)
class Answer:
    """What a program found.

    Attributes
    ----------
    verdict
        ``positive``: the margin is above :data:`TOLERANCE` in the whole box, or in its relaxation; ``point``: there is
        a point with a smaller one; ``open``: neither was decided in time.
    point
        The inputs with the smallest margin so far, shape of the inputs; None where there are none.
    """

    verdict: Literal["positive", "point", "open"]
    point: Tensor | None = None


class Program:
    """The network over one box, its ReLUs exact or relaxed to triangles, for any margin.

    Variables are the inputs and, for each ReLU that may be either active or inactive, its output y and by how much that
    lies above what the ReLU is given: y − s = wx + b with y, s ≥ 0, one of which is 0 at a ReLU. The exact program has
    a binary for each such pair, the relaxed one a chord. All other ReLUs are linear in the box, and w leads through
    them to the inputs and the outputs of earlier pairs: there are as few rows as ReLUs that may be either.

    Parameters
    ----------
    chain
        The network.
    boxes
        One box.
    ranges
        Bounds of the pre-activations over it.

    References
    ----------
    Tjeng, Xiao & Tedrake, "Evaluating Robustness of Neural Networks with Mixed Integer Programming", 2019, Section 4.
    """

    def __init__(self, chain: Chain, boxes: Boxes, ranges: list[Ranges]) -> None:
        self._chain, self._ranges = chain, ranges
        self._box = boxes.low.flatten().numpy(), boxes.high.flatten().numpy()

    @cached_property
    def parts(self) -> Parts:
        """Return the relaxed program but for its objective."""
        least = np.concatenate([-layer.low[layer.unstable].numpy() for layer in self._ranges])
        most = np.concatenate([layer.high[layer.unstable].numpy() for layer in self._ranges])
        inputs, pairs = len(self._box[0]), len(most)
        rows, offsets = zip(*map(self._given, range(len(self._ranges))), strict=True)
        given, offset = sparse.csr_array(sparse.vstack(rows)), np.concatenate(offsets)
        outputs = sparse.eye_array(pairs, inputs + pairs, k=inputs)
        # An output less its excess is what is given; both stay below the chord from (0, most) to (least, 0).
        equations = sparse.hstack([outputs - given, -sparse.eye_array(pairs)])
        of_chord = [sparse.diags_array(side / (least + most)) for side in (least, most)]
        chords = sparse.hstack([of_chord[0] @ outputs, of_chord[1]])
        return Parts(
            np.concatenate([self._box[0], np.zeros(2 * pairs)]),
            np.concatenate([self._box[1], most, least]),
            sparse.csc_array(sparse.vstack([equations, chords])),
            np.concatenate([offset, np.full(pairs, -np.inf)]),
            np.concatenate([offset, least * most / (least + most)]),
            given,
            offset,
            inputs + np.arange(pairs),
            inputs + pairs + np.arange(pairs),
        )

    @cached_property
    def cuts(self) -> Cuts:
        """Return the cuts of its ReLUs, which hold for every margin."""
        parts = self.parts
        return Cuts(parts.given, parts.offset, parts.low, parts.high, parts.above)

    def _given(self, number: int) -> tuple[sparse.csr_array, Floats]:
        """Return what a layer's ReLUs that may be either are given, over the inputs and all outputs y."""
        unstable = self._ranges[number].unstable
        some = unstable.flatten().nonzero().flatten()
        rows = functional.one_hot(some, unstable.numel()).double()
        coefficients, offsets = self._linear(number, rows.view(len(some), *unstable.shape[1:]))
        given = sparse.csr_array(coefficients)
        given.resize(len(some), len(self._box[0]) + sum(int(layer.unstable.sum()) for layer in self._ranges))
        return given, offsets

    def _linear(self, number: int, rows: Tensor) -> tuple[Floats, Floats]:
        """Return linear functions of what a map makes as those of the inputs and of the outputs y in front of it.

        Returns
        -------
        Their coefficients, shape (R, inputs and earlier pairs), and offsets, shape (R,).
        """
        rows, offsets = self._chain.back(number, rows)
        blocks = []
        for layer in reversed(range(number)):
            ranges = self._ranges[layer]
            blocks.append(rows.flatten(1)[:, ranges.unstable.flatten()])
            rows, offset = self._chain.back(layer, rows * (ranges.low >= 0))
            offsets = offsets + offset
        blocks.append(rows.flatten(1))
        return torch.cat(blocks[::-1], 1).numpy(), offsets.numpy()

    def least_margin(self, margin: Tensor, *, seconds: float) -> Answer:
        """Look for a point whose margin is at most :data:`TOLERANCE`.

        Parameters
        ----------
        margin
            The margin's coefficients of the logits, shape (classes,).
        seconds
            After which it is given up.

        Raises
        ------
        UserError
            If HiGHS is not there, or fails.
        """
        highspy, solver = highs(), self.solver(margin)
        solver.setOptionValue("time_limit", float(seconds))
        objective = solver.getLp()
        costs, constant = np.asarray(objective.col_cost_), objective.offset_
        self._add_binaries(highspy, solver)
        # Nothing above is asked for, and nothing better than below.
        entries = np.flatnonzero(costs)
        solver.addRow(-highspy.kHighsInf, TOLERANCE - constant, len(entries), entries, costs[entries])
        solver.setOptionValue("objective_target", -TOLERANCE)
        if solved(highspy, solver) == highspy.HighsModelStatus.kInfeasible:
            return Answer("positive")
        if solver.getInfo().primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return Answer("open")
        return Answer("point", self.point(solver))

    def solver(self, margin: Tensor) -> Any:
        """Return HiGHS with the relaxed program that minimises a margin, for one thread."""
        coefficients, offset = self._linear(len(self._ranges), margin[None])
        costs = np.zeros(self.parts.columns)
        costs[: coefficients.shape[1]] = coefficients[0]
        highspy = highs()
        solver = highspy.Highs()
        solver.silent()
        solver.setOptionValue("threads", 1)
        solver.passModel(self.parts.model(highspy, costs, float(offset[0])))
        return solver

    def _add_binaries(self, highspy: Any, solver: Any) -> None:
        """Let a binary of each ReLU that may be either decide which of its two columns is 0."""
        parts = self.parts
        for above, beyond in zip(parts.above.tolist(), parts.beyond.tolist(), strict=True):
            binary = solver.getNumCol()
            solver.addVar(0.0, 1.0)
            solver.changeColIntegrality(binary, highspy.HighsVarType.kInteger)
            most, least = parts.high[above], parts.high[beyond]
            solver.addRow(-highspy.kHighsInf, 0.0, 2, np.array([above, binary]), np.array([1.0, -most]))
            solver.addRow(-highspy.kHighsInf, least, 2, np.array([beyond, binary]), np.array([1.0, least]))

    def point(self, solver: Any) -> Tensor:
        """Return the inputs of a solution, inside the box to the last bit."""
        values = np.asarray(solver.getSolution().col_value)[: len(self._box[0])]
        inside = np.clip(values, *self._box)
        return torch.from_numpy(inside).view(self._chain.shapes[0])


def solved(highspy: Any, solver: Any) -> Any:
    """Run HiGHS and return the status of its program.

    Raises
    ------
    UserError
        If it fails.
    """
    if solver.run() == highspy.HighsStatus.kError:
        raise UserError("HiGHS failed on a program of the verifier; try another version of highspy")
    return solver.getModelStatus()


@dataclass(frozen=True)
class Parts:
    """A relaxed program but for its objective: columns with bounds, and rows."""

    low: Floats
    high: Floats
    matrix: sparse.csc_array
    row_low: Floats
    row_high: Floats
    given: sparse.csr_array
    """What each ReLU that may be either is given, over the inputs and the outputs of all such ReLUs;"""
    offset: Floats
    """and the constant of that."""
    above: Places
    """For each ReLU that may be either, the column of how far its output lies above 0"""
    beyond: Places
    """and that of how far it lies above what the ReLU is given."""

    @property
    def columns(self) -> int:
        """Return the number of variables."""
        return len(self.low)

    def model(self, highspy: Any, costs: Floats, constant: float) -> Any:
        """Return the program as HiGHS takes it, to be minimised."""
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.columns, len(self.row_low)
        lp.col_cost_, lp.offset_ = costs, constant
        lp.col_lower_, lp.col_upper_ = self.low, self.high
        lp.row_lower_, lp.row_upper_ = self.row_low, self.row_high
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.start_ = self.matrix.indptr
        lp.a_matrix_.index_ = self.matrix.indices
        lp.a_matrix_.value_ = self.matrix.data
        return lp
