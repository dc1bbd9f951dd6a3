"""``config.yaml`` and the scales: what a user edits, and how the layers lie over one another."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, Field, ValidationError, field_validator

from robustrepro.errors import UserError, unknown_name
from robustrepro.keys import AT
from robustrepro.spec.base import Declaration, Key, Seeds
from robustrepro.spec.messages import explain
from robustrepro.spec.strict_yaml import Tree, as_in_yaml, mapping_in, read_yaml

Model = TypeVar("Model", bound=BaseModel)
CONFIG_FILE = "config.yaml"
SCALES = "workflow/scales"
OPTIONS = {"--config": "--config(?:=|$)|-C", "--configfile": "--configfiles?(?:=|$)"}
"""How each option of Snakemake may be written, as regular expressions."""
Fitting = Callable[[Mapping[str, Any], Mapping[str, Any]], Mapping[str, Any]]


class AuditChanges(Declaration, extra="allow"):
    """Keys of ``workflow/audit.yaml`` to replace; ``papers`` has more, by the papers' names or patterns."""

    papers: dict[str, dict[str, Any]] = Field(default_factory=dict)


class Overlay(Declaration):
    """What a scale or a user lays over the papers' declarations.

    ``models`` and ``measures`` map a name, or a pattern such as ``mnist-*``, to the keys to replace; a pattern leaves
    out the keys that a derived or given model cannot have, such as ``epochs``. ``seeds`` is the
    number of seeds of every model that does not say its own. ``audit`` replaces keys of ``workflow/audit.yaml``.
    ``readings`` has, by paper, the names or patterns of the readings that are run beside its default, else all are.
    """

    seeds: Seeds | None = None
    models: dict[str, dict[str, Any]] = Field(default_factory=dict)
    measures: dict[str, dict[str, Any]] = Field(default_factory=dict)
    audit: AuditChanges = Field(default_factory=AuditChanges)
    readings: dict[str, list[str]] = Field(default_factory=dict)


class Scale(Overlay):
    """A scale: ``datasets`` maps a data set to the one that stands in for it.

    ``faithfulness`` orders scales: the scorecard over all of them takes each claim from the one with the largest.
    """

    description: str
    faithfulness: int = 0
    seeds: Seeds
    datasets: dict[str, str] = Field(default_factory=dict)


class DataConfig(Declaration):
    """Where data come from: ``mirror`` is a folder of files under their official names."""

    mirror: str | None = None
    allow_unverified: list[str] = Field(default_factory=list)


class Config(Declaration):
    """What a user edits.

    ``folder`` is where under ``results/`` everything is made: the scale's name, unless a trial is to leave that alone.
    ``extensions`` has modules that add kinds of measurement and attacks. ``leave_out`` has models, or patterns, that
    are not trained: the cells, figures and claims that need them are "not measured".
    """

    scale: str
    folder: Key | None = None
    papers: list[str] = Field(min_length=1)
    extensions: list[str] = Field(default_factory=list)
    leave_out: list[str] = Field(default_factory=list)
    data: DataConfig = Field(default_factory=DataConfig)
    overrides: Overlay = Field(default_factory=Overlay)

    @field_validator("papers", "leave_out", "extensions", mode="before")
    @classmethod
    def _list_as_text(cls, value: object) -> object:
        """Accept ``--config papers=hrm,hamming``."""
        return value.split(",") if isinstance(value, str) else value


def read_config(changes: Mapping[str, Any], files: Iterable[Path] = (), *, replaced: bool = False) -> Tree:
    """Return what the user asks for: config.yaml, with what the command line of Snakemake lays over it.

    Snakemake's own reader lets the second of two equal keys win: the ``models: {}`` that config.yaml comes with would
    take precedence over what somebody writes above it.

    Parameters
    ----------
    changes
        What follows ``--config``, as Snakemake reads it.
    files
        What follows ``--configfile``; the later takes precedence.
    replaced
        Whether these files stand instead of config.yaml, which then need not exist.

    Raises
    ------
    UserError
        If a file cannot be read; the message names it.
    """
    config: Tree = {}
    for file in [*([] if replaced else [Path(CONFIG_FILE)]), *files]:
        config = merged(config, read_yaml(file))
    nested = {key: as_in_yaml(value) for key, value in changes.items() if isinstance(value, Mapping)}
    return merged(config, {**changes, **nested})


