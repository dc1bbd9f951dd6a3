"""From measurements to a table's cells: statistics of rows, and values computed from other cells."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from robustrepro.errors import UserError
from robustrepro.grammar import Expression, Place, order_of_values, parse_value
from robustrepro.implementations import made
from robustrepro.layout import Layout
from robustrepro.measures.frames import read_frame
from robustrepro.printed import parse_printed
from robustrepro.spec.statistics import statistic_adapter
from robustrepro.tables.statistics import Sample, estimate_over, worst_case

PlainData = dict[str, Any]
COUNT = "count"
"""The statistic that has a value where there are no rows."""


class NoSuchRowsError(Exception):
    """A measurement has no row with the values that a cell asks for; the message says which, as a cell's reason."""


@dataclass(frozen=True)
class Value:
    """A cell's number from one seed, and the models and measurements that it comes from."""

    seed: int
    sample: Sample
    sources: tuple[PlainData, ...]


@dataclass(frozen=True)
class Content:
    """What a cell shows of ours.

    Attributes
    ----------
    status
        ``measured``, ``not measured`` or ``published only``.
    values
        One per seed of a measured cell.
    why
        Why the cell was not measured.
    """

    status: str
    values: tuple[Value, ...] = ()
    why: str | None = None


def contents_of(spec: Mapping[str, Any]) -> dict[Place, Content]:
    """Return what each cell of a table shows, in the order of its spec.

    Raises
    ------
    UserError
        If a measurement is missing or does not have what a statistic needs; the message names the file.
    """
    measurements = Measurements(Layout(spec["folder"]), spec["training"])
    contents: dict[Place, Content] = {}
    values: dict[Place, Expression] = {}
    for cell in spec["cells"]:
        place = Place(cell["row"], cell["column"])
        match cell["kind"]:
            case "measured":
                contents[place] = measurements.content(cell)
            case "value":
                values[place] = parse_value(cell["value"], cell["row"])
            case "not_measured":
                contents[place] = Content("not measured", why=cell["why"])
            case "published_only":
                contents[place] = Content("published only")
    for place in order_of_values(values, contents):
        contents[place] = _computed(values[place], contents)
    return {place: contents[place] for cell in spec["cells"] for place in [Place(cell["row"], cell["column"])]}


def cell_as_data(place: Place, content: Content, printed: str | None, given: frozenset[str] = frozenset()) -> PlainData:
    """Return a cell as the table's JSON has it: our estimate beside the printed number, with every seed's origin.

    Parameters
    ----------
    place, content
        Which cell it is, and what it shows of ours.
    printed
        What the paper prints there; None where it prints nothing.
    given
        The models whose weights were given, or are derived from such.
    """
    sources = [source["model"] for value in content.values for source in value.sources]
    estimate = estimate_over([value.sample for value in content.values]) if content.values else None
    printed_value = parse_printed(printed).value if printed else None
    return {
        "row": place.row,
        "column": place.column,
        "status": content.status,
        "why": content.why,
        "mean": estimate and estimate.mean,
        "std": estimate and estimate.std,
        "interval": estimate and estimate.interval,
        "interval_kind": estimate and estimate.kind,
        "seeds": len(content.values),
        "given": bool(sources) and given.issuperset(sources),
        "printed": printed or None,
        "printed_value": printed_value,
        "difference": estimate.mean - printed_value if estimate and printed_value is not None else None,
        "values": [
            {
                "seed": value.seed,
                "value": value.sample.value,
                "interval": value.sample.interval(),
                "count": value.sample.count,
                "sources": list(value.sources),
            }
            for value in content.values
        ],
    }


