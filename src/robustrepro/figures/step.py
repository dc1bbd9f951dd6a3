"""The step ``figure``: from measurements to one figure, as PNG and PDF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl

from robustrepro.files import atomic_path
from robustrepro.spec.registry import FIGURES, resolve

DOTS_PER_INCH = 160


def figure_step(spec: dict[str, Any], folder: Path) -> None:
    """Draw one figure.

    Parameters
    ----------
    spec
        The figure's declaration with the measurement of each panel.
    folder
        Receives ``{figure}.png`` and ``{figure}.pdf``.

    Raises
    ------
    UserError
        If a panel would be empty or constant.
    """
    mpl.use("Agg")
    drawn = resolve(FIGURES, "figure", spec["figure"]["name"])(spec)
    for suffix, metadata in ((".png", {"Software": None}), (".pdf", {"CreationDate": None, "Producer": None})):
        with atomic_path(folder / f"{spec['id']}{suffix}") as partial:
            drawn.savefig(partial, format=suffix[1:], dpi=DOTS_PER_INCH, bbox_inches="tight", metadata=metadata)
