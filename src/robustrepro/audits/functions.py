"""The functions that a model calls in its ``forward``, and what becomes of its gradient when some are replaced.

A `torch.overrides.TorchFunctionMode` sees every call, in a layer or in a line of ``forward``, so that a rounding is
found wherever it stands. A call is known by its place among all calls, which is the same in every pass of a
deterministic model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from robustrepro.attacks.ascent import weights_frozen
from robustrepro.precision import true_float32

MOST_WITHOUT_GRADIENT = 0.1
"""A function is suspect that lets no gradient pass for more than this share of the images."""
MOST_DEAD = 0.9
"""A function is suspect whose derivative is zero for more than this share of its inputs, unless it is a rectifier."""
DISAGREEMENT = 0.5
"""How far, relative to the larger, a derivative may be from that by differences on the median image."""
VANISHING = 0.1
"""A function is suspect whose derivative is, for most inputs, so much smaller than a difference over their spread."""
SHATTERED = 0.5
"""A function is suspect where, over each of `STEPS`, it moves by less than this share of what its derivative says."""
STEPS = (1.0, 0.3, 0.1)
"""Steps of the differences that take a derivative's place, in standard deviations of the function's inputs."""
CLOSE = 1e-2
"""The step with which derivatives are checked, in the same unit."""

IMAGE_BY_IMAGE = 2
"""The fewest dimensions of what has a row per image."""

RECTIFIERS = frozenset({"relu", "relu_", "relu6", "threshold", "clamp_min", "dropout", "hardtanh", "max_pool2d"})
"""Functions whose derivative may well be zero almost everywhere: a sparse network has nothing to hide."""
FORWARDED = frozenset({"contiguous", "to", "float", "double", "half", "type", "clone", "view_as", "requires_grad_"})
"""Functions that hand a value on."""
COMPARISONS: Mapping[str, int] = {"gt": 1, "ge": 1, "lt": -1, "le": -1, "greater": 1, "less": -1}
"""Comparisons with the sign of the difference that takes their place: ``a > b`` grows with a − b."""
ARRANGING = frozenset(
    {"__getitem__", "view", "reshape", "flatten", "permute", "transpose", "movedim", "squeeze", "unsqueeze", "expand"}
    | {"repeat", "flip", "roll", "cumsum", "cat", "stack"}
)
"""Functions that do to what stands for whole numbers what they do to the numbers.

Not ``clamp``, whose derivative is zero at the ends of its range, where black pixels are.
"""
BEST_OF = frozenset({"argmax", "argmin"})
LEAVING = frozenset({"numpy", "__array__", "tolist"})
"""With these a tensor leaves PyTorch, for another library to work on."""
SCALARS = frozenset({"item", "__float__", "__int__", "__bool__", "__index__"})
COMING_BACK = frozenset({"from_numpy", "tensor", "as_tensor", "asarray"})


Function = Callable[[Tensor], Tensor]
"""A call as a function of its first tensor alone."""


class Replacement(Enum):
    """What takes the place of a function that lets no gradient pass; the value names the copy of the model."""

    STRAIGHT_THROUGH = "straight-through"
    LEFT_OUT = "left-out"
    SMOOTHED = "smoothed"


@dataclass(frozen=True)
class Suspect:
    """A call that lets no gradient pass, or a wrong one.

    Attributes
    ----------
    place
        Its place among the calls that a gradient could pass.
    name
        The function's name.
    """

    place: int
    name: str


@dataclass
class Found:
    """What a pass has shown of a model's functions.

    Attributes
    ----------
    suspects
        The calls to replace.
    discrete
        Where else a gradient was lost, in words: on the way through whole numbers, truth values or another library.
    """

    suspects: list[Suspect]
    discrete: list[str]

    def __bool__(self) -> bool:
        return bool(self.suspects or self.discrete)


def suspects_of(model: nn.Module, images: Tensor) -> Found:
    """Return the functions of a model that let no gradient pass, or one that differences contradict.

    Parameters
    ----------
    model
        In evaluation mode.
    images
        Some images, shape (N, ...), on the model's device.
    """
    found = Found([], [])
    with weights_frozen(model), true_float32():
        inputs = _with_gradient(images)
        with _calls(_Watch(found)):
            model(inputs)
    return found


class Replaced(nn.Module):
    """A model in which suspect functions are replaced, so that a gradient passes.

    Parameters
    ----------
    model
        In evaluation mode.
    found
        What `suspects_of` has found in it.
    replacement
        ``STRAIGHT_THROUGH`` keeps a function's value and takes the derivative of the identity (Athalye, Carlini &
        Wagner 2018, Section 4.1, BPDA); ``LEFT_OUT`` takes the identity itself; ``SMOOTHED`` keeps the value and takes,
        as its derivative, mean differences over steps as long as the inputs vary.
    """

    def __init__(self, model: nn.Module, found: Found, replacement: Replacement) -> None:
        super().__init__()
        # A call's place is counted among those that a gradient could pass: weights have none, as when it was found.
        self.model = model.requires_grad_(False)
        self.found, self.replacement = found, replacement

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the model's logits, with other derivatives or without the suspect functions."""
        wanted = torch.is_grad_enabled()
        inputs = inputs if inputs.requires_grad else _with_gradient(inputs)
        with _calls(_Replace(self.found, self.replacement)):
            logits: Tensor = self.model(inputs)
        return logits if wanted else logits.detach()


