"""Outputs without a record: files that would pass as done though no run is known to have made them."""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from robustrepro.errors import UserError

# What no rule declares as an output: logs, benchmarks, and what is being written.
UNDECLARED_FOLDERS = ("logs", "benchmarks")
UNDECLARED_SUFFIX = ".partial"
ADOPT_VARIABLE = "ROBUSTREPRO_ADOPT"
"""Environment variable with the folder of results that were set aside for adoption."""

FINISHED, UNFINISHED = Path(".snakemake/metadata"), Path(".snakemake/incomplete")
"""Where Snakemake notes finished jobs' outputs, and those of jobs that it knows to be unfinished (and reruns)."""


@dataclass(frozen=True)
class Record:
    """What Snakemake noted of the job that made an output: its command, and the sha256 of each file that it read."""

    command: str
    inputs: frozenset[str]


def recorded_outputs(*folders: Path) -> set[str]:
    """Return every output that Snakemake has a record of, as a path relative to the working directory.

    Parameters
    ----------
    folders
        Which records: of finished jobs, of unfinished ones, or, without any, both.
    """
    return {output for folder in folders or (FINISHED, UNFINISHED) for output, _ in _notes(folder)}


def notes_of_finished() -> dict[str, Path]:
    """Return the file with Snakemake's note of each finished output, by the output's path."""
    return dict(_notes(FINISHED))


def finished_outputs(folder: Path) -> dict[Path, Record]:
    """Return the files under a scale's folder that Snakemake has a record of, sorted, each with that record.

    Whoever copies a file over one that a run had made leaves the old record in place.
    """
    notes = {Path(output): note for output, note in notes_of_finished().items()}
    found = {}
    for path in sorted(notes):
        if folder in path.parents and path.exists():
            noted = json.loads(notes[path].read_text(encoding="utf-8"))
            checksums = (noted.get("input_checksums") or {}).values()
            inputs = frozenset(checksum.removeprefix("sha256:") for checksum in checksums if checksum)
            found[path] = Record(noted.get("shellcmd") or "", inputs)
    return found


def _notes(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield each output that Snakemake's folder has a note of, and the note's file."""
    for directory, _, names in os.walk(folder):
        # A name too long for the file system is cut into folders, each marked with "@".
        parts = Path(directory).relative_to(folder).parts
        prefix = "".join(part.removeprefix("@") for part in parts)
        for name in names:
            try:
                yield urlsafe_b64decode(prefix + name).decode(), Path(directory) / name
            except ValueError:
                continue  # Snakemake's own notes, such as that of a migration


def unrecorded_outputs(folder: Path) -> list[Path]:
    """Return the files under a scale's folder that Snakemake has no record of, sorted."""
    known = recorded_outputs()
    found = []
    for directory, folders, names in os.walk(folder):
        if Path(directory) == folder:
            folders[:] = [name for name in folders if name not in UNDECLARED_FOLDERS]
        for name in names:
            path = Path(directory) / name
            if not name.endswith(UNDECLARED_SUFFIX) and str(path) not in known:
                found.append(path)
    return sorted(found)


def unfinished_outputs(folder: Path) -> list[Path]:
    """Return the files under a scale's folder that belong to a job which Snakemake would run again, sorted.

    They were left by a run that was killed, or copied to where one was.
    """
    outputs = map(Path, recorded_outputs(UNFINISHED))
    return sorted(path for path in outputs if folder in path.parents and path.exists())


def require_recorded(folder: str) -> None:
    """Stop when results lie about that no run is known to have made.

    Raises
    ------
    UserError
        If there are such files; the message names the first ones.
    """
    strangers = unrecorded_outputs(Path(folder))
    if strangers:
        shown = "".join(f"\n  {path}" for path in strangers[:10])
        more = f"\n  and {len(strangers) - 10} more" if len(strangers) > 10 else ""
        raise UserError(
            f"{len(strangers)} file(s) under {folder} have no record of the run that made them:{shown}{more}\n"
            "Results computed elsewhere: `robustrepro adopt` checks and records them. "
            "Left by a killed run: delete them."
        )
