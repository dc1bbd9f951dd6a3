"""What ``robustrepro audit-model`` does: a model from a user's file, a data set, an audit, a page."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import torch
import typer
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from robustrepro.api.auditing import Audit, audit
from robustrepro.api.data_set import test_examples
from robustrepro.errors import UserError, unknown_name
from robustrepro.models.build import require_fit
from robustrepro.spec.attacks import Norm
from robustrepro.spec.audit import Template, audit_attacks

PARTIAL = ".partial"
"""What the folder's name ends with in which an audit keeps what it has found."""
NESTED = ("state_dict", "model_state_dict", "model", "net", "weights")
"""Under which keys checkpoints keep weights beside other things."""
PARALLEL = "module."
"""What the names of weights begin with that were saved from `torch.nn.DataParallel`."""


def audit_model(
    model: str,
    *,
    dataset: str,
    epsilon: str,
    norm: str,
    out: Path,
    weights: Path | None = None,
    others: list[str] | None = None,
    attacks: list[str] | None = None,
    examples: int,
    seed: int,
    device: str | None = None,
    data: Path = Path("data"),
    allow_unverified: bool = False,
) -> Audit:
    """Audit a model from a file and write a page; what an interrupted one has found is kept beside it.

    Parameters
    ----------
    model
        ``FILE.py:NAME`` or ``package.module:NAME``: a module, or what makes one when it is called without arguments.
    dataset
        A built-in data set, or a file ``.npz`` with ``images``, of shape (N, channels, height, width), (N, height,
        width) or (N, features), floats in [0, 1] or bytes, and ``labels``, whole numbers, shape (N,).
    epsilon
        A number or a fraction, such as ``8/255``.
    norm
        ``linf``, ``l2`` or ``l1``.
    out
        The page.
    weights
        For the model: ``.safetensors``, or what `torch.save` wrote.
    others
        Models whose adversarial examples are tried on it: each like ``model``, with ``=WEIGHTS`` behind it where it
        has some.
    attacks
        Attacks to run beside the audit's: each ``NAME`` or ``NAME:OPTION=VALUE,...``.
    examples
        How many test examples, the first ones.
    seed
        Of random starts.
    device
        Where to compute; a free GPU, where there is one, when not said.
    data
        The folder that data sets are prepared in.
    allow_unverified
        Whether other bytes than the official ones are accepted.

    Raises
    ------
    UserError
        If anything of it is not as described.
    """
    radius = _radius(epsilon)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    network = load_model(model, weights).to(where)
    if weights is None and any(True for _ in network.parameters()):
        typer.echo(
            f"No --weights: audited with the weights that {model} has when it is made; is that model trained?", err=True
        )
    added = dict(_added_attack(attack) for attack in attacks or [])  # the model's file may have registered some
    compared = {}
    for other in others or []:
        name, _, file = other.partition("=")
        compared[name] = load_model(name, Path(file) if file else None).to(where)
    images, labels = test_examples(dataset, data, examples, allow_unverified=allow_unverified)
    partial = out.with_name(out.name + PARTIAL)
    found = audit(
        network,
        images,
        labels,
        norm=cast(Norm, norm),
        epsilon=radius,
        others=compared,
        attacks={"attacks": added},
        seed=seed,
        name=model,
        keep=partial,
        about={"data": dataset, **({"weights": weights.name} if weights else {}), "seed": str(seed)},
    )
    found.to_html(out)
    shutil.rmtree(partial, ignore_errors=True)
    return found


def _radius(text: str) -> float:
    try:
        return float(Fraction(text.replace(" ", "")))
    except (ValueError, ZeroDivisionError):
        raise UserError(f"--epsilon {text}: expected a number or a fraction, such as 0.03 or 8/255") from None