class _Calls(TorchFunctionMode):
    """Every call of a function of PyTorch, told apart by its place among those that a gradient could pass."""

    def __init__(self) -> None:
        super().__init__()
        self._place = 0
        # What stands for a tensor of whole numbers or truth values, which can have no gradient; both are kept, so that
        # no other tensor takes the place of either.
        self._meant: dict[int, tuple[Tensor, Tensor]] = {}
        self._left: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return self.called(func, args, kwargs or {})

    def called(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Return what the function returns, or what takes its place."""
        name = _name(func)
        if name == "_set_grad_enabled":  # or what follows would undo what the model asks for
            return func(*args, **kwargs)
        with torch.enable_grad():
            return self._called(name, func, args, kwargs)

    def _called(self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        if name in {"detach", "data"} and args[0].requires_grad:
            return self._forwarded(args[0])
        if name in LEAVING | SCALARS:
            self._left = args[0] if name in LEAVING else None
            return func(args[0].detach(), *args[1:], **kwargs)
        output = func(*args, **kwargs)
        if not isinstance(output, Tensor):
            return output
        looked_up = self._looked_up(name, args, kwargs)
        if looked_up is not None and output.is_floating_point():
            return self._restored(output, looked_up)
        if looked_up is not None:
            self._meant[id(output)] = (output, looked_up)
            return output
        if name in COMING_BACK and self._left is not None and self._left.numel() == output.numel():
            left, self._left = self._left, None
            output = output if output.is_floating_point() else output.to(left.dtype)
            return self._restored(output, left.reshape(output.shape)) if left.requires_grad else output
        if not output.is_floating_point():
            self._remember(name, func, args, kwargs, output)
            return output
        meant = self._meaning(args, output)
        if meant is not None and not output.requires_grad:
            return self._restored(output, meant)
        inputs = next((argument for argument in args if isinstance(argument, Tensor)), None)
        if inputs is None or inputs.shape != output.shape or not inputs.requires_grad or inputs.ndim < IMAGE_BY_IMAGE:
            return output
        if name in FORWARDED or name.endswith("_like"):
            return output
        if any(argument is output for argument in args):  # done in place
            return output
        self._place += 1
        return self.passed(Suspect(self._place, name), _applied(func, args, kwargs, inputs), inputs, output)

    def passed(self, call: Suspect, function: Function, inputs: Tensor, output: Tensor) -> Tensor:
        """Return what takes the place of the output of a function that keeps its input's shape."""
        raise NotImplementedError

    def _forwarded(self, tensor: Tensor) -> Tensor:
        """Return what takes the place of a tensor that leaves its history behind."""
        return tensor

    def _restored(self, output: Tensor, meant: Tensor) -> Tensor:
        """Return what takes the place of a tensor that came from whole numbers and has lost its gradient there."""
        raise NotImplementedError

    def _remember(
        self, name: str, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor
    ) -> None:
        """Keep what stands for the whole numbers or truth values that a function returns, where something does."""
        meant = _meaning_of_discrete(name, args, output)
        if meant is None and name in ARRANGING and id(args[0]) in self._meant:
            meant = func(self._meant[id(args[0])][1], *args[1:], **kwargs)
        if meant is None:
            meant = self._meaning(args, output)
        if meant is not None and meant.requires_grad:
            self._meant[id(output)] = (output, meant)

    def _looked_up(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Tensor | None:
        """Return rows of a table at what stands for the whole numbers that chose them; None where nothing does.

        Between two rows is a straight line. What stands for the numbers in another unit only moves along it.
        """
        table, chosen = _lookup(name, args, kwargs)
        if table is None or id(chosen) not in self._meant:
            return None
        meant = self._meant[id(chosen)][1]
        if meant.shape != chosen.shape:
            return None
        rows, last = table.detach().to(meant.dtype), len(table) - 1
        if not bool(((meant - chosen).abs() <= 1).all()):
            meant = chosen + (meant - meant.detach())
        below = meant.detach().floor().long().clamp(0, max(last - 1, 0))
        share = (meant - below).reshape(*meant.shape, *[1] * (rows.ndim - 1))
        return rows[below] + share * (rows[(below + 1).clamp(0, last)] - rows[below])

    def _meaning(self, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        """Return what stands for an output whose arguments something stands for already; None where nothing does."""
        indices = args[1] if len(args) > 1 and isinstance(args[1], tuple) else ()
        known = (self._meant[id(each)][1] for each in (*args, *indices) if id(each) in self._meant)
        fitting = (meant for meant in known if meant.numel() == output.numel())
        meant = next(fitting, None)
        return None if meant is None else meant.reshape(output.shape)


def _lookup(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Tensor | None, Any]:
    """Return the table in which a function looks rows up, and the whole numbers that choose them; or twice nothing."""
    table, chosen = None, None
    if name == "__getitem__" and len(args) > 1:
        table, chosen = args[:2]
    elif name == "embedding" and len(args) > 1:
        chosen, table = args[:2]
    elif name == "one_hot" and isinstance(args[0], Tensor):
        chosen = args[0]
        classes = args[1] if len(args) > 1 else kwargs.get("num_classes", -1)
        table = torch.eye(classes if classes > 0 else int(chosen.max()) + 1, device=chosen.device)
    if isinstance(chosen, tuple) and len(chosen) == 1:
        chosen = chosen[0]
    whole = isinstance(chosen, Tensor) and not chosen.is_floating_point() and chosen.dtype != torch.bool
    return (table, chosen) if whole and isinstance(table, Tensor) else (None, None)


def _meaning_of_discrete(name: str, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
    """Return something with a gradient that whole numbers or truth values grow with, or whose best they name."""
    first = args[0] if args else None
    if not isinstance(first, Tensor) or not first.is_floating_point():
        return None
    if name in COMPARISONS:
        difference = (first - args[1]) * COMPARISONS[name]
        return difference if difference.shape == output.shape else None
    if name in BEST_OF:
        return first if name == "argmax" else -first
    return first if first.shape == output.shape else None


class _Watch(_Calls):
    """A pass in which every function's derivative is looked at."""

    def __init__(self, found: Found) -> None:
        super().__init__()
        self._found = found

    def passed(self, call: Suspect, function: Function, inputs: Tensor, output: Tensor) -> Tensor:
        """Note the call when its derivative is zero or wrong; later functions are looked at as if it were none."""
        if not _is_suspect(function, inputs, output, call.name):
            return output
        self._found.suspects.append(call)
        return _straight_through(inputs, output)

    def _forwarded(self, tensor: Tensor) -> Tensor:
        self._note("detached")
        return tensor

    def _restored(self, output: Tensor, meant: Tensor) -> Tensor:
        self._note("whole numbers, truth values or another library")
        return _straight_through(meant, output)

    def _note(self, what: str) -> None:
        if what not in self._found.discrete:
            self._found.discrete.append(what)


class _Replace(_Calls):
    """A pass in which suspect functions are replaced."""

    def __init__(self, found: Found, replacement: Replacement) -> None:
        super().__init__()
        self._suspects, self._replacement = frozenset(found.suspects), replacement

    def passed(self, call: Suspect, function: Function, inputs: Tensor, output: Tensor) -> Tensor:
        """Return what the replacement makes of a suspect call; others are as they are."""
        if call not in self._suspects:
            return output
        if self._replacement is Replacement.SMOOTHED:
            slope = _mean_slope(function, inputs, call.place)
            return output.detach() + slope * (inputs - inputs.detach())
        return self._restored(output, inputs)

    def _restored(self, output: Tensor, meant: Tensor) -> Tensor:
        if self._replacement is Replacement.LEFT_OUT:
            return meant.to(output.dtype)
        return _straight_through(meant, output)


@contextmanager
def _calls(mode: _Calls) -> Iterator[None]:
    """See every call inside the block, also the two kinds that a mode is not told of.

    These are ``from_numpy``, and functions that bring a derivative of their own (`torch.autograd.Function`).
    """
    apply, from_numpy = torch.autograd.Function.__dict__["apply"], torch.from_numpy

    def seen(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        with torch._C.DisableTorchFunction():
            return mode.called(func, args, kwargs)

    def apply_seen(kind: type[torch.autograd.Function], *args: Any, **kwargs: Any) -> Any:
        def whole(*given: Any, **options: Any) -> Any:
            return apply.__get__(None, kind)(*given, **options)

        whole.__name__ = kind.__name__
        return seen(whole, args, kwargs)

    torch.autograd.Function.apply = classmethod(apply_seen)
    torch.from_numpy = lambda ndarray: seen(from_numpy, (ndarray,), {})
    try:
        with torch.enable_grad(), mode:
            yield
    finally:
        torch.autograd.Function.apply, torch.from_numpy = apply, from_numpy


def _with_gradient(inputs: Tensor) -> Tensor:
    """Return a copy that asks for a gradient and may be written over."""
    with torch.enable_grad():
        return inputs.detach().clone().requires_grad_(True) * 1


def _name(func: Callable[..., Any]) -> str:
    """Return a function's name; that of an attribute where it is read."""
    name: str = getattr(func, "__name__", type(func).__name__)
    return getattr(getattr(func, "__self__", None), "__name__", name) if name == "__get__" else name


def _applied(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], inputs: Tensor) -> Function:
    """Return the call as a function of its first tensor alone."""

    def applied(values: Tensor) -> Tensor:
        given = tuple(values if argument is inputs else _detached(argument) for argument in args)
        output: Tensor = func(*given, **{key: _detached(value) for key, value in kwargs.items()})
        return output

    return applied


def _detached(argument: Any) -> Any:
    return argument.detach() if isinstance(argument, Tensor) else argument


def _straight_through(inputs: Tensor, output: Tensor) -> Tensor:
    """Return the output with the derivative of the identity."""
    through = inputs.to(output.dtype)
    return output.detach() + (through - through.detach())


def _is_suspect(function: Function, inputs: Tensor, output: Tensor, name: str) -> bool:
    """Return whether a function's derivative is zero for many images or inputs, or contradicted by differences."""
    if not output.requires_grad:
        return True
    if not bool(inputs.isfinite().all()):
        return False
    generator = torch.Generator(inputs.device).manual_seed(0)
    values = inputs.detach().clone().requires_grad_(True)
    answers = function(values * 1)  # a copy, which a function that works in place may overwrite
    if not answers.requires_grad:
        return True
    direction = _signs(inputs, generator)
    weights = torch.rand(answers.shape, generator=generator, device=inputs.device, dtype=answers.dtype)
    (derivative,) = torch.autograd.grad((weights * answers).sum(), values, allow_unused=True)
    if derivative is None:
        return True
    flat = derivative.flatten(1) if derivative.ndim > 1 else derivative.unsqueeze(1)
    if float((flat == 0).all(1).double().mean()) > MOST_WITHOUT_GRADIENT:
        return True
    if float((flat == 0).double().mean()) > MOST_DEAD and name not in RECTIFIERS:
        return True
    spread = float(inputs.detach().std(correction=0))
    if spread == 0.0:
        return False

    def difference(step: float) -> Tensor:
        with torch.no_grad():
            there, back = (function(inputs.detach() + sign * step * direction) for sign in (1, -1))
        return (there - back) * weights / (2 * step)

    along, tiny = tuple(range(1, inputs.ndim)), torch.finfo(inputs.dtype).tiny
    claimed, found = (derivative * direction).sum(along), difference(CLOSE * spread).sum(along)
    larger = torch.maximum(found.abs(), claimed.abs()).clamp_min(tiny)
    if float(((found - claimed).abs() / larger).median()) > DISAGREEMENT:
        return True
    if name in RECTIFIERS:
        return False
    if bool((derivative.abs() < VANISHING * difference(spread).abs()).double().mean() > 0.5):
        return True
    moved = [(difference(step * spread).sum(along).abs() / claimed.abs().clamp_min(tiny)).median() for step in STEPS]
    return float(torch.stack(moved).max()) < SHATTERED


def _mean_slope(function: Function, inputs: Tensor, place: int) -> Tensor:
    """Return mean differences per input: (f(x + hs) − f(x − hs)) s / 2h for signs s, over `STEPS`; shape of the inputs.

    It is the diagonal of the derivative of the function smoothed at that width; what one input does to another's output
    averages out.
    """
    values = inputs.detach()
    spread = float(values.std(correction=0)) or 1.0
    generator = torch.Generator(values.device).manual_seed(place)
    slopes = torch.zeros_like(values)
    with torch.no_grad():
        for step in STEPS:
            signs = _signs(values, generator)
            there, back = (function(values + sign * step * spread * signs) for sign in (1, -1))
            slopes += (there - back) * signs / (2 * step * spread)
    return slopes / len(STEPS)


def _signs(like: Tensor, generator: torch.Generator) -> Tensor:
    """Return random signs in the shape of a tensor."""
    bits = torch.randint(0, 2, like.shape, generator=generator, device=like.device)
    return bits.to(like.dtype) * 2 - 1
