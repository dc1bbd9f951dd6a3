"""A comparison as JSON, or its cells as CSV."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from typing import Any

from robustrepro.comparison.changes import CellChange, ClaimChange, Comparison
from robustrepro.comparison.results import Number

OF_NUMBER = ("mean", "std", "seeds")


def as_json(comparison: Comparison, *, everything: bool = False) -> str:
    """Return what changed, or all of it: both sides' names, ``settings`` that differ, ``claims`` and ``cells``."""
    content = {
        **{key: getattr(comparison, key) for key in ("before", "after", "only_before", "only_after", "settings")},
        "claims": [_claim(claim) for claim in comparison.claims if everything or claim.is_changed],
        "cells": _rows(comparison, everything=everything),
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def as_csv(comparison: Comparison, *, everything: bool = False) -> str:
    """Return the cells that changed, or all of them, a row each; an empty field is a number that there is not."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_rows(comparison, everything=everything))
    return stream.getvalue()


def _claim(change: ClaimChange) -> dict[str, Any]:
    sides = {"before": change.before, "after": change.after}
    said = {side: claim and asdict(claim) for side, claim in sides.items()}
    return {"scale": change.scale, "paper": change.paper, "claim": change.claim, **said}


def _rows(comparison: Comparison, *, everything: bool) -> list[dict[str, Any]]:
    return [_row(cell) for cell in comparison.cells if everything or cell.outcome != "same"]


def _row(change: CellChange) -> dict[str, Any]:
    low, high = change.interval or (None, None)
    number = change.after or change.before
    return {
        "scale": change.scale,
        "paper": change.paper,
        **asdict(change.cell),
        "unit": number and number.unit,
        **_side("before", change.before),
        **_side("after", change.after),
        "difference": change.difference,
        "low": low,
        "high": high,
        "over": change.over,
        "outcome": change.outcome,
    }


def _side(name: str, number: Number | None) -> dict[str, Any]:
    return {f"{name}_{key}": number and getattr(number, key) for key in OF_NUMBER}


COLUMNS = (
    *("scale", "paper", "table", "row", "column", "unit"),
    *(f"{side}_{key}" for side in ("before", "after") for key in OF_NUMBER),
    *("difference", "low", "high", "over", "outcome"),
)
"""Of the CSV."""
