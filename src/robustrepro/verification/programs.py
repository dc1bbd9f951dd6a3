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
from torch.nn import functional

from robustrepro.errors import UserError
from robustrepro.verification.bounds import Boxes, CrossingBoundsError, Ranges
from robustrepro.verification.layers import Chain

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
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
    def _parts(self) -> _Parts:
        least = np.concatenate([-layer.low[layer.unstable].numpy() for layer in self._ranges])
        most = np.concatenate([layer.high[layer.unstable].numpy() for layer in self._ranges])
        inputs, pairs = len(self._box[0]), len(most)
        given, offsets = zip(*map(self._given, range(len(self._ranges))), strict=True)
        offset = np.concatenate(offsets)
        outputs = sparse.eye_array(pairs, inputs + pairs, k=inputs)
        # An output less its excess is what is given; both stay below the chord from (0, most) to (least, 0).
        equations = sparse.hstack([outputs - sparse.vstack(given), -sparse.eye_array(pairs)])
        of_chord = [sparse.diags_array(side / (least + most)) for side in (least, most)]
        chords = sparse.hstack([of_chord[0] @ outputs, of_chord[1]])
        return _Parts(
            np.concatenate([self._box[0], np.zeros(2 * pairs)]),
            np.concatenate([self._box[1], most, least]),
            sparse.csc_array(sparse.vstack([equations, chords])),
            np.concatenate([offset, np.full(pairs, -np.inf)]),
            np.concatenate([offset, least * most / (least + most)]),
            inputs + np.arange(pairs),
            inputs + pairs + np.arange(pairs),
        )

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

    def branched(self, margin: Tensor, *, is_wrong: Callable[[Tensor], bool], programs: int, seconds: float) -> Answer:
        """Split the relaxation at the ReLUs that it gains most from, until every part is decided.

        A part whose least margin is above :data:`TOLERANCE` is done; the solution of another is tried on the network,
        and a ReLU is made active in one half and inactive in the other: that at which output and excess are furthest
        from having one of them 0, times the dual price of their difference. Each linear program starts from the
        solution of the one before. Where some splits decide, that was seen to be ten times as fast as an integer
        program of HiGHS; where thousands would, an integer program a hundred times as fast.

        Parameters
        ----------
        margin
            As of :meth:`least_margin`.
        is_wrong
            Whether the network misclassifies a point.
        programs, seconds
            After how many linear programs, and when, it is given up.

        Raises
        ------
        UserError
            If HiGHS is not there, or fails.
        """
        highspy, parts, deadline = _highs(), self._parts, time.monotonic() + seconds
        solver = self._solver(highspy, margin, integral=False, seconds=seconds)
        parts_left: list[frozenset[int]] = [frozenset()]
        closed: frozenset[int] = frozenset()  # columns that are held at 0
        undecided: Tensor | None = None
        for _ in range(programs):
            if not parts_left:
                return Answer("positive") if undecided is None else Answer("point", undecided)
            if time.monotonic() > deadline:
                break
            chosen = parts_left.pop()
            for column in closed ^ chosen:
                solver.changeColBounds(column, 0.0, 0.0 if column in chosen else parts.high[column])
            closed = chosen
            answer = self._solved(highspy, solver, exact=False, whole=not chosen)
            if answer.verdict == "positive":
                continue
            if answer.point is None:
                return Answer("open")
            if is_wrong(answer.point):
                return answer
            solution = solver.getSolution()
            outputs = np.asarray(solution.col_value)
            above, beyond = outputs[parts.above], outputs[parts.beyond]
            bent = np.minimum(above, beyond)  # by how much an output lies above that of the ReLU
            if bent.max(initial=0.0) < EXACT:
                undecided = answer.point  # right, but by a margin within the tolerance
                continue
            # What the objective pays for it: the price of the equation between output and excess.
            paid = np.abs(np.asarray(solution.row_dual)[: len(bent)]) * np.where(bent < EXACT, 0.0, bent)
            worst = int((paid if paid.any() else bent).argmax())
            halves = int(parts.above[worst]), int(parts.beyond[worst])  # inactive, active
            likely, unlikely = halves if above[worst] < beyond[worst] else halves[::-1]
            parts_left += [chosen | {unlikely}, chosen | {likely}]
        return Answer("open")

    def _solver(self, highspy: Any, margin: Tensor, *, integral: bool, seconds: float) -> Any:
        """Return HiGHS with the program that minimises a margin."""
        parts = self._parts
        coefficients, offset = self._linear(len(self._ranges), margin[None])
        costs = np.zeros(parts.columns)
        costs[: coefficients.shape[1]] = coefficients[0]
        constant = float(offset[0])
        solver = highspy.Highs()
        solver.silent()
        solver.setOptionValue("threads", 1)
        solver.setOptionValue("time_limit", float(seconds))
        solver.passModel(parts.model(highspy, costs, constant))
        if integral:
            self._add_binaries(highspy, solver)
            # Nothing above is asked for, and nothing better than below.
            entries = np.flatnonzero(costs)
            solver.addRow(-highspy.kHighsInf, TOLERANCE - constant, len(entries), entries, costs[entries])
            solver.setOptionValue("objective_target", -TOLERANCE)
        return solver

    def _add_binaries(self, highspy: Any, solver: Any) -> None:
        """Let a binary of each ReLU that may be either decide which of its two columns is 0."""
        parts = self._parts
        for above, beyond in zip(parts.above.tolist(), parts.beyond.tolist(), strict=True):
            binary = solver.getNumCol()
            solver.addVar(0.0, 1.0)
            solver.changeColIntegrality(binary, highspy.HighsVarType.kInteger)
            most, least = parts.high[above], parts.high[beyond]
            solver.addRow(-highspy.kHighsInf, 0.0, 2, np.array([above, binary]), np.array([1.0, -most]))
            solver.addRow(-highspy.kHighsInf, least, 2, np.array([beyond, binary]), np.array([1.0, least]))

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
        return torch.from_numpy(inside).view(self._chain.shapes[0])


@dataclass(frozen=True)
class _Parts:
    """A relaxed program but for its objective: columns with bounds, and rows."""

    low: Floats
    high: Floats
    matrix: sparse.csc_array
    row_low: Floats
    row_high: Floats
    above: Places
    """For each ReLU that may be either, the column of how far its output lies above 0"""
    beyond: Places
    """and that of how far it lies above what the ReLU is given."""

    @property
    def columns(self) -> int:
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
