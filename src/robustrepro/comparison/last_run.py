"""What stood in a scale's tables and scorecards before its last runs, kept to compare with.

It is one archive per run, the latest few of a scale, in a folder that neither DVC nor Snakemake looks into. An archive
is written only when a run begins that follows a finished one: a run that is interrupted and continued, however often,
is compared with what stood there before it began. With the tables go the settings that they were made with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from robustrepro.comparison.settings import PROVENANCE, SETTINGS, Settings, merged, settings_of_cards
from robustrepro.files import atomic_path, write_text

COMPARED = re.compile(
    rf"papers/[^/]+/(?:tables/[^/]+\.json|scorecard\.json|{re.escape(PROVENANCE)})|{re.escape(SETTINGS)}"
)
"""What two results are compared by, below a scale's folder."""
REPLACING = frozenset({"table", "scorecard"})
"""The rules that write it."""
KEPT = ".last"
"""The folder beside those of the scales; `.dvcignore` names it."""
MOST = 5
"""How many runs of a scale can be undone in a comparison: `last`, `last~1`, ... Each takes some hundred kilobytes."""


def keep_last(folder: Path, rules: Collection[str], settings: Settings) -> None:
    """Keep a scale's tables and scorecards before a run replaces them, and record the settings of that run.

    Nothing is kept where no table or scorecard is made, where there are none yet, or where an interrupted run
    continues.

    Parameters
    ----------
    folder
        The scale's, ``results/<scale>``.
    rules
        The names of those that the run is going to follow.
    settings
        What the run resolves every model, measure and data set to.
    """
    if not REPLACING & set(rules):
        return
    unfinished = _unfinished(folder)
    files = {} if unfinished.exists() else {path: path.read_bytes() for path in compared_files(folder)}
    if files:
        _make_room(folder)
        with atomic_path(archive_of(folder)) as partial, ZipFile(partial, "w", ZIP_DEFLATED) as archive:
            for path, content in files.items():
                archive.writestr(path.relative_to(folder.parent).as_posix(), content)
            if recorded := settings_text(folder):
                archive.writestr(f"{folder.name}/{SETTINGS}", recorded)
    write_text(_settings_file(folder), json.dumps(merged(_recorded(folder), settings), sort_keys=True) + "\n")
    write_text(unfinished, "A run has begun to replace the results of this scale.\n")


def run_finished(folder: Path) -> None:
    """Note that the run came to its end: the next one will replace results that are whole."""
    _unfinished(folder).unlink(missing_ok=True)


def archive_of(folder: Path, back: int = 0) -> Path:
    """Return where what stood in a scale's folder before its last run is kept, or before one so many runs ``back``."""
    return folder.parent / KEPT / (f"{folder.name}~{back}.zip" if back else f"{folder.name}.zip")


def archives_of(folder: Path) -> list[Path]:
    """Return what is kept of a scale, the latest first."""
    return [path for back in range(MOST) if (path := archive_of(folder, back)).exists()]


def settings_text(folder: Path) -> str:
    """Return the settings, as JSON, of what stands in a scale's folder: as a run recorded them, or as its cards say.

    Empty where nothing tells.
    """
    try:
        return _settings_file(folder).read_text(encoding="utf-8")
    except OSError:
        of_cards = settings_of_cards(folder)
        return json.dumps(of_cards) if of_cards else ""


def compared_files(folder: Path) -> Iterator[Path]:
    """Yield the tables, scorecards and published origins below a scale's folder, sorted."""
    for pattern in ("papers/*/scorecard.json", "papers/*/tables/*.json", f"papers/*/{PROVENANCE}"):
        yield from sorted(folder.glob(pattern))


def _make_room(folder: Path) -> None:
    """Count every archive of a scale one further back, up to the first place that is free; the last one gives way."""
    free = next((back for back in range(MOST) if not archive_of(folder, back).exists()), MOST - 1)
    for back in range(free, 0, -1):
        archive_of(folder, back - 1).replace(archive_of(folder, back))


def _recorded(folder: Path) -> Settings:
    """Return those settings; none where the file cannot be read."""
    try:
        recorded: Settings = json.loads(settings_text(folder) or "{}")
    except ValueError:
        return {}
    return recorded


def _settings_file(folder: Path) -> Path:
    return folder.parent / KEPT / f"{folder.name}.{SETTINGS}"


def _unfinished(folder: Path) -> Path:
    return folder.parent / KEPT / f"{folder.name}.unfinished"
