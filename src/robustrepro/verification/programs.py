"""Mixed-integer programs of a network over a box (HiGHS): the least margin, relaxed or exact."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor

from robustrepro.errors import UserError
from robustrepro.verification.bounds import Boxes, CrossingBoundsError, Ranges
from robustrepro.verification.layers import Chain, Matrix

Floats = npt.NDArray[np.float64]
TOLERANCE = 1e-5
"""A margin counts as positive from here on: HiGHS meets constraints to 1e-6."""
EXACT = 1e-7
"""An output that lies no further above that of the ReLU is the ReLU's."""


def _highs() -> Any:
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
    """The network over one box, its ReLUs relaxed to triangles or exact, for any margin.

    Variables are the inputs, what leaves each ReLU that is not inactive throughout, and for each ReLU that may be
    either whether it is active.

    Parameters
    ----------
    chain
        The network.
    matrices
        Each of its maps as a sparse matrix and offsets (`Chain.matrix`).
    boxes
        One box.
    ranges
        Bounds of the pre-activations over it.

    References
    ----------
    Tjeng, Xiao & Tedrake, "Evaluating Robustness of Neural Networks with Mixed Integer Programming", 2019, Section 4.
    """

    def __init__(self, chain: Chain, matrices: list[Matrix], boxes: Boxes, ranges: list[Ranges]) -> None:
        self._matrices, self._shape = matrices, chain.shapes[0]
        self._ranges = [(each.low.flatten().numpy(), each.high.flatten().numpy()) for each in ranges]
        self._box = boxes.low.flatten().numpy(), boxes.high.flatten().numpy()

    @cached_property
    def _parts(self) -> _Parts:
        return _assemble(self._matrices, self._ranges, self._box)

    def least_margin(self, margin: Tensor, *, exact: bool, seconds: float) -> Answer:
        """Look for a point whose margin is at most :data:`TOLERANCE`.

        Parameters
        ----------
        margin
            The margin's coefficients of the logits, shape (classes,).
        exact
            Whether ReLUs are exact; otherwise the program is linear, and a point is none of the network's.
        seconds
            After which it is given up.

        Raises
        ------
        CrossingBoundsError
            If a relaxation has no point at all.
        UserError
            If HiGHS is not there, or fails.
        """
        highspy = _highs()
        return self._solved(highspy, self._solver(highspy, margin, integral=exact, seconds=seconds), exact=exact)

    def branched(self, margin: Tensor, *, is_wrong: Callable[[Tensor], bool], seconds: float) -> Answer:
        """Split the relaxation at the ReLUs that it bends most, until every part is decided.

        A part whose least margin is above :data:`TOLERANCE` is done; the solution of another is tried on the network,
        and the ReLU whose output lies furthest above its own is made active in one half and inactive in the other. Each
        linear program starts from the solution of the one before. That was seen to take a second where an integer
        program of HiGHS took fifty, almost all of them for cuts at its root.

        Parameters
        ----------
        margin
            As of :meth:`least_margin`.
        is_wrong
            Whether the network misclassifies a point.
        seconds
            After which it is given up.

        Raises
        ------
        UserError
            If HiGHS is not there, or fails.
        """
        highspy, parts, deadline = _highs(), self._parts, time.monotonic() + seconds
        solver = self._solver(highspy, margin, integral=False, seconds=seconds)
        parts_left: list[dict[int, float]] = [{}]
        fixed: dict[int, float] = {}
        undecided: Tensor | None = None
        while parts_left:
            if time.monotonic() > deadline:
                return Answer("open")
            chosen = parts_left.pop()
            for column in fixed.keys() - chosen.keys():
                solver.changeColBounds(column, 0.0, 1.0)
            for column, value in chosen.items():
                solver.changeColBounds(column, value, value)
            fixed = chosen
            answer = self._solved(highspy, solver, exact=False, whole=not chosen)
            if answer.verdict == "positive":
                continue
            if answer.point is None:
                return Answer("open")
            if is_wrong(answer.point):
                return answer
            solution = solver.getSolution()
            outputs = np.asarray(solution.col_value)
            above_map = np.asarray(solution.row_value)[parts.at_least] - parts.row_low[parts.at_least]
            bent = np.minimum(outputs[parts.leaving], above_map)  # by how much an output lies above that of the ReLU
            if bent.max(initial=0.0) < EXACT:
                undecided = answer.point  # right, but by a margin within the tolerance
                continue
            worst = int(bent.argmax())
            column, likely = int(parts.binaries[worst]), float(outputs[parts.binaries[worst]] > 0.5)
            parts_left += [{**chosen, column: 1 - likely}, {**chosen, column: likely}]
        return Answer("positive") if undecided is None else Answer("point", undecided)

    def _solver(self, highspy: Any, margin: Tensor, *, integral: bool, seconds: float) -> Any:
        """Return HiGHS with the program that minimises a margin."""
        parts = self._parts
        weights, offsets = self._matrices[-1]
        row = sparse.csr_array(margin.numpy()[None] @ weights).toarray()[0]
        costs = np.zeros(parts.columns)
        costs[parts.last] = row[parts.kept]
        constant = float(margin.numpy() @ offsets)
        solver = highspy.Highs()
        solver.silent()
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("time_limit", float(seconds))
        solver.passModel(parts.model(highspy, costs, constant, integral=integral))
        if integral:
            # Nothing above is asked for, and nothing better than below.
            entries = np.flatnonzero(costs)
            solver.addRow(-highspy.kHighsInf, TOLERANCE - constant, len(entries), entries, costs[entries])
            solver.setOptionValue("objective_target", -TOLERANCE)
        return solver

    def _solved(self, highspy: Any, solver: Any, *, exact: bool, whole: bool = True) -> Answer:
        """Return what HiGHS finds, on the ``whole`` box or a part of it, which may be empty."""
        if solver.run() == highspy.HighsStatus.kError:
            raise UserError("HiGHS failed on a program of the verifier; try another version of highspy")
        status, info = solver.getModelStatus(), solver.getInfo()
        if status == highspy.HighsModelStatus.kInfeasible:
            if whole and not exact:
                raise CrossingBoundsError(
                    "a relaxation has no point, though the image itself is one: its bounds are wrong"
                )
            return Answer("positive")
        has_point = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        point = self._point(solver) if has_point else None
        if status == highspy.HighsModelStatus.kOptimal and not exact:
            return Answer("positive" if info.objective_function_value > TOLERANCE else "point", point)
        return Answer("point", point) if exact and has_point else Answer("open")

    def _point(self, solver: Any) -> Tensor:
        """Return the inputs of the solution, inside the box to the last bit."""
        values = np.asarray(solver.getSolution().col_value)[: len(self._box[0])]
        inside = np.clip(values, *self._box)
        return torch.from_numpy(inside).view(self._shape)