class Measurements:
    """The measurements of one scale, each read once.

    Parameters
    ----------
    layout
        Where they lie.
    training
        The training spec of each model that was trained, as JSON.
    """

    def __init__(self, layout: Layout, training: Mapping[str, str]) -> None:
        self._layout, self._training = layout, training
        self._read = cache(read_frame)

    def content(self, cell: Mapping[str, Any]) -> Content:
        """Return what a measured cell shows: of a result that no example of some seeds had, the other seeds' numbers.

        Raises
        ------
        UserError
            As :func:`contents_of`.
        """
        values, why = [], None
        for sample in cell["samples"]:
            try:
                values.append(self.value(cell, sample))
            except NoSuchRowsError as absent:
                why = str(absent)
        return _of_values(values) if values else Content("not measured", why=why)

    def value(self, cell: Mapping[str, Any], sample: Mapping[str, Any]) -> Value:
        """Return a measured cell's number from one seed.

        Raises
        ------
        UserError
            As :func:`contents_of`.
        NoSuchRowsError
            If no row has the values that the cell asks for.
        """
        files = [
            self._layout.measurement(measure, cell["subject"], sample["subject_seed"]) for measure in cell["measures"]
        ]
        counts = cell["statistic"]["name"] == COUNT
        frames = [_matching(self._read(Path(file))[0], sample, file, may_be_none=counts) for file in files]
        try:
            rows = frames[0] if len(frames) == 1 else worst_case(frames)
            if rows.empty and not counts:
                raise UserError("the measures have no image in common")
            number: Sample = made(statistic_adapter.validate_python(cell["statistic"]), rows)
        except UserError as error:
            raise UserError(f"{', '.join(files)}: {error}") from None
        sources = [source for file in files for source in self._sources(file, sample["rows"])]
        return Value(sample["seed"], number, tuple(sources))

    def _sources(self, file: str, chosen: Mapping[str, Any] | None) -> Iterator[PlainData]:
        """Yield every model that a measurement's chosen rows are of; of a transfer's targets only the chosen one."""
        _, origin = self._read(Path(file))
        measure = origin["spec"]["measure"]
        made_on = origin.get("models_made_on", [None] * len(origin["models"]))
        models = [{**model, "made_on": on} for model, on in zip(origin["models"], made_on, strict=True)]
        if chosen and "target" in chosen:
            target = (chosen["target"], chosen["target_seed"])
            models = [models[0], *(model for model in models[1:] if (model["model"], model["seed"]) == target)]
        for model in models:
            training = self._training.get(model["model"])
            yield {
                "model": model["model"],
                "weights_sha256": model["weights_sha256"],
                "training_spec": training and json.loads(training),
                "measurement": file,
                "attack_spec": measure if "attack" in measure or "attacks" in measure else None,
                "commit": origin["commit"],
                "device": origin["device"],
                "processor": origin.get("processor"),
                "made_on": model["made_on"],
            }


def _matching(rows: pd.DataFrame, sample: Mapping[str, Any], file: str, *, may_be_none: bool) -> pd.DataFrame:
    """Return the rows that have a sample's values in its columns, one or several of each.

    Values that a measure cannot have are refused before it runs; these it has not had. But what was tried on a target
    has rows of it.
    """
    chosen = sample["rows"] or {}
    if rows.empty and not may_be_none:
        raise UserError(f"{file}: it has no rows")
    for column, value in chosen.items():
        if column not in rows:
            raise UserError(f"{file}: there is no column '{column}'; it has {', '.join(rows.columns)}")
        rows = rows[rows[column].isin(value if isinstance(value, list) else [value])]
    if rows.empty and not may_be_none:
        described = ", ".join(f"{column} {value}" for column, value in chosen.items())
        if "target" in chosen:
            raise UserError(f"{file}: it has no rows of {described}")
        raise NoSuchRowsError(f"nothing had {described}")
    return rows


def _of_values(values: Sequence[Value]) -> Content:
    """Return the content of a cell with these values; one that is no finite number cannot be shown or compared."""
    for value in values:
        if not math.isfinite(value.sample.value):
            return Content("not measured", why=f"not a finite number in seed {value.seed}")
    return Content("measured", tuple(values))


def _computed(expression: Expression, contents: Mapping[Place, Content]) -> Content:
    """Return what an expression comes to, seed by seed, over the seeds that all of its cells have."""
    missing = [str(cell) for cell in expression.cells if contents[cell].status != "measured"]
    if missing:
        return Content("not measured", why=f"computed from {', '.join(missing)}, which was not measured")
    by_seed = {cell: {value.seed: value for value in contents[cell].values} for cell in expression.cells}
    seeds = sorted(set.intersection(*(set(values) for values in by_seed.values())))
    if not seeds:
        return Content("not measured", why="computed from cells that have no seed in common")
    values = []
    for seed in seeds:
        used = {cell: values_of_cell[seed] for cell, values_of_cell in by_seed.items()}
        try:
            number = expression.evaluated({cell: value.sample.value for cell, value in used.items()})
        except ZeroDivisionError:
            number = math.nan
        sources = {json.dumps(source): source for value in used.values() for source in value.sources}
        count = min(value.sample.count for value in used.values())
        values.append(Value(seed, Sample(number, count), tuple(sources.values())))
    return _of_values(values)
