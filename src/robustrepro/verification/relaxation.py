"""The relaxed program of one margin, made tighter by cuts and by splits until it decides (HiGHS)."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from torch import Tensor

from robustrepro.verification.bounds import CrossingBoundsError
from robustrepro.verification.programs import TOLERANCE, Answer, Program, highs, solved

GAIN = 0.1
"""Cuts go on while a round of them raises the least margin by this share of what it then lacks."""
EXACT = 1e-7
"""An output that lies no further above that of the ReLU is the ReLU's."""


class Relaxation:
    """A network's relaxation over one box, with one margin to be minimised.

    Its linear program stays with HiGHS, which starts each from the solution of the one before.

    Parameters
    ----------
    program
        The network over the box.
    margin
        The margin's coefficients of the logits, shape (classes,).
    is_wrong
        Whether the network misclassifies a point.

    Raises
    ------
    UserError
        If HiGHS is not there; and in both methods, if it fails.
    """

    def __init__(self, program: Program, margin: Tensor, is_wrong: Callable[[Tensor], bool]) -> None:
        self._program, self._is_wrong = program, is_wrong
        self._highspy, self._solver = highs(), program.solver(margin)
        self._parts = program.parts
        self._closed: frozenset[int] = frozenset()
        """Columns that are held at 0."""

    def least_margin(self, *, seconds: float) -> Answer:
        """Minimise the margin, with the cuts that solutions break, as long as they pay.

        Parameters
        ----------
        seconds
            After which it is given up.

        Raises
        ------
        CrossingBoundsError
            If there is no point at all.
        """
        deadline, before = time.monotonic() + seconds, np.inf
        while True:
            answer = self._minimised(deadline)
            if answer.point is None or self._is_wrong(answer.point):
                return answer
            values = np.asarray(self._solver.getSolution().col_value)
            lacking = TOLERANCE - self._solver.getInfo().objective_function_value
            self._forget_slack_cuts()
            if before < (1 + GAIN) * lacking or time.monotonic() > deadline:
                return answer
            before = lacking
            rows, sides = self._program.cuts.broken(values)
            if not len(sides):
                return answer
            below = np.full(len(sides), -self._highspy.kHighsInf)
            self._solver.addRows(len(sides), below, sides, rows.nnz, rows.indptr[:-1], rows.indices, rows.data)

    def branched(self, *, programs: int, seconds: float) -> Answer:
        """Split the relaxation at the ReLUs that it gains most from, until every part is decided.

        A part whose least margin is above :data:`TOLERANCE` is done; the solution of another is tried on the network,
        and a ReLU is made active in one half and inactive in the other: that at which output and excess are furthest
        from having one of them 0, times the dual price of their difference.

        Parameters
        ----------
        programs, seconds
            After how many linear programs, and when, it is given up.

        Raises
        ------
        CrossingBoundsError
            If there is no point at all.
        """
        deadline, parts = time.monotonic() + seconds, self._parts
        left: list[frozenset[int]] = [frozenset()]
        undecided: Tensor | None = None
        for _ in range(programs):
            if not left:
                return Answer("positive") if undecided is None else Answer("point", undecided)
            if time.monotonic() > deadline:
                break
            chosen = left.pop()
            self._hold(chosen)
            answer = self._minimised(deadline)
            if answer.verdict == "positive":
                continue
            if answer.point is None or self._is_wrong(answer.point):
                return answer
            solution = self._solver.getSolution()
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
            left += [chosen | {unlikely}, chosen | {likely}]
        return Answer("open")

    def _hold(self, chosen: frozenset[int]) -> None:
        """Hold these columns at 0, and no others."""
        for column in self._closed ^ chosen:
            self._solver.changeColBounds(column, 0.0, 0.0 if column in chosen else self._parts.high[column])
        self._closed = chosen

    def _minimised(self, deadline: float) -> Answer:
        """Return what HiGHS finds on the box or, where columns are held, on a part of it, which may be empty."""
        statuses = self._highspy.HighsModelStatus
        left = max(deadline - time.monotonic(), 0.1)  # a tenth at least, in which HiGHS says that it had none
        self._solver.setOptionValue("time_limit", self._solver.getRunTime() + left)
        status = solved(self._highspy, self._solver)
        if status == statuses.kInfeasible:
            if not self._closed:
                raise CrossingBoundsError(
                    "a relaxation has no point, though the image itself is one: its bounds are wrong"
                )
            return Answer("positive")
        if status != statuses.kOptimal:
            return Answer("open")
        is_positive = self._solver.getInfo().objective_function_value > TOLERANCE
        return Answer("positive") if is_positive else Answer("point", self._program.point(self._solver))

    def _forget_slack_cuts(self) -> None:
        """Take out the cuts that the solution does not need, and let HiGHS go on from it all the same."""
        solver, own = self._solver, len(self._parts.row_low)
        prices = np.asarray(solver.getSolution().row_dual)
        slack = own + np.flatnonzero(prices[own:] == 0)
        if not len(slack):
            return
        found, basis = solver.getBasis(), self._highspy.HighsBasis()
        gone = set(slack.tolist())
        basis.col_status = found.col_status
        basis.row_status = [status for row, status in enumerate(found.row_status) if row not in gone]
        basis.valid = True
        solver.deleteRows(len(slack), slack.astype(np.int32))
        solver.setBasis(basis)