@dataclass(frozen=True)
class _Parts:
    """A program but for its objective: columns with bounds, and rows."""

    low: Floats
    high: Floats
    matrix: sparse.csc_array
    row_low: Floats
    row_high: Floats
    binaries: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]
    """The columns of what leaves the last ReLUs,"""
    kept: npt.NDArray[np.int64]
    """and which units these are."""
    leaving: npt.NDArray[np.int64]
    """For each binary the column of what leaves its ReLU,"""
    at_least: npt.NDArray[np.int64]
    """and the row that keeps this from falling below what the ReLU is given."""

    @property
    def columns(self) -> int:
        return len(self.low)

    def model(self, highspy: Any, costs: Floats, constant: float, *, integral: bool) -> Any:
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
        if integral:
            kinds = np.full(self.columns, highspy.HighsVarType.kContinuous, dtype=object)
            kinds[self.binaries] = highspy.HighsVarType.kInteger
            lp.integrality_ = list(kinds)
        return lp


def _assemble(matrices: list[Matrix], ranges: list[tuple[Floats, Floats]], box: tuple[Floats, Floats]) -> _Parts:
    """Write the network's rows and columns, layer by layer."""
    column_low, column_high = [box[0]], [box[1]]
    count = len(box[0])
    before, kept = np.arange(count), np.arange(count)
    blocks: list[tuple[sparse.coo_array, Floats, Floats]] = []
    binaries: list[npt.NDArray[np.int64]] = []
    ambiguous: list[npt.NDArray[np.int64]] = []
    at_least: list[npt.NDArray[np.int64]] = []
    row_count = 0
    for (weights, offsets), (low, high) in zip(matrices[:-1], ranges, strict=True):
        alive = np.flatnonzero(high > 0)
        unstable = low[alive] < 0
        leaving = count + np.arange(len(alive))
        choice = count + len(alive) + np.arange(int(unstable.sum()))
        column_low += [np.maximum(low[alive], 0), np.zeros(len(choice))]
        column_high += [high[alive], np.ones(len(choice))]
        count += len(alive) + len(choice)
        # What leaves is the map where the ReLU is active, and at least the map where it may be either.
        numbers = np.arange(len(alive))
        entries = [(numbers, leaving, np.ones(len(alive))), _minus(weights[alive][:, kept], before)]
        blocks.append(_rows(entries, offsets[alive], np.where(unstable, np.inf, offsets[alive])))
        # And no more than the map where it is active, nor than 0 where it is not.
        some = np.flatnonzero(unstable)
        least, most = low[alive[some]], high[alive[some]]
        numbers, nothing = np.arange(len(some)), np.full(len(some), -np.inf)
        own = numbers, leaving[some], np.ones(len(some))
        entries = [own, _minus(weights[alive[some]][:, kept], before), (numbers, choice, -least)]
        blocks.append(_rows(entries, nothing, offsets[alive[some]] - least))
        blocks.append(_rows([own, (numbers, choice, -most)], nothing, np.zeros(len(some))))
        at_least.append(row_count + some)
        row_count += len(alive) + 2 * len(some)
        ambiguous.append(leaving[some])
        binaries.append(choice)
        before, kept = leaving, alive
    parts = [sparse.coo_array((part.data, part.coords), shape=(part.shape[0], count)) for part, _, _ in blocks]
    return _Parts(
        np.concatenate(column_low),
        np.concatenate(column_high),
        sparse.csc_array(sparse.vstack(parts)),
        np.concatenate([low for _, low, _ in blocks]),
        np.concatenate([high for _, _, high in blocks]),
        np.concatenate(binaries),
        before,
        kept,
        np.concatenate(ambiguous),
        np.concatenate(at_least),
    )


def _minus(weights: sparse.csr_array, columns: npt.NDArray[np.int64]) -> tuple[Any, Any, Any]:
    """Return the entries (row, column, value) of −W, whose inputs have these columns."""
    entries = sparse.coo_array(weights)
    return entries.coords[0], columns[entries.coords[1]], -entries.data


def _rows(entries: list[tuple[Any, Any, Any]], low: Floats, high: Floats) -> tuple[sparse.coo_array, Floats, Floats]:
    """Return rows from (row, column, value) entries, and between what they lie."""
    rows, columns, values = (np.concatenate([np.asarray(entry[number]) for entry in entries]) for number in range(3))
    width = int(columns.max()) + 1 if len(columns) else 1
    return sparse.coo_array((values, (rows, columns)), shape=(len(low), width)), low, high
