"""The active set: an attack over a whole test set that spends passes only on images not yet broken.

A pool of at most ``batch_size`` rows, each an image in some restart at some step, goes through the model
once per round. That one forward pass says which rows are broken and carries the gradient of those that are
not. Rows that are broken or out of steps leave, and their places are taken at once by the next images or
restarts, so that batches stay full until the queue is empty. A row whose gradient is exactly zero is out of steps,
too: where an ascent has no memory, every further step would leave it where it is. So an image without a gradient
costs a few passes, not one for each step.

Several ascents that differ in ε and step size alone, the points of a curve, share the pool: each (image, ε)
is a pair of its own, and no pair learns from another's verdict. An ascent that begins at the image itself
takes its first gradient from the clean pass, which does not depend on ε either.

Three things follow. An image counts as broken at the first iterate that is misclassified, the random start
included: a success at any iterate is a success, and the last iterate alone could only miss some. Restarts
are worst-of-all, since only images that resisted one restart go on to the next. And who shares a batch with whom
depends on ``batch_size``; float32 kernels differ in the last bits with a batch's size, so an image whose
margin comes within rounding of zero may be broken at one size and not at another. Nothing else depends on
it, and in float64 such ties do not occur in practice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from robustrepro.attacks.ascent import Ascent
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.norms import NORMS, per_example
from robustrepro.attacks.outcome import AttackOutcome, clean_outcome
from robustrepro.attacks.pool import PAIR, QUERIES, RESTART, STEP, Departures, Pool
from robustrepro.attacks.precision import search_precision
from robustrepro.attacks.subject import Subject, on_device, require_finite
from robustrepro.precision import true_float32

Progress = Callable[[int], None]
"""Called with how many more images have been decided."""


class ActiveSet:
    """One attack under way: the pairs of image and ε still to be broken, and what is known of the others.

    Parameters
    ----------
    subject
        The model and the test set.
    ascents
        The attack at each ε, E of them, alike but for ε and step size.
    keep_adversarial
        Whether the outcome holds the returned points.

    Attributes
    ----------
    outcome
        One row per pair, N · E, the ε of an image together; filled in as pairs are decided.
    """

    def __init__(self, subject: Subject, ascents: Sequence[Ascent], *, keep_adversarial: bool = False) -> None:
        self.subject, self.levels = subject, len(ascents)
        self.gradient: Tensor | None = None
        if ascents[0].from_noise:
            logits = subject.classify()
        else:
            logits, self.gradient = subject.classify_with_gradient(ascents[0].loss)
        images = subject.inputs.to("cpu", copy=True) if keep_adversarial else None
        clean = clean_outcome(subject.indices, subject.labels, logits, images)
        self.outcome: AttackOutcome = clean.repeated(self.levels)
        self._epsilons, self._step_sizes = (
            torch.tensor(values, dtype=subject.inputs.dtype, device=subject.device)
            for values in zip(*((ascent.threat.epsilon, ascent.step_size) for ascent in ascents), strict=True)
        )
        # With a single ε, one value serves all rows; else `_ascent_of` gives each row its own.
        self.ascent = self._with(ascents[0], self._epsilons, self._step_sizes)
        correct = (self.outcome.clean_prediction == self.outcome.label).nonzero().flatten()
        self.outcome.margin[correct] = torch.inf
        self.waiting = deque((pair, 0) for pair in correct.tolist())
        self._departures: list[Departures] = []

    def run(self, progress: Progress | None = None) -> AttackOutcome:
        """Attack until every pair is broken or has resisted every restart, and return the outcome."""
        if progress is not None:
            progress(len(self.outcome.label) - len(self.waiting))
        with true_float32():
            pool = self._next_rows(self.subject.batch_size)
            while len(pool):
                pool = self._round(pool, progress)
                if sum(len(part.ledger) for part in self._departures) >= self.subject.batch_size:
                    self._write_down()
            self._write_down()
        return self.outcome

    def _round(self, pool: Pool, progress: Progress | None) -> Pool:
        """Send the pool through the model, let go of the rows that are decided, move the others and fill up."""
        finished = pool.ledger[:, STEP] == self.ascent.steps
        logits, gradient = self._evaluate(pool, out_of_steps=bool(finished.all()))
        prediction = logits.argmax(1)
        broken = prediction != pool.label
        self._remember_lowest(pool, classification_margin(logits, pool.label), broken)
        if self.ascent.search is not None:
            self._judge_in_full_precision(pool, prediction, broken.cpu() | finished)
            broken = prediction != pool.label
        broken_now = broken.cpu()
        leaving = broken_now | finished
        if bool(leaving.any()):
            decided = self._let_go(pool, leaving.nonzero().flatten(), broken_now, prediction.cpu())
            if progress is not None:
                progress(decided)
            staying = (~leaving).nonzero().flatten()
            pool, gradient = pool.select(staying), gradient[staying.to(gradient.device)]
        if len(pool):
            ascent = self._ascent_of(pool.ledger)
            pool.point, pool.memory = ascent.advance(pool.point, pool.origin, gradient, pool.memory)
            pool.ledger[:, STEP] += 1
            if not pool.memory:
                moves = gradient.flatten(1).any(1).cpu()
                pool.ledger[~moves, STEP] = ascent.steps
        room = self.subject.batch_size - len(pool)
        return pool.joined_with(self._next_rows(room)) if self.waiting and room else pool

    def _ascent_of(self, ledger: Tensor) -> Ascent:
        """Return the ascent with each row's own ε and step size."""
        if self.levels == 1:
            return self.ascent
        level = (ledger[:, PAIR] % self.levels).to(self.subject.device)
        return self._with(self.ascent, self._epsilons[level], self._step_sizes[level])

    @staticmethod
    def _with(ascent: Ascent, epsilon: Tensor, step_size: Tensor) -> Ascent:
        return replace(ascent, threat=replace(ascent.threat, epsilon=epsilon), step_size=step_size)

    def _next_rows(self, room: int) -> Pool:
        """Take up to ``room`` pairs from the queue, each at the first point of its restart that is not the image."""
        count, device = min(room, len(self.waiting)), self.subject.device
        first_step = 0 if self.gradient is None else 1
        ledger = torch.tensor([(*self.waiting.popleft(), first_step, 0) for _ in range(count)], dtype=torch.int64)
        ledger = ledger.reshape(count, 4)
        pair = ledger[:, PAIR]
        image = pair if self.levels == 1 else pair // self.levels
        origin = self.subject.images(image)
        ascent = self._ascent_of(ledger)
        memory = ascent.first_memory(origin)
        if self.gradient is None:
            indices, restarts = self.outcome.index[pair].tolist(), ledger[:, RESTART].tolist()
            point = ascent.start(origin, seed=self.subject.seed, indices=indices, restarts=restarts)
        else:
            gradient = on_device(self.gradient[image.to(self.gradient.device)], device)
            point, memory = ascent.advance(origin, origin, gradient, memory)
        return Pool(
            ledger=ledger,
            label=self.outcome.label[pair].to(device),
            lowest_margin=torch.full((count,), torch.inf, dtype=origin.dtype, device=device),
            origin=origin,
            point=point,
            lowest_point=point,
            memory=memory,
        )

    def _evaluate(self, pool: Pool, *, out_of_steps: bool) -> tuple[Tensor, Tensor]:
        """Return logits and gradient; once every row is out of steps no gradient is needed, and zeros come back."""
        if out_of_steps:
            with torch.no_grad(), search_precision(self.ascent.search, self.subject.device):
                logits = self.subject.model(pool.point).to(pool.point.dtype)
            gradient = torch.zeros_like(pool.point)
        else:
            logits, gradient = self.ascent.gradient(self.subject.model, pool.point, pool.label)
        require_finite(logits, f"under attack '{self.ascent.name}'")
        pool.ledger[:, QUERIES] += 1
        return logits, gradient

    def _remember_lowest(self, pool: Pool, margin: Tensor, broken: Tensor) -> None:
        """Keep each row's point of smallest margin."""
        lower = broken | (margin < pool.lowest_margin)
        pool.lowest_margin = torch.where(lower, margin, pool.lowest_margin)
        pool.lowest_point = torch.where(per_example(lower, pool.point), pool.point, pool.lowest_point)

    def _judge_in_full_precision(self, pool: Pool, prediction: Tensor, candidates: Tensor) -> None:
        """Replace prediction and margin of the rows about to leave by the full model's, at the point to be returned."""
        chosen = candidates.nonzero().flatten()
        if len(chosen) == 0:
            return
        here = chosen.to(self.subject.device)
        with torch.no_grad():
            logits = self.subject.model(pool.lowest_point[here])
        require_finite(logits, f"under attack '{self.ascent.name}'")
        pool.ledger[chosen, QUERIES] += 1
        prediction[here] = logits.argmax(1)
        pool.lowest_margin[here] = classification_margin(logits, pool.label[here])

    def _let_go(self, pool: Pool, rows: Tensor, broken: Tensor, prediction: Tensor) -> int:
        """Put some of the pool's rows aside, queue their next restarts, and return how many pairs are decided."""
        here = rows.to(self.subject.device)
        ledger, broken = pool.ledger[rows], broken[rows]
        self._departures.append(
            Departures(
                ledger,
                broken,
                prediction[rows],
                pool.lowest_margin[here],
                pool.origin[here],
                pool.lowest_point[here],
            )
        )
        again = [
            (pair, restart + 1)
            for (pair, restart, *_), hit in zip(ledger.tolist(), broken.tolist(), strict=True)
            if not hit and restart + 1 < self.ascent.restarts
        ]
        self.waiting.extend(again)
        return len(rows) - len(again)

    def _write_down(self) -> None:
        """Check the points of the rows that have left, and enter in the outcome what each restart reached.

        It is done for many rows at once, since a few leave in almost every round.
        """
        if not self._departures:
            return
        rows, self._departures = Departures.joined(self._departures), []
        difference = self._ascent_of(rows.ledger).threat.check(rows.point, rows.origin, self.ascent.name)
        margin, linf, l2 = (
            values.cpu() for values in (rows.margin, NORMS["linf"].length(difference), NORMS["l2"].length(difference))
        )
        # A pair may have left in several restarts; entered in their order, each is compared with those before.
        for restart in sorted(set(rows.ledger[:, RESTART].tolist())):
            chosen = (rows.ledger[:, RESTART] == restart).nonzero().flatten()
            pair, broken = rows.ledger[chosen, PAIR], rows.broken[chosen]
            better = broken | (margin[chosen] < self.outcome.margin[pair])
            source, target = chosen[better], pair[better]
            self.outcome.margin[target] = margin[source]
            self.outcome.linf[target], self.outcome.l2[target] = linf[source], l2[source]
            self.outcome.queries[pair] += rows.ledger[chosen, QUERIES]
            if self.outcome.adversarial is not None:
                self.outcome.adversarial[target] = rows.point[source.to(rows.point.device)].cpu()
            self.outcome.prediction[pair[broken]] = rows.prediction[chosen[broken]]
            self.outcome.restart[pair[broken]] = restart
