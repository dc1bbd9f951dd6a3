"""What stood in a scale's tables and scorecards before its last run, kept to compare with.

It is one archive per scale, in a folder that neither DVC nor Snakemake looks into. An archive is replaced as a whole,
and only when a run begins that follows a finished one: a run that is interrupted and continued, however often, is
compared with what stood there before it began.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from robustrepro.files import atomic_path, write_text

COMPARED = re.compile(r"papers/[^/]+/(?:tables/[^/]+\.json|scorecard\.json)")
"""What two results are compared by, below a scale's folder."""
REPLACING = frozenset({"table", "scorecard"})
"""The rules that write it."""
KEPT = ".last"
"""The folder beside those of the scales; `.dvcignore` names it."""


def keep_last(folder: Path, rules: Collection[str]) -> None:
    """Keep a scale's tables and scorecards before a run replaces them.

    Nothing is kept where no table or scorecard is made, where there are none yet, or where an interrupted run
    continues.

    Parameters
    ----------
    folder
        The scale's, ``results/<scale>``.
    rules
        The names of those that the run is going to follow.
    """
    unfinished = _unfinished(folder)
    if not REPLACING & set(rules) or unfinished.exists():
        return
    files = list(compared_files(folder))
    if files:
        with atomic_path(archive_of(folder)) as partial, ZipFile(partial, "w", ZIP_DEFLATED) as archive:
            for file in files:
                archive.writestr(file.relative_to(folder.parent).as_posix(), file.read_bytes())
    write_text(unfinished, "A run has begun to replace the results of this scale.\n")


def run_finished(folder: Path) -> None:
    """Note that the run came to its end: the next one will replace results that are whole."""
    _unfinished(folder).unlink(missing_ok=True)


def archive_of(folder: Path) -> Path:
    """Return where what stood in a scale's folder before its last run is kept."""
    return folder.parent / KEPT / f"{folder.name}.zip"


def compared_files(folder: Path) -> Iterator[Path]:
    """Yield the tables and scorecards below a scale's folder, sorted."""
    for pattern in ("papers/*/scorecard.json", "papers/*/tables/*.json"):
        yield from sorted(folder.glob(pattern))


def _unfinished(folder: Path) -> Path:
    return folder.parent / KEPT / f"{folder.name}.unfinished"
