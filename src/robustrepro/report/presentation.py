"""How numbers, differences, verdicts and specs are put into words and steps of colour."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from robustrepro.report.claims import AlarmOverSeeds, AuditedCell
from robustrepro.report.table import Cell, Table
from robustrepro.scorecard.statements import MINUS
from robustrepro.verdicts import Verdict
from robustrepro.words import ball_in_words, plural

NO_BREAK = "\u00a0"
CURVE_DENSITY = 1.6
"""Pixels of a specification curve per pixel of the page, so that its text is as large as the page's small one."""


@dataclass(frozen=True)
class Scale:
    """Where the three steps of a difference's colour begin, and how the legend writes that.

    ``columns`` says which columns it is for, beside others in one table.
    """

    bounds: tuple[float, float, float]
    names: tuple[str, str, str]
    measure: str
    columns: str


# Fixed for all tables, so that a colour means the same on the whole page: one point is about what a seed
# changes, twenty points another conclusion. Other units have no natural step: they are held against the number.
POINTS = Scale((1, 5, 20), ("1", "5", "20"), "in percentage points", "in columns of percentages")
RELATIVE = Scale((0.02, 0.1, 0.5), ("2%", "10%", "50%"), "relative to the printed number", "in columns of other units")


def scale_of(unit: str) -> Scale:
    """Return the scale of differences in a column of this unit."""
    return POINTS if unit == "%" else RELATIVE


def scales_of(units: Iterable[str]) -> list[Scale]:
    """Return the scales that the legend of a table with these units has to explain, each once, points first."""
    scales = {scale_of(unit).measure: scale_of(unit) for unit in units}
    return sorted(scales.values(), key=lambda scale: scale is not POINTS)


def difference_step(cell: Cell, unit: str) -> str:
    """Return the class of the difference's colour: ``same``, or ``above1`` to ``below3``."""
    if cell.difference is None or math.isnan(cell.difference):
        return "none"
    scale = scale_of(unit)
    size = abs(cell.difference)
    if scale is RELATIVE and size:
        size = size / abs(cell.printed_value) if cell.printed_value else math.inf
    step = sum(size >= bound for bound in scale.bounds)
    return "same" if step == 0 else f"{'above' if cell.difference > 0 else 'below'}{step}"


def number(value: float, decimals: int, unit: str = "") -> str:
    """Return a number as the page prints it: fixed decimals, a true minus sign, its unit."""
    unit = NO_BREAK + unit if unit[:1].isalpha() else unit
    if math.isinf(value):
        return ("" if value > 0 else MINUS) + "∞" + unit
    text = f"{value:,.{decimals}f}"
    if not text.strip("-0."):
        text = text.removeprefix("-")
    return text.replace("-", MINUS) + unit


def signed(value: float, decimals: int) -> str:
    """Return a difference with its sign, and none where it rounds to zero."""
    text = number(value, decimals)
    return f"+{text}" if value > 0 and text.strip("0.") else text


def interval(cell: Cell, decimals: int) -> str:
    """Return the interval as ``[lower, upper]``."""
    assert cell.interval is not None
    low, high = cell.interval
    return f"[{number(low, decimals)}, {number(high, decimals)}]"


def seed_range(cell: Cell, decimals: int) -> str:
    """Return the lowest and the highest number of any seed as ``40.1 to 41.5``."""
    assert cell.reported is not None
    return f"{number(cell.reported.low, decimals)} to {number(cell.reported.high, decimals)}"


def distance(table: Table) -> str:
    """Return how far a table that was compared is from the printed numbers: ``12.3 points``."""
    assert table.distance is not None
    assert table.distance.mean_absolute_difference is not None
    unit = table.compared_unit
    words = " points" if unit == "%" else NO_BREAK + unit if unit else ""
    return number(table.distance.mean_absolute_difference, table.decimals_compared) + words


def distance_in_words(table: Table) -> str:
    """Return the same in a sentence, with how many cells it is over."""
    assert table.distance is not None
    cells = plural(table.distance.cells, "cell")
    return f"mean absolute difference to the printed numbers: {distance(table)} over {cells}"


def printed_against_interval(cell: Cell) -> str:
    """Say on which side of our interval the printed number lies; empty where one of them is missing."""
    if cell.interval is None or cell.printed_value is None:
        return ""
    low, high = cell.interval
    if cell.printed_value < low:
        return "below our interval"
    return "above our interval" if cell.printed_value > high else "inside our interval"


def flat(spec: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return a spec as pairs of dotted key and value, in its own order."""
    pairs: list[tuple[str, str]] = []
    for key, value in spec.items():
        if isinstance(value, dict) and value:
            pairs += flat(value, f"{prefix}{key}.")
        else:
            pairs.append((prefix + key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
    return pairs


def measured_in(cell: Cell) -> list[str]:
    """Return the measurements behind a number, each once: ``measure/subject``, whatever the seed."""
    return list(dict.fromkeys("/".join(Path(source.measurement).parts[-3:-1]) for source in cell.sources))


def distinct_specs(cell: Cell, kind: str) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return each different spec behind a number once, with the models it belongs to.

    Parameters
    ----------
    cell
        The number.
    kind
        ``training_spec`` or ``attack_spec``. The seed is left out: the page lists it with each value.
    """
    models: dict[str, dict[str, None]] = {}
    for source in cell.sources:
        spec = getattr(source, kind)
        if spec:
            canonical = json.dumps({key: value for key, value in spec.items() if key != "seed"})
            models.setdefault(canonical, {})[source.model] = None
    return [(", ".join(names), flat(json.loads(canonical))) for canonical, names in models.items()]


def rank(verdict: Verdict) -> int:
    """Return the place of a verdict in the order in which the scorecard sorts them."""
    return list(Verdict).index(verdict)


def ball(norm: str, epsilon: float, clipped: bool, images: int, seeds: int) -> str:
    """Return in words where and on how much a model was attacked."""
    where = ball_in_words(norm, epsilon, clipped=clipped)
    return f"{where}, {plural(images, 'image')}, {plural(seeds, 'seed')}"


def alarm_values(alarm: AlarmOverSeeds, cell: AuditedCell) -> str:
    """Return an alarm's value against its bound in percent; of the worst seed where there are several."""
    worst = alarm.worst
    seed = f" (seed {worst.seed}, the worst)" if cell.seeds > 1 else ""
    return f"{number(100 * worst.value, 1, '%')}{seed}, alarm above {number(100 * worst.bound, 1, '%')}"


def seeds(which: Sequence[int]) -> str:
    """Return ``seed 1 only`` or ``seeds 0, 2 only``."""
    return f"seed{'' if len(which) == 1 else 's'} {', '.join(map(str, which))} only"
