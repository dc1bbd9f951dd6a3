"""The two sides of a comparison: what a user names, and the tables and scorecards found there."""

from __future__ import annotations

import io
import re
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zipfile import ZipFile

from robustrepro.comparison.last_run import COMPARED, KEPT, MOST, archives_of, compared_files, settings_text
from robustrepro.comparison.settings import SETTINGS
from robustrepro.errors import UserError, require_clone
from robustrepro.spec.config import CONFIG_FILE

RESULTS, PUBLISHED = Path("results"), Path("docs/results")
LAST, NOW = "last", "now"
BACK = re.compile(rf"{LAST}(?:~(?P<back>\d+))?")
EXPECTED = (
    f"a commit, a folder such as {RESULTS}/quick or {PUBLISHED}, '{LAST}' (before the last run; '{LAST}~1' before the "
    f"one before it, up to '{LAST}~{MOST - 1}') or '{NOW}'"
)
IN_SCALE = re.compile(rf"(?:.*/)?(?P<scale>[^/]+)/(?P<file>{COMPARED.pattern})")
CARD_IN_SCALE = re.compile(r"(?:.*/)?(?P<scale>[^/]+)/(?P<file>models/[^/]+/seed\d+/card\.json)")

Files = Mapping[str, str]
"""Text by path below a scale's folder."""


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes
    ----------
    name
        What it is, in words.
    scales
        The files of each scale that has results.
    is_one_scale
            Whether a single scale was named, which can then stand beside another one.
    """

    name: str
    scales: Mapping[str, Files]
    is_one_scale: bool = False


def side_of(named: str, scale: str | None = None) -> Side:
    """Return the results that a user means.

    Parameters
    ----------
    named
        ``last``, ``last~1``, ``now``, a folder or a commit.
    scale
        For ``last``: whose last run; without it, the scale that ran last.

    Raises
    ------
    UserError
        If it is none of these, or there are no results.
    """
    if match := BACK.fullmatch(named):
        return _last(scale, int(match["back"] or 0))
    if named == NOW:
        if not (scales := _scales_below(RESULTS)):
            require_clone(CONFIG_FILE)
            raise UserError(f"{RESULTS}: nothing has run here yet; `make reproduce` runs it")
        return Side(f"now, in {RESULTS}", scales)
    folder = Path(named)
    if folder.is_dir():
        if files := _files_below(folder):
            return Side(named, {folder.resolve().name: files}, is_one_scale=True)
        if scales := _scales_below(folder):
            return Side(named, scales)
    if commit := _commit(named):
        return _of_commit(named, commit)
    if folder.is_dir():
        raise UserError(f"{named}: there are no results in this folder; expected {EXPECTED}")
    raise UserError(f"'{named}' names no results; expected {EXPECTED}")


def _last(scale: str | None, back: int) -> Side:
    """Return what stood in a scale's folder before its last run, or before one so many runs back."""
    latest = sorted((path for path in (RESULTS / KEPT).glob("*.zip") if "~" not in path.stem), key=_written)
    folder = RESULTS / (scale or (latest[-1].stem if latest else ""))
    kept = archives_of(folder) if scale or latest else []
    if not kept:
        require_clone(CONFIG_FILE)
        of_scale = f" of scale {scale}" if scale else ""
        raise UserError(
            f"no run{of_scale} has replaced results yet, so there is no last one to compare with; expected {EXPECTED}"
        )
    if back >= len(kept):
        have = ", ".join([LAST, *(f"{LAST}~{each}" for each in range(1, len(kept)))])
        raise UserError(f"{LAST}~{back}: of scale {folder.name} this is kept: {have}")
    begun = datetime.fromtimestamp(_written(kept[back])).strftime("%Y-%m-%d %H:%M")
    which = f"{LAST}~{back}, before the run begun" if back else "before its last run, begun"
    return Side(f"scale {folder.name} {which} {begun}", _scales_in(ZipFile(kept[back])), is_one_scale=True)


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _files_below(folder: Path) -> Files:
    """Return the tables and scorecards of a scale's folder; none where it is no such folder."""
    found = {
        file.relative_to(folder).as_posix(): file.read_text(encoding="utf-8")
        for file in compared_files(folder)
        if file.is_file()
    }
    if found and (recorded := settings_text(folder)):
        found[SETTINGS] = recorded
    return found