def configured() -> Config:
    """Return what config.yaml asks for.

    Raises
    ------
    UserError
        At a mistake in it; the message names the key.
    """
    return validated(Config, read_config({}), CONFIG_FILE)


def require_said_once(arguments: Sequence[str]) -> None:
    """Refuse a command line of Snakemake of which it would pass over a part without a word.

    Of two values of a key it takes the last, of two ``--config`` or ``--configfile`` the last with all that follows it.

    Raises
    ------
    UserError
        If a key, within a value too, or one of these options is there twice.
    """
    said = {option: _following(pattern, arguments) for option, pattern in OPTIONS.items()}
    for option, times in said.items():
        if len(times) > 1:
            raise UserError(f"{option} is there {len(times)} times, and only the last would count: put all after one")
    entries = [entry.partition("=") for group in said["--config"] for entry in group]
    keys = [key for key, _, _ in entries]
    for key, _, value in entries:
        if keys.count(key) > 1:
            raise UserError(f"--config: '{key}' is there {keys.count(key)} times, and only the last would count")
        if value.startswith("{"):
            mapping_in(value, f"--config {key}")


def _following(option: str, arguments: Iterable[str]) -> list[list[str]]:
    """Return what follows an option, for each time that it is there."""
    groups: list[list[str]] = []
    of_option = False
    for argument in arguments:
        found = re.fullmatch(rf"(?:{option})(.*)", argument, re.DOTALL)
        if found:
            groups.append([found[1]] if found[1] else [])
        elif of_option and not argument.startswith("-"):
            groups[-1].append(argument)
        of_option = bool(found) or (of_option and not argument.startswith("-"))
    return groups


def scale_files(root: Path) -> dict[str, Path]:
    """Return the file of every scale, by its name."""
    return {path.stem: path for path in sorted((root / SCALES).glob("*.yaml"))}


def scales_by_faithfulness(root: Path) -> list[str]:
    """Return the names of all scales, the most faithful to the papers first.

    Raises
    ------
    UserError
        If the file of one is no scale.
    """
    scales = {
        name: validated(Scale, read_yaml(path), str(path.relative_to(root))) for name, path in scale_files(root).items()
    }
    return sorted(scales, key=lambda name: -scales[name].faithfulness)


def validated(model: type[Model], content: Any, source: str) -> Model:
    """Check content against a declaration; the first mistake becomes one message that names file and key."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise UserError(explain(error, model, source)) from None


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> Tree:
    """Return ``base`` with ``over`` laid on it, mappings key by key, all else replaced.

    A mapping that names another thing (``{name: fgsm}`` over ``{name: pgd, steps: 40}``) replaces the old one whole,
    since its options are not the new one's.
    """
    if "name" in over and "name" in base and over["name"] != base["name"]:
        return dict(over)
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def is_meant(name: str, pattern: str) -> bool:
    """Tell whether a name or pattern stands for something declared, or for what that is a variant of."""
    return any(fnmatch.fnmatchcase(each, pattern) for each in (name, name.partition(AT)[0]))


def laid_over(
    declarations: Mapping[str, Tree],
    overlay: Mapping[str, Mapping[str, Any]],
    what: str,
    fitting: Fitting | None = None,
) -> dict[str, Tree]:
    """Return declarations with an overlay's names or patterns applied, in the order that the overlay gives.

    Parameters
    ----------
    declarations
        By name.
    overlay
        The keys to replace, by name or pattern.
    what
        What a name stands for and where the overlay is, for messages.
    fitting
        Returns, of the keys that a pattern replaces, those that a declaration can have at all. A declaration's exact
        name gets all of them.

    Raises
    ------
    UserError
        If a name or pattern fits no declaration.
    """
    result = {name: dict(tree) for name, tree in declarations.items()}
    for pattern, changes in overlay.items():
        names = [name for name in result if is_meant(name, pattern)]
        if not names:
            raise unknown_name(what, pattern, declarations)
        for name in names:
            fits = changes if fitting is None or name == pattern else fitting(result[name], changes)
            result[name] = merged(result[name], fits)
    return result