def _added_attack(text: str) -> tuple[str, Template]:
    """Return an attack of the command line, such as ``pgd:steps=1000,restarts=5``, with a key of its own."""
    name, colon, rest = text.replace(" ", "").partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",")] if colon else []
    if not name or not all(option and value for option, _, value in pairs):
        raise UserError(f"--attack {text}: expected NAME or NAME:OPTION=VALUE,..., such as pgd:steps=1000,restarts=5")
    attacks = audit_attacks()
    if name not in attacks:
        raise unknown_name(f"attack in --attack {text}", name, attacks)
    options = attacks[name].model_fields.keys() - {"name", "epsilon", "norm"}
    unknown = next((option for option, _, _ in pairs if option not in options), None)
    if unknown is not None:
        raise unknown_name(f"option of '{name}' in --attack {text}", unknown, options)
    key = "-".join(["own", name, *(part for option, _, value in pairs for part in (option, value))])
    return key, {"name": name, **{option: _scalar(value) for option, _, value in pairs}}


def _scalar(text: str) -> int | float | str:
    """Return a number where it is one."""
    for number in (int, float):
        with contextlib.suppress(ValueError):
            return number(text)
    return text


def load_model(named: str, weights: Path | None) -> nn.Module:
    """Return a model in evaluation mode, on the CPU.

    Parameters
    ----------
    named
        ``FILE.py:NAME`` or ``package.module:NAME``: a module, or what makes one when it is called without arguments.
    weights
        To load into it; None leaves it as it is made.

    Raises
    ------
    UserError
        If the file or the name is missing, it makes no module, or the weights do not fit.
    """
    place, colon, name = named.rpartition(":")
    if not colon or not place or not name:
        raise UserError(f"{named}: expected FILE.py:NAME or package.module:NAME, such as my_file.py:make_model")
    module = _module(place)
    if not hasattr(module, name):
        raise unknown_name(f"name in {place}", name, _made_there(module))
    made: Any = getattr(module, name)
    if isinstance(made, type) or not isinstance(made, nn.Module):
        made = _called(named, made)
    if not isinstance(made, nn.Module):
        raise UserError(f"{named}: made a {type(made).__name__}; expected a torch.nn.Module")
    if weights is not None:
        require_fit(made, _weights(weights), str(weights), f"the model {named}")
    return made.eval()


def _module(place: str) -> ModuleType:
    """Return a module by its file or its name; its neighbours can be imported from it, as if Python began with it."""
    if place.endswith(".py"):
        path = Path(place)
        if not path.is_file():
            raise UserError(f"{place}: there is no such file")
        folder, name = path.parent, path.stem
    else:
        folder, name = Path(), place
    sys.path.insert(0, str(folder.resolve()))
    sys.modules.pop(name, None)
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UserError(f"{place}: cannot be imported ({type(error).__name__}: {error})") from error
    finally:
        sys.path.remove(str(folder.resolve()))


def _made_there(module: ModuleType) -> list[str]:
    """Return the names in a module that may make a model."""
    own = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return [
        name
        for name, value in own.items()
        if isinstance(value, nn.Module) or (callable(value) and getattr(value, "__module__", None) == module.__name__)
    ]


def _called(named: str, make: Any) -> Any:
    if not callable(make):
        raise UserError(
            f"{named}: is a {type(make).__name__}; expected a torch.nn.Module, or a function that makes one"
        )
    try:
        return make()
    except Exception as error:
        raise UserError(f"{named}: cannot be called without arguments ({type(error).__name__}: {error})") from error


def _weights(path: Path) -> Mapping[str, Tensor]:
    """Return stored weights by name."""
    if not path.is_file():
        raise UserError(f"--weights {path}: there is no such file")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except SafetensorError as error:
        raise UserError(f"--weights {path}: not a safetensors file ({error})") from None
    except Exception as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(
            f"--weights {path}: cannot be read as weights alone ({said}). A file that holds a whole model could run "
            "any code; save model.state_dict() instead"
        ) from None
    for key in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
            break
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"--weights {path}: expected a state dict, tensors by name, found {type(content).__name__}")
    if all(name.startswith(PARALLEL) for name in content):
        return {name.removeprefix(PARALLEL): value for name, value in content.items()}
    return content
