"""The active set: an attack over a whole test set that spends passes only on images not yet broken.

A pool of at most ``batch_size`` rows, each an image in some restart at some step, goes through the model
once a round. That one forward pass says which rows are broken and carries the gradient of those that are
not. Rows that are broken or out of steps leave, and their places are taken at once by the next images or
restarts, so that batches stay full until the queue is empty.

Several ascents that differ in ε and step size alone, the points of a curve, share the pool: each (image, ε)
is a pair of its own, and no pair learns from another's verdict. An ascent that begins at the image itself
takes its first gradient from the clean pass, which does not depend on ε either.

Three things follow. An image counts as broken at the first iterate that is misclassified, the random start
included: a success at any iterate is a success, and the last iterate alone could only miss some. Restarts
are worst-of-all, since only images that resisted one go on to the next. And who shares a batch with whom
depends on ``batch_size``; float32 kernels differ in the last bits with a batch's size, so an image whose
margin comes within rounding of zero may be broken at one size and not at another. Nothing else depends on
it, and in float64 such ties do not occur in practice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from robustrepro.attacks.ascent import Ascent
from robustrepro.attacks.losses import classification_margin
from robustrepro.attacks.outcome import AttackOutcome, clean_outcome
from robustrepro.attacks.precision import search_precision, tf32
from robustrepro.attacks.subject import Subject, on_device, require_finite
from robustrepro.attacks.threat_models import norm_of, per_example

Progress = Callable[[int], None]
"""Called with how many more images have been decided."""


@dataclass
class _Rows:
    """The pool: row k attacks pair ``pair[k]``. What the loop decides on is on the CPU, the rest on the device."""

    pair: Tensor
    restart: Tensor
    step: Tensor
    label: Tensor
    epsilon: Tensor
    step_size: Tensor
    origin: Tensor
    point: Tensor
    lowest_margin: Tensor
    lowest_point: Tensor

    def select(self, mask: Tensor) -> _Rows:
        """Return only the rows of a mask on the CPU."""
        if bool(mask.all()):
            return self
        rows = {"cpu": mask.nonzero().flatten()}
        rows[self.label.device.type] = rows["cpu"].to(self.label.device)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return _Rows(**{name: value[rows[value.device.type]] for name, value in values.items()})

    def joined_with(self, other: _Rows) -> _Rows:
        """Return these rows followed by others."""
        if len(self.pair) == 0:
            return other
        return _Rows(
            **{field.name: torch.cat([getattr(self, field.name), getattr(other, field.name)]) for field in fields(self)}
        )


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
        One row a pair, N · E, the ε of an image together; filled in as pairs are decided.
    """

    def __init__(self, subject: Subject, ascents: Sequence[Ascent], *, keep_adversarial: bool = False) -> None:
        self.subject, self.ascent, self.levels = subject, ascents[0], len(ascents)
        self.gradient: Tensor | None = None
        if self.ascent.from_noise:
            logits = subject.classify()
        else:
            logits, self.gradient = subject.classify_with_gradient(self.ascent.loss)
        images = subject.inputs.to("cpu", copy=True) if keep_adversarial else None
        clean = clean_outcome(subject.indices, subject.labels, logits, images)
        self.outcome: AttackOutcome = clean.repeated(self.levels)
        self.epsilons = torch.tensor([ascent.threat.epsilon for ascent in ascents], dtype=subject.inputs.dtype)
        self.step_sizes = torch.tensor([ascent.step_size for ascent in ascents], dtype=subject.inputs.dtype)
        correct = (self.outcome.clean_prediction == self.outcome.label).nonzero().flatten()
        self.outcome.margin[correct] = torch.inf
        self.waiting = deque((pair, 0) for pair in correct.tolist())

    def run(self, progress: Progress | None = None) -> AttackOutcome:
        """Attack until every pair is broken or has resisted every restart, and return the outcome."""
        if progress is not None:
            progress(len(self.outcome.label) - len(self.waiting))
        with tf32(allowed=False):
            rows = self._next_rows(self.subject.batch_size)
            while len(rows.pair):
                rows = self._round(rows, progress)
        return self.outcome

    def _round(self, rows: _Rows, progress: Progress | None) -> _Rows:
        """Send the rows through the model, let go of those that are decided, move the others and fill up."""
        finished = rows.step == self.ascent.steps
        logits, gradient = self._evaluate(rows, out_of_steps=bool(finished.all()))
        prediction = logits.argmax(1)
        broken = prediction != rows.label
        self._remember_lowest(rows, classification_margin(logits, rows.label), broken)
        if self.ascent.search is not None:
            self._judge_in_full_precision(rows, prediction, broken.cpu() | finished)
            broken = prediction != rows.label
        broken_now = broken.cpu()
        leaving = broken_now | finished
        if bool(leaving.any()):
            decided = self._record(rows.select(leaving), broken_now[leaving], prediction.cpu()[leaving])
            if progress is not None:
                progress(decided)
            rows, gradient = rows.select(~leaving), gradient[(~leaving).to(gradient.device)]
        rows.point = self._at(rows.epsilon, rows.step_size).advance(rows.point, rows.origin, gradient)
        rows.step += 1
        room = self.subject.batch_size - len(rows.pair)
        return rows.joined_with(self._next_rows(room)) if self.waiting and room else rows

    def _at(self, epsilon: Tensor, step_size: Tensor) -> Ascent:
        """Return the ascent with each row's own ε and step size."""
        return replace(self.ascent, threat=replace(self.ascent.threat, epsilon=epsilon), step_size=step_size)

    def _next_rows(self, room: int) -> _Rows:
        """Take up to ``room`` pairs from the queue, each at the first point of its restart that is not the image."""
        taken = [self.waiting.popleft() for _ in range(min(room, len(self.waiting)))]
        pair = torch.tensor([pair for pair, _ in taken], dtype=torch.int64)
        restarts = [restart for _, restart in taken]
        image, level, device = pair // self.levels, pair % self.levels, self.subject.device
        origin = self.subject.images(image)
        epsilon, step_size = self.epsilons[level].to(device), self.step_sizes[level].to(device)
        ascent = self._at(epsilon, step_size)
        if self.gradient is None:
            indices = self.outcome.index[pair].tolist()
            point = ascent.start(origin, seed=self.subject.seed, indices=indices, restarts=restarts)
        else:
            gradient = on_device(self.gradient[image.to(self.gradient.device)], device)
            point = ascent.advance(origin, origin, gradient)
        return _Rows(
            pair=pair,
            restart=torch.tensor(restarts, dtype=torch.int64),
            step=torch.full((len(taken),), 0 if self.gradient is None else 1),
            label=self.outcome.label[pair].to(device),
            epsilon=epsilon,
            step_size=step_size,
            origin=origin,
            point=point,
            lowest_margin=torch.full((len(taken),), torch.inf, dtype=origin.dtype, device=device),
            lowest_point=point,
        )

    def _evaluate(self, rows: _Rows, *, out_of_steps: bool) -> tuple[Tensor, Tensor]:
        """Return logits and gradient; once every row is out of steps no gradient is needed, and zeros come back."""
        if out_of_steps:
            with torch.no_grad(), search_precision(self.ascent.search, self.subject.device):
                logits = self.subject.model(rows.point).to(rows.point.dtype)
            gradient = torch.zeros_like(rows.point)
        else:
            logits, gradient = self.ascent.gradient(self.subject.model, rows.point, rows.label)
        self._count(rows.pair, logits)
        return logits, gradient

    def _count(self, pairs: Tensor, logits: Tensor) -> None:
        """Count a pass that these pairs took part in, and refuse answers that are none."""
        require_finite(logits, f"under attack '{self.ascent.name}'")
        self.outcome.queries[pairs] += 1

    def _remember_lowest(self, rows: _Rows, margin: Tensor, broken: Tensor) -> None:
        """Keep each row's point of smallest margin."""
        lower = broken | (margin < rows.lowest_margin)
        rows.lowest_margin = torch.where(lower, margin, rows.lowest_margin)
        rows.lowest_point = torch.where(per_example(lower, rows.point), rows.point, rows.lowest_point)

    def _judge_in_full_precision(self, rows: _Rows, prediction: Tensor, candidates: Tensor) -> None:
        """Replace prediction and margin of the rows about to leave by the full model's, at the point to be returned."""
        chosen = candidates.nonzero().flatten()
        if len(chosen) == 0:
            return
        here = chosen.to(self.subject.device)
        with torch.no_grad():
            logits = self.subject.model(rows.lowest_point[here])
        self._count(rows.pair[chosen], logits)
        prediction[here] = logits.argmax(1)
        rows.lowest_margin[here] = classification_margin(logits, rows.label[here])

    def _record(self, rows: _Rows, broken: Tensor, prediction: Tensor) -> int:
        """Write down what the leaving rows reached, queue the next restarts, and return how many are decided."""
        outcome = self.outcome
        self._at(rows.epsilon, rows.step_size).threat.check(rows.lowest_point, rows.origin, self.ascent.name)
        pair, restart = rows.pair, rows.restart
        margin = rows.lowest_margin.cpu()
        better = broken | (margin < outcome.margin[pair])
        improved = pair[better]
        difference = rows.lowest_point.double() - rows.origin.double()
        outcome.margin[improved] = margin[better]
        outcome.linf[improved] = norm_of(difference, "linf").cpu()[better]
        outcome.l2[improved] = norm_of(difference, "l2").cpu()[better]
        if outcome.adversarial is not None:
            outcome.adversarial[improved] = rows.lowest_point.cpu()[better]
        outcome.prediction[pair[broken]] = prediction[broken]
        outcome.restart[pair[broken]] = restart[broken]
        again = ~broken & (restart + 1 < self.ascent.restarts)
        self.waiting.extend(zip(pair[again].tolist(), (restart[again] + 1).tolist(), strict=True))
        return int((~again).sum())