def _scales_below(folder: Path) -> dict[str, Files]:
    """Return the files of each scale that has results in a folder of scales."""
    found = {path.name: _files_below(path) for path in sorted(folder.glob("*")) if path.is_dir()}
    return {scale: files for scale, files in found.items() if files}


def _scales_in(archive: ZipFile) -> Mapping[str, Files]:
    """Return the files of each scale in an archive."""
    scales: dict[str, dict[str, str]] = {}
    for name in archive.namelist():
        if match := IN_SCALE.fullmatch(name):
            scales.setdefault(match["scale"], {})[match["file"]] = archive.read(name).decode()
    return scales


# -- commits -----------------------------------------------------------------------------------------------------


def _git(*arguments: str) -> bytes | None:
    """Return what git prints; None where it fails, or is not there."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def _commit(named: str) -> str | None:
    """Return the id of a commit; None where this repository has none of this name."""
    found = _git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{named}^{{commit}}")
    return found.decode().strip() if found else None


def _of_commit(named: str, commit: str) -> Side:
    """Return the results that a commit has: those that DVC tracks, and of other scales the published ones."""
    published, tracked = _published(commit), _tracked(commit)
    origins = [
        f"{', '.join(scales)} from {origin}"
        for origin, scales in (("DVC", sorted(tracked)), (str(PUBLISHED), sorted(published.keys() - tracked)))
        if scales
    ]
    if not origins:
        where = f"neither under {PUBLISHED} nor in DVC's cache (`dvc fetch --all-commits` brings what was pushed)"
        raise UserError(f"{named}: this commit has no tables and scorecards in JSON, {where}")
    short = commit[:10]
    return Side(
        f"commit {named if commit.startswith(named) else f'{named}, {short}'}: {'; '.join(origins)}",
        {**published, **tracked},
    )


def _published(commit: str) -> Mapping[str, Files]:
    """Return the scales that are published in a commit."""
    listed = _git("ls-tree", "-r", "-z", "--name-only", commit, "--", PUBLISHED.as_posix())
    names = [name for name in (listed or b"").decode().split("\0") if IN_SCALE.fullmatch(name)]
    if not names:
        return {}
    archive = _git("--literal-pathspecs", "archive", "--format=zip", commit, "--", *names)
    return _scales_in(ZipFile(io.BytesIO(archive))) if archive else {}


def _tracked(commit: str) -> dict[str, Files]:
    """Return the scales that DVC tracks in a commit, those of which it can read every file.

    What DVC raises where neither cache nor remote has something, or where there is a lock file and no repository of
    its own, has no class in common.
    """
    if _git("cat-file", "-e", f"{commit}:./dvc.lock") is None:
        return {}
    from dvc.api import DVCFileSystem

    scales: dict[str, dict[str, str]] = {}
    unreadable = set()
    try:
        tracked = DVCFileSystem(rev=commit)
        names = tracked.find(RESULTS.as_posix()) if tracked.isdir(RESULTS.as_posix()) else []
    except Exception:
        return {}
    for match in filter(None, map(IN_SCALE.fullmatch, names)):
        try:
            scales.setdefault(match["scale"], {})[match["file"]] = tracked.read_text(match[0], encoding="utf-8")
        except Exception:
            unreadable.add(match["scale"])
    for match in filter(None, map(CARD_IN_SCALE.fullmatch, names)):
        with suppress(Exception):  # without it, the settings are not known
            scales.get(match["scale"], {})[match["file"]] = tracked.read_text(match[0], encoding="utf-8")
    return {scale: files for scale, files in scales.items() if scale not in unreadable}
