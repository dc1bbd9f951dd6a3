"""The active set: an attack over a whole test set that spends passes only on images not yet broken.

A pool of at most ``batch_size`` rows, each an image in some restart at some step, goes through the model
once a round. That one forward pass says which rows are broken and carries the gradient of those that are
not. Rows that are broken or out of steps leave, and their places are taken at once by the next images or
restarts, so that batches stay full until the queue is empty.

Three things follow. An image counts as broken at the first iterate that is misclassified, the random start
included: a success at any iterate is a success, and the last iterate alone could only miss some. Restarts
are worst-of-all, since only images that resisted one go on to the next. And who shares a batch with whom
depends on ``batch_size``; float32 kernels differ in the last bits with a batch's size, so an image whose
margin comes within rounding of zero may be broken at one size and not at another. Nothing else depends on
it, and in float64 such ties do not occur in practice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from robustrepro.attacks.ascent import Ascent, input_gradient
from robustrepro.attacks.losses import PerExampleLoss, classification_margin
from robustrepro.attacks.threat_models import norm_of
from robustrepro.errors import UserError

Progress = Callable[[int], None]
"""Called with how many more images have been decided."""


@dataclass(frozen=True, eq=False)
class AttackOutcome:
    """What an attack did to each image: CPU tensors, all of length N and in the order of the inputs.

    For an image that the clean model misclassifies, and for every image under `Clean`, the returned point is
    the image itself. For a broken image it is the iterate that broke it. For one that resisted every restart
    it is the iterate with the smallest margin of all restarts, random starts included, the image itself not.

    Attributes
    ----------
    index
        The image's index in its data set.
    label
        Its label.
    clean_prediction, clean_margin
        Prediction for the image, and Z_y − max_{i≠y} Z_i.
    prediction, margin
        The same at the returned point.
    linf, l2
        Distances from the image to the returned point, in units of the pixel range (float64).
    queries
        Passes through the model that the image took part in, the clean one included; a forward pass counts
        once whether or not a gradient followed.
    restart
        The restart that broke it; -1 where none did or none was needed.
    adversarial
        The returned points, in the attack's precision, if they were asked for.
    """

    index: Tensor
    label: Tensor
    clean_prediction: Tensor
    clean_margin: Tensor
    prediction: Tensor
    margin: Tensor
    linf: Tensor
    l2: Tensor
    queries: Tensor
    restart: Tensor
    adversarial: Tensor | None

    @property
    def robust(self) -> Tensor:
        """Whether each image is classified correctly, clean and under attack; bool, shape (N,)."""
        return (self.clean_prediction == self.label) & (self.prediction == self.label)


@dataclass
class _Rows:
    """The pool: row k attacks image ``position[k]``. What the loop decides on is on the CPU, the rest on the device."""

    position: Tensor
    restart: Tensor
    step: Tensor
    label: Tensor
    origin: Tensor
    point: Tensor
    lowest_margin: Tensor
    lowest_point: Tensor

    def select(self, mask: Tensor) -> _Rows:
        """Return only the rows of a mask on the CPU."""
        rows = {"cpu": mask.nonzero().flatten()}
        rows[self.label.device.type] = rows["cpu"].to(self.label.device)
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return _Rows(**{name: value[rows[value.device.type]] for name, value in values.items()})

    def joined_with(self, other: _Rows) -> _Rows:
        """Return these rows followed by others."""
        return _Rows(
            **{field.name: torch.cat([getattr(self, field.name), getattr(other, field.name)]) for field in fields(self)}
        )


def require_finite(logits: Tensor, when: str) -> None:
    """Raise unless all logits are finite: a NaN would otherwise pass for a prediction.

    Raises
    ------
    UserError
        Saying when it was seen.
    """
    if not bool(logits.isfinite().all()):
        raise UserError(
            f"the model's logits are not finite {when}; expected finite numbers. "
            "Check that training did not diverge, then train the model again"
        )


class ActiveSet:
    """One attack under way: the images still to be broken, and what is known of the others.

    Parameters
    ----------
    model
        In evaluation mode, its weights frozen and already in the attack's precision.
    ascent
        The attack.
    loss
        Per-example loss to ascend.
    inputs, labels
        The whole test set, shapes (N, ...) and (N,), in the attack's precision.
    outcome
        What the clean pass found. Its tensors are filled in as images are decided.
    seed
        The seed that the user sees; each start derives its own stream from it, the index and the restart.
    device
        Where the model is.
    batch_size
        Most rows that go through the model at once.
    """

    def __init__(
        self,
        model: nn.Module,
        ascent: Ascent,
        loss: PerExampleLoss,
        inputs: Tensor,
        labels: Tensor,
        outcome: AttackOutcome,
        *,
        seed: int,
        device: torch.device,
        batch_size: int,
    ) -> None:
        self.model, self.ascent, self.loss = model, ascent, loss
        self.inputs, self.labels, self.outcome = inputs, labels, outcome
        self.seed, self.device, self.batch_size = seed, device, batch_size
        correct = (outcome.clean_prediction == outcome.label).nonzero().flatten()
        outcome.margin[correct] = torch.inf
        self.waiting = deque((position, 0) for position in correct.tolist())

    def run(self, progress: Progress | None = None) -> None:
        """Attack until every image is broken or has resisted every restart."""
        rows = self._next_rows(self.batch_size)
        while len(rows.position):
            finished = rows.step == self.ascent.steps
            logits, gradient = self._evaluate(rows, out_of_steps=bool(finished.all()))
            prediction = logits.argmax(1)
            broken = prediction != rows.label
            self._remember_lowest(rows, classification_margin(logits, rows.label), broken)
            broken_now = broken.cpu()
            leaving = broken_now | finished
            if bool(leaving.any()):
                decided = self._record(rows.select(leaving), broken_now[leaving], prediction.cpu()[leaving])
                if progress is not None:
                    progress(decided)
                rows, gradient = rows.select(~leaving), gradient[(~leaving).to(gradient.device)]
            rows.point = self.ascent.advance(rows.point, rows.origin, gradient)
            rows.step += 1
            if self.waiting and len(rows.position) < self.batch_size:
                rows = rows.joined_with(self._next_rows(self.batch_size - len(rows.position)))

    def _next_rows(self, room: int) -> _Rows:
        """Take up to ``room`` images from the queue, each at the start of its restart."""
        taken = [self.waiting.popleft() for _ in range(min(room, len(self.waiting)))]
        position = torch.tensor([position for position, _ in taken], dtype=torch.int64)
        restarts = [restart for _, restart in taken]
        origin = on_device(self.inputs[position.to(self.inputs.device)], self.device)
        indices = self.outcome.index[position].tolist()
        point = self.ascent.start(origin, seed=self.seed, indices=indices, restarts=restarts)
        return _Rows(
            position=position,
            restart=torch.tensor(restarts, dtype=torch.int64),
            step=torch.zeros(len(taken), dtype=torch.int64),
            label=self.labels[position.to(self.labels.device)].to(self.device),
            origin=origin,
            point=point,
            lowest_margin=torch.full((len(taken),), torch.inf, dtype=origin.dtype, device=self.device),
            lowest_point=point.clone(),
        )

    def _evaluate(self, rows: _Rows, *, out_of_steps: bool) -> tuple[Tensor, Tensor]:
        """Return logits and gradient; once every row is out of steps no gradient is needed, and zeros come back."""
        if out_of_steps:
            with torch.no_grad():
                logits, gradient = self.model(rows.point), torch.zeros_like(rows.point)
        else:
            logits, gradient = input_gradient(self.model, rows.point, rows.label, self.loss)
        require_finite(logits, f"under attack '{self.ascent.name}' at epsilon {self.ascent.threat.epsilon:g}")
        self.outcome.queries[rows.position] += 1
        return logits, gradient

    def _remember_lowest(self, rows: _Rows, margin: Tensor, broken: Tensor) -> None:
        """Keep each row's point of smallest margin; the image itself, before any step, is no point of the attack."""
        first = 0 if self.ascent.from_noise else 1
        visited = (rows.step >= first).to(self.device)
        lower = broken | (visited & (margin < rows.lowest_margin))
        rows.lowest_margin = torch.where(lower, margin, rows.lowest_margin)
        rows.lowest_point[lower] = rows.point[lower]

    def _record(self, rows: _Rows, broken: Tensor, prediction: Tensor) -> int:
        """Write down what the leaving rows reached, queue the next restarts, and return how many are decided."""
        threat, outcome = self.ascent.threat, self.outcome
        threat.check(rows.lowest_point, rows.origin, self.ascent.name)
        position, restart = rows.position, rows.restart
        margin = rows.lowest_margin.cpu()
        better = broken | (margin < outcome.margin[position])
        improved = position[better]
        difference = rows.lowest_point.double() - rows.origin.double()
        outcome.margin[improved] = margin[better]
        outcome.linf[improved] = norm_of(difference, "linf").cpu()[better]
        outcome.l2[improved] = norm_of(difference, "l2").cpu()[better]
        if outcome.adversarial is not None:
            outcome.adversarial[improved] = rows.lowest_point.cpu()[better]
        outcome.prediction[position[broken]] = prediction[broken]
        outcome.restart[position[broken]] = restart[broken]
        again = ~broken & (restart + 1 < self.ascent.restarts)
        self.waiting.extend(zip(position[again].tolist(), (restart[again] + 1).tolist(), strict=True))
        return int((~again).sum())


def on_device(images: Tensor, device: torch.device) -> Tensor:
    """Return a batch on the model's device, images channels-last: up to twice as fast a convolution."""
    return images.to(device, memory_format=torch.channels_last if images.ndim == 4 else torch.preserve_format)
