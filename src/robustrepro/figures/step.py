"""The step ``figure``: from measurements and tables to one figure, as PNG and PDF."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl

from robustrepro.figures.data import FigureData
from robustrepro.files import atomic_path
from robustrepro.implementations import resolve
from robustrepro.steps import Work

DOTS_PER_INCH = 160

METADATA: dict[str, dict[str, Any]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Producer": None},
}
"""Without dates and versions, a figure is the same bytes from run to run."""


def run(work: Work) -> None:
    """Draw one figure.

    Parameters
    ----------
    work
        With the figure's resolved declaration under ``figure`` and its class under ``declared_by``; each output's
        suffix says its format.

    Raises
    ------
    UserError
        If a panel would be empty or constant.
    """
    mpl.use("Agg")
    declared = resolve(work.spec["declared_by"]).model_validate(work.spec["figure"])
    drawn = resolve(declared.implementation)(declared, FigureData(work.spec))
    for path in work.outputs:
        with atomic_path(path) as partial:
            drawn.savefig(
                partial,
                format=path.suffix[1:],
                dpi=DOTS_PER_INCH,
                bbox_inches="tight",
                metadata=METADATA[path.suffix],
            )
